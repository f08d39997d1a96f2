"""When the certificates end by which workers speak to the broker."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import chain, repeat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.certificates import certificates_watched, expiries, served_until
from connectors.errors import SettingsError
from connectors.settings import Settings

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)


def certificate(
    days: int, key: ec.EllipticCurvePrivateKey | None = None, since: datetime = NOW, called: str = "test"
) -> bytes:
    """One that signs itself, for 127.0.0.1, in PEM, until so many days from `since`."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(since - timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    signed = made.not_valid_after(since + timedelta(days=days)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def settings(protocol: str, address: str = "k:9092", **files: Path) -> Settings:
    return Settings.from_env(
        {"KAFKA_BOOTSTRAP": address, "KAFKA_SECURITY_PROTOCOL": protocol}
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


@contextmanager
def broker(folder: Path, *days: int) -> Iterator[tuple[str, Path]]:
    """The address of something that speaks TLS, each time with the next of its certificates; who signs them all."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC).replace(microsecond=0)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    contexts, authority, stop = [], folder / "ca.pem", threading.Event()
    for number, one in enumerate(days):
        shown = certificate(one, key, now, f"broker {number}")
        with authority.open("ab") as file:
            file.write(shown)
        own = folder / f"{number}.pem"
        own.write_bytes(shown + private)
        contexts.append(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
        contexts[-1].load_cert_chain(own)

    def serve() -> None:
        for context in chain(contexts, repeat(contexts[-1])):
            line = None
            while line is None and not stop.is_set():
                with suppress(TimeoutError):
                    line, _ = listening.accept()
            if line is None:
                return
            with line, suppress(OSError), context.wrap_socket(line, server_side=True) as spoken:
                spoken.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", authority
        stop.set()
        thread.join()


def test_what_a_broker_shows_is_looked_at_again_and_again(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    renewed = threading.Event()
    began = datetime.now(UTC)

    def tell(purpose: str, ends: datetime) -> None:
        told.append((purpose, round((ends - began).total_seconds() / 86400)))
        if told[-1] == ("broker", 90):
            renewed.set()

    with broker(tmp_path, 3, 90) as (address, authority):
        with certificates_watched(settings("SSL", address, cafile=authority), tell, every=0.05):
            assert renewed.wait(10)
    assert told[:3] == [("authority", 3), ("broker", 3), ("broker", 90)]


def test_a_broker_that_cannot_be_looked_at_is_left_out(tmp_path: Path) -> None:
    with broker(tmp_path, 5) as (address, authority):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        found = served_until(settings("SSL", f"{nobody},{address}", cafile=authority))
    assert found is not None
    assert round((found - datetime.now(UTC)).total_seconds() / 86400) == 5
    assert served_until(settings("SSL", nobody, cafile=authority)) is None


def test_without_tls_nobody_is_asked() -> None:
    told: list[str] = []
    with certificates_watched(settings("PLAINTEXT"), lambda purpose, _: told.append(purpose)):
        assert "certificates" not in {one.name for one in threading.enumerate()}
    assert told == []
