"""When the certificates end by which this process speaks to the broker."""

from datetime import datetime
from pathlib import Path

from cryptography import x509

from connectors.errors import SettingsError
from connectors.settings import Settings


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


def _first_end(name: str, file: Path) -> datetime:
    try:
        return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: {file} holds no certificate ({error})", "give a file in PEM") from error
