"""When the certificates end by which workers speak to the broker."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.certificates import expiries
from connectors.errors import SettingsError
from connectors.settings import Settings

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)


def certificate(days: int) -> bytes:
    """One that signs itself, in PEM, until so many days from `NOW`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=1))
    signed = made.not_valid_after(NOW + timedelta(days=days)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def settings(protocol: str, **files: Path) -> Settings:
    return Settings.from_env(
        {"KAFKA_BOOTSTRAP": "k:9092", "KAFKA_SECURITY_PROTOCOL": protocol}
        | {f"KAFKA_SSL_{name.upper()}": str(file) for name, file in files.items()}
    )


def test_the_first_end_of_each_file(tmp_path: Path) -> None:
    authority, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.write_bytes(certificate(300) + certificate(30) + certificate(900))
    own.write_bytes(certificate(7))
    found = expiries(settings("SSL", cafile=authority, certfile=own, keyfile=own))
    assert found == {"authority": NOW + timedelta(days=30), "own": NOW + timedelta(days=7)}
    assert expiries(settings("SSL", cafile=authority)).keys() == {"authority"}


def test_without_tls_there_is_none() -> None:
    assert expiries(settings("PLAINTEXT")) == {}
    assert expiries(settings("SSL")) == {}


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"KAFKA_SSL_CAFILE: .*ca\.pem holds no certificate"):
        expiries(settings("SSL", cafile=file))
