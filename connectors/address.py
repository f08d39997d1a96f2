"""Where the broker of our own is: told by the process that started it to the commands in other terminals."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from connectors.errors import LiandongError
from connectors.settings import Settings

_FILE = "broker.json"


class Address(Struct, frozen=True):
    """The note left in the data folder while our broker runs."""

    bootstrap: str
    kind: str
    pid: int


@contextlib.contextmanager
def announced(data_dir: Path, address: Address) -> Iterator[None]:
    """Leave the note for as long as the block runs."""
    path = data_dir / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(address))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def with_broker(settings: Settings) -> Settings:
    """The settings with a broker to talk to: the user's, else the one that `liandong broker` keeps running.

    Raises:
        LiandongError: there is neither.
    """
    if settings.bootstrap:
        return settings
    path = settings.data_dir / _FILE
    try:
        address = msgspec.json.decode(path.read_bytes(), type=Address)
    except (OSError, msgspec.DecodeError):
        address = None
    if address is None or not _answers(address.bootstrap):
        raise LiandongError(
            f"there is no broker: KAFKA_BOOTSTRAP is not set and none runs on {settings.data_dir}",
            "run `liandong broker` in another terminal, or set KAFKA_BOOTSTRAP",
        )
    return replace(settings, bootstrap=(address.bootstrap,))


def endpoint(address: str) -> tuple[str, int]:
    """Host and port of an address of KAFKA_BOOTSTRAP, as sockets take them.

    >>> endpoint("[::1]:9092")
    ('::1', 9092)
    """
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _answers(bootstrap: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(endpoint(bootstrap), timeout=2):
        return True
    return False
