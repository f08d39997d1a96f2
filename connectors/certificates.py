"""When the certificates end by which this process speaks to the broker."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography import x509

from connectors.address import endpoint
from connectors.errors import SettingsError
from connectors.settings import Settings

LOG = logging.getLogger(__name__)
Tell = Callable[[str, datetime], None]

# A broker's certificate is renewed while it runs; the files were read when this process began, and count as they were.
LOOK_SECONDS = 3600.0
_CONNECT_SECONDS = 10.0


def expiries(settings: Settings) -> dict[str, datetime]:
    """When the first certificate of each file ends: `authority`, by whom the broker's must be signed, and our `own`.

    Raises:
        SettingsError: a file holds no certificate; the message names the variable.
    """
    if not settings.uses_tls:
        return {}
    files = {
        "authority": ("KAFKA_SSL_CAFILE", settings.ssl_cafile),
        "own": ("KAFKA_SSL_CERTFILE", settings.ssl_certfile),
    }
    return {purpose: _first_end(name, file) for purpose, (name, file) in files.items() if file is not None}


def served_until(settings: Settings) -> datetime | None:
    """When the first of the certificates ends that brokers show at their addresses; None where none answers."""
    context = settings.ssl_context()
    if context is None:
        return None
    found = []
    for address in settings.bootstrap:
        host, port = endpoint(address)
        try:
            with (
                socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host) as line,
            ):
                shown = line.getpeercert(binary_form=True)
        except (OSError, ssl.SSLError) as error:
            # One that has ended is among these: then no client comes through, and other alerts say so.
            LOG.warning("the certificate of %s cannot be looked at: %s", address, error)
            continue
        found.append(x509.load_der_x509_certificate(shown or b"").not_valid_after_utc)
    return min(found, default=None)


@contextmanager
def certificates_watched(settings: Settings, tell: Tell, every: float = LOOK_SECONDS) -> Iterator[None]:
    """Tell when certificates end: those of files once, the brokers' again and again from a thread of its own.

    Args:
        tell: called with a purpose (`authority`, `own`, `broker`) and the instant.
        every: seconds between two looks.

    Raises:
        SettingsError: as `expiries`.
    """
    for purpose, ends in expiries(settings).items():
        tell(purpose, ends)
    if not settings.uses_tls:
        yield
        return
    stop = threading.Event()

    def watch() -> None:
        while True:
            if (ends := served_until(settings)) is not None:
                tell("broker", ends)
            if stop.wait(every):
                return

    thread = threading.Thread(target=watch, name="certificates", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=_CONNECT_SECONDS)


def _first_end(name: str, file: Path) -> datetime:
    try:
        return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: {file} holds no certificate ({error})", "give a file in PEM") from error
