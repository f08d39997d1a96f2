"""The table of environment variables: name, default, meaning, and how each text is read."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from connectors.errors import SettingsError

Reader = Callable[[str, str], Any]

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?):([0-9]{1,5})")
_TOPIC_SAFE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_REFUSED_MECHANISMS = {
    "OAUTHBEARER": "its tokens need a provider written for your identity service, which is not built in",
    "GSSAPI": "Kerberos needs a system library that is not part of the installation",
}


class Variable(Struct, frozen=True):
    """One environment variable; `field` is its place in Settings, None where it only feeds another."""

    name: str
    field: str | None
    default: str
    meaning: str
    reader: Reader

    def read(self, text: str) -> Any:
        """The value of a text. Raises SettingsError with the variable's name."""
        return self.reader(self.name, text)


def _text(name: str, text: str) -> str:
    return text


def _path(name: str, text: str) -> Path:
    return Path(text).expanduser()


def _file(name: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise SettingsError(f"{name}: there is no file {path}", "give the path of an existing file")
    return path


def _folder(name: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise SettingsError(f"{name}: there is no folder {path}", "give the path of an existing folder")
    return path


def _addresses(name: str, text: str) -> tuple[str, ...]:
    addresses = tuple(part.strip() for part in text.split(",") if part.strip())
    for address in addresses:
        match = _ADDRESS.fullmatch(address)
        if not match or not 1 <= int(match[3]) <= 65535:
            raise SettingsError(f"{name}: {address!r} is no address", "write host:port, several with commas between")
    if not addresses:
        raise SettingsError(f"{name}: {text!r} names no broker", "write host:port, several with commas between")
    return addresses


def _one_of(*choices: str) -> Reader:
    def read(name: str, text: str) -> str:
        for choice in choices:
            if text.casefold() == choice.casefold():
                return choice
        raise SettingsError(f"{name}: {text!r} is unknown", f"use one of {', '.join(choices)}")

    return read


def _mechanism(name: str, text: str) -> Any:
    if reason := _REFUSED_MECHANISMS.get(text.upper()):
        raise SettingsError(f"{name}: {text.upper()} is not supported, {reason}", "use SCRAM-SHA-512 or PLAIN over TLS")
    return _one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")(name, text)


def _whole(least: int, most: int) -> Reader:
    def read(name: str, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise SettingsError(f"{name}: {text!r} is out of range", f"use a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(least: float, most: float) -> Reader:
    def read(name: str, text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII) or not least <= float(text) <= most:
            raise SettingsError(f"{name}: {text!r} is out of range", f"use seconds from {least:g} to {most:g}")
        return float(text)

    return read


def _replication(name: str, text: str) -> int:
    value: int = _whole(-1, 32767)(name, text)
    if value == 0:
        raise SettingsError(f"{name}: a topic needs a replica", "use 1 or more, or -1 for the broker's own default")
    return value


def _switch(name: str, text: str) -> bool:
    return bool(_one_of("on", "off")(name, text) == "on")


def _app_id(name: str, text: str) -> str:
    if not _TOPIC_SAFE.fullmatch(text):
        raise SettingsError(f"{name}: {text!r} names topics", "use letters, digits, '.', '_' and '-', at most 100")
    return text


VARIABLES: tuple[Variable, ...] = (
    Variable(
        "KAFKA_BOOTSTRAP",
        "bootstrap",
        "none: one is started",
        "Your broker: host:port, several with commas between.",
        _addresses,
    ),
    Variable(
        "KAFKA_SECURITY_PROTOCOL",
        "security_protocol",
        "PLAINTEXT",
        "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
        _one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    ),
    Variable("KAFKA_SASL_MECHANISM", "sasl_mechanism", "none", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.", _mechanism),
    Variable("KAFKA_SASL_USERNAME", "sasl_username", "none", "The user who logs in to the broker.", _text),
    Variable("KAFKA_SASL_PASSWORD", "sasl_password", "none", "That user's password; never shown.", _text),
    Variable(
        "KAFKA_SASL_PASSWORD_FILE", None, "none", "A file with the password instead, e.g. a mounted secret.", _file
    ),
    Variable("KAFKA_SSL_CAFILE", "ssl_cafile", "the system's", "Certificates that sign the broker's, in PEM.", _file),
    Variable("KAFKA_SSL_CERTFILE", "ssl_certfile", "none", "Our own certificate, in PEM.", _file),
    Variable("KAFKA_SSL_KEYFILE", "ssl_keyfile", "none", "The private key of our certificate, in PEM.", _file),
    Variable(
        "LIANDONG_BROKER",
        "broker",
        "auto",
        "Which broker to start without KAFKA_BOOTSTRAP: kafka, fallback (from PyPI) or auto, the best there is.",
        _one_of("auto", "kafka", "fallback"),
    ),
    Variable("LIANDONG_DATA_DIR", "data_dir", ".liandong", "Where a broker of our own keeps its data.", _path),
    Variable(
        "LIANDONG_DATABASE",
        "database",
        "in LIANDONG_DATA_DIR",
        "What the projector fills and the desk reads: sqlite:///file or postgresql://user@host:5432/name.",
        _text,
    ),
    Variable("LIANDONG_DATABASE_PASSWORD", "database_password", "none", "That user's password; never shown.", _text),
    Variable("LIANDONG_DATABASE_PASSWORD_FILE", None, "none", "A file with it instead, e.g. a mounted secret.", _file),
    Variable("LIANDONG_CACHE_DIR", "cache_dir", "~/.cache/liandong", "Where downloaded jars are kept.", _path),
    Variable("LIANDONG_POLICY", "policy", "policy/cn.toml", "The policy file in force.", _file),
    Variable("LIANDONG_MODELS", "models", ".liandong/models", "Trained models, each named by its hash.", _path),
    Variable("LIANDONG_DEPLOY_DIR", "deploy", "as installed", "Policies, mappings and schemas of your own.", _folder),
    Variable("LIANDONG_APP_ID", "app_id", "liandong", "Name of the consumer group and of the state topics.", _app_id),
    Variable(
        "LIANDONG_PARTITIONS",
        "partitions",
        "4",
        "Partitions of every topic; the most workers that can share the load.",
        _whole(1, 10_000),
    ),
    Variable(
        "LIANDONG_REPLICATION",
        "replication",
        "-1",
        "Replicas of every topic; -1 is the broker's own default.",
        _replication,
    ),
    Variable(
        "LIANDONG_MAX_BATCH",
        "max_batch",
        "5000",
        "Events that are judged and stored together, at most.",
        _whole(1, 1_000_000),
    ),
    Variable(
        "LIANDONG_SESSION_TIMEOUT_SECONDS",
        "session_timeout_seconds",
        "10",
        "Silence after which a worker counts as dead.",
        _seconds(1, 1800),
    ),
    Variable(
        "LIANDONG_IDLE_SECONDS",
        "idle_seconds",
        "2",
        "Silence after which a partition no longer holds the others up.",
        _seconds(0.05, 3600),
    ),
    Variable(
        "LIANDONG_METRICS_PORT",
        "metrics_port",
        "9108, 9109, 9110",
        "Port of /metrics; 0 for none. By default one each for worker, projector and desk.",
        _whole(0, 65535),
    ),
    Variable(
        "LIANDONG_METRICS_HOST",
        "metrics_host",
        "127.0.0.1",
        "Address of /metrics; 0.0.0.0 shows it to the network.",
        _text,
    ),
    Variable(
        "LIANDONG_EXEMPLARS",
        "exemplars",
        "off",
        "`on`: delays in /metrics name a warning each, for those who ask for OpenMetrics.",
        _switch,
    ),
    Variable("LIANDONG_ROLE", "role", "", "Whose eyes a command has: confidential cases are for named roles.", _text),
    Variable(
        "LIANDONG_LOG_LEVEL",
        "log_level",
        "INFO",
        "DEBUG, INFO, WARNING or ERROR.",
        _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    ),
)

# Read by the tests alone, to find the public data sets.
FOREIGN = frozenset({"LIANDONG_DATA"})


def read_passwords(env: Mapping[str, str], values: dict[str, Any]) -> None:
    """Put the passwords that stand in files into `values`.

    Raises:
        SettingsError: a file cannot be read or is empty, or a password is given in both ways.
    """
    for variable in VARIABLES:
        if f"{variable.name}_FILE" in env and variable.field is not None and variable.name.endswith("_PASSWORD"):
            if variable.field in values:
                raise SettingsError(f"{variable.name}_FILE and {variable.name} are both set", "keep one of them")
            values[variable.field] = _password_in(f"{variable.name}_FILE", env[f"{variable.name}_FILE"])


def _password_in(name: str, text: str) -> str:
    path = _file(name, text)
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: {path} cannot be read ({error})", "let this user read it, as UTF-8") from error
    if not password:
        raise SettingsError(f"{name}: {path} is empty", "put the password into its first line")
    return password
