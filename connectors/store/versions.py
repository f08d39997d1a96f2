"""The version of the database: a number that grows with every change of its tables, kept by Alembic.

A version adds: a table, a column that may be empty or has a default, an index. So a desk of an older release reads a
newer database, and the projector may be upgraded first.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from connectors.store.engine import StoreError
from connectors.store.tables import METADATA

_UPGRADE = "run `liandong database --upgrade`"
_LOCK = 0x11A2D026  # any number of our own: of several projectors that start together one changes the tables


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config


def wanted() -> int:
    """The version of this release."""
    return int(ScriptDirectory.from_config(_config()).get_current_head() or 0)


def found(connection: Connection) -> int:
    """The version of a database; 0 where there are no tables of ours."""
    return int(MigrationContext.configure(connection).get_current_revision() or 0)


def upgrade(engine: Engine) -> tuple[int, int]:
    """Bring a database to this release's version; the version before and after.

    Raises:
        StoreError: it is newer than this release.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        before = found(connection)
        if before > wanted():
            raise StoreError(f"the database has version {before}, this release {wanted()}", "use the newer release")
        if before < wanted():
            if before == 0 and (strange := set(inspect(connection).get_table_names()) & METADATA.tables.keys()):
                names = ", ".join(sorted(strange))
                raise StoreError(f"the database has tables of such names already ({names})", "give Liandong its own")
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return before, wanted()


def check(connection: Connection) -> int:
    """The version of a database that this release can read: its own or a newer one.

    Raises:
        StoreError: there are no tables, or of an older version.
    """
    version = found(connection)
    if version == 0:
        raise StoreError("the database is empty", "start `liandong project`: it makes the tables and fills them")
    if version < wanted():
        raise StoreError(f"the database has version {version}, this release needs {wanted()}", _UPGRADE)
    return version
