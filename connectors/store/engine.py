"""Opens the database that LIANDONG_DATABASE names."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from connectors.errors import LiandongError, SettingsError
from connectors.settings import Settings

_VARIABLE = "LIANDONG_DATABASE"
# A writer waits so long for another one's transaction.
_BUSY_SECONDS = 30


class StoreError(LiandongError):
    """The database cannot be used as it is."""


def database_url(settings: Settings) -> URL:
    """Where the database is; a file in LIANDONG_DATA_DIR where no other is named.

    Raises:
        SettingsError: it is no address of a database, or of one that is not supported.
    """
    default = URL.create("sqlite", database=str(settings.data_dir / "liandong.db"))
    url = _address(settings.database) if settings.database else default
    if settings.database_password is None:
        return url
    if url.drivername == "sqlite":
        raise SettingsError(f"{_VARIABLE}_PASSWORD would have no effect with SQLite", f"unset {_VARIABLE}_PASSWORD")
    return url.set(password=settings.database_password)


def _address(text: str) -> URL:
    remedy = "write sqlite:///file.db or postgresql://user@host:5432/name"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:  # the text itself may hold a password
        raise SettingsError(f"{_VARIABLE} is no address of a database", remedy) from error
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        url = url.set(drivername="postgresql+psycopg")
    elif url.drivername != "sqlite":
        raise SettingsError(f"{_VARIABLE}: {url.drivername} is not supported", remedy)
    if not url.database or url.database == ":memory:":
        raise SettingsError(f"{_VARIABLE} names no database", remedy)
    return url


def open_store(settings: Settings, *, read_only: bool = False) -> Engine:
    """An engine. It connects when it is first used; dispose of it in the end.

    Args:
        read_only: for who must change nothing, whatever goes wrong.

    Raises:
        StoreError: it is a file that is not there, and must not be made.
    """
    url = database_url(settings)
    if url.drivername == "sqlite":
        file = Path(url.database or "")
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif not file.exists():
            raise StoreError(f"there is no database {file}", "start `liandong project`: it makes and fills it")
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        pragmas = ["PRAGMA query_only=ON"] if read_only else ["PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"]

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _: object) -> None:
            for pragma in pragmas:
                connection.execute(pragma)

        return engine
    options = "-c default_transaction_read_only=on" if read_only else ""
    # A connection that died while it lay idle is replaced instead of failing somebody's page.
    return create_engine(
        url,
        pool_pre_ping=True,
        connect_args={"options": options, "connect_timeout": 10, "application_name": "liandong"},
    )


@contextlib.contextmanager
def answering(engine: Engine) -> Iterator[None]:
    """Says in a line that the database does not answer, and which, where that comes out of the block.

    Raises:
        StoreError: it does not.
    """
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise StoreError(
            f"{engine.url!r} does not answer: {reason}", "see LIANDONG_DATABASE, and that it runs"
        ) from error
