"""Settings: the only reader of the environment.

Each variable stands once in `connectors.variables`, with its meaning and default, and `describe()` prints that table.
A value that must not be used is refused with the variable's name and the remedy, never replaced by a default.
"""

import difflib
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from connectors.errors import SettingsError
from connectors.variables import FOREIGN, VARIABLES, read_passwords

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
BrokerKind = Literal["auto", "kafka", "fallback"]

MASK = "***"
# So that one of each may run on one machine.
METRICS_PORTS = {"worker": 9108, "projector": 9109, "desk": 9110}
_PASSWORD_IN_URL = re.compile(r"(://[^:@/]*:)[^@]*@")
# Kubernetes gives every pod such variables for a Service that is called `liandong`.
_KUBERNETES = re.compile(r"LIANDONG(_[A-Z0-9_]+)?(_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|_PORT(_[0-9]+_(TCP|UDP).*)?)")


class Settings(Struct, frozen=True, kw_only=True):
    """What a process of Liandong is told from outside. Read once at its start, then handed down.

    `bootstrap` is empty when the user names no broker: then `connectors.broker` starts one.
    Durations are in seconds of wall clock, sizes in events.

    >>> Settings.from_env({"LIANDONG_PARTITIONS": "8"}).partitions
    8
    """

    bootstrap: tuple[str, ...] = ()
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None
    broker: BrokerKind = "auto"
    data_dir: Path = Path(".liandong")
    database: str = ""
    database_password: str | None = None
    cache_dir: Path = Path(".cache/liandong")
    policy: Path | None = None
    deploy: Path | None = None
    models: Path = Path(".liandong/models")
    app_id: str = "liandong"
    partitions: int = 4
    replication: int = -1  # the broker's own default
    max_batch: int = 5000
    session_timeout_seconds: float = 10.0
    idle_seconds: float = 2.0
    metrics_port: int | None = None  # 0: none; None: that of `METRICS_PORTS`
    metrics_host: str = "127.0.0.1"
    exemplars: bool = False
    log_level: str = "INFO"
    role: str = ""
    notices: tuple[str, ...] = ()  # what a person should hear about the environment; nothing that stops the start

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check.

        Args:
            environ: the variables; the process's own when None. An empty value counts as unset.

        Raises:
            SettingsError: a value is wrong, two contradict each other, or a `LIANDONG_` name looks misspelt.
        """
        env = {
            name: text.strip() for name, text in (os.environ if environ is None else environ).items() if text.strip()
        }
        values: dict[str, Any] = {"cache_dir": _cache_home(env) / "liandong"}
        for variable in VARIABLES:
            if variable.name in env and variable.field is not None:
                values[variable.field] = variable.read(env[variable.name])
        read_passwords(env, values)
        settings = cls(**values, notices=_notices(env))
        _check_security(settings, env)
        return settings

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        for secret in ("sasl_password", "database_password"):
            if shown[secret] is not None:
                shown[secret] = MASK
        shown["database"] = _PASSWORD_IN_URL.sub(rf"\1{MASK}@", shown["database"])
        return list(shown.items())

    @property
    def bootstrap_text(self) -> str:
        """The broker's addresses, for messages: `127.0.0.1:9092, 127.0.0.1:9093`."""
        return ", ".join(self.bootstrap) or "(no KAFKA_BOOTSTRAP)"

    def metrics_port_of(self, process: str) -> int:
        """Where a `worker`, `projector` or `desk` shows its metrics; 0 for nowhere."""
        return METRICS_PORTS[process] if self.metrics_port is None else self.metrics_port

    @property
    def uses_tls(self) -> bool:
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        return self.security_protocol.startswith("SASL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """TLS as configured, with host names checked; None without TLS.

        Raises:
            SettingsError: a certificate or key cannot be read.
        """
        if not self.uses_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ssl_cafile) if self.ssl_cafile else None)
            if self.ssl_certfile:
                context.load_cert_chain(str(self.ssl_certfile), str(self.ssl_keyfile) if self.ssl_keyfile else None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"KAFKA_SSL_CAFILE, _CERTFILE or _KEYFILE: {error}", "give PEM files") from error
        return context

    def kafka_python_options(self) -> dict[str, Any]:
        """Keyword arguments for any client of kafka-python."""
        return {"bootstrap_servers": list(self.bootstrap), **self._security_options()}

    def aiokafka_options(self) -> dict[str, Any]:
        """Keyword arguments for any client of aiokafka."""
        return {"bootstrap_servers": list(self.bootstrap), **self._security_options()}

    def _security_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.uses_tls:
            options["ssl_context"] = self.ssl_context()
        if self.uses_sasl:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password
        return options

    def faust_broker(self) -> str:
        """The `broker` argument of a Faust app: `kafka://host:port;kafka://host:port`."""
        return ";".join(f"kafka://{address}" for address in self.bootstrap)

    def faust_broker_credentials(self) -> Any:
        """The `broker_credentials` argument of a Faust app; None on a plain connection."""
        if self.security_protocol == "PLAINTEXT":
            return None
        from faust.auth import SASLCredentials, SSLCredentials  # a second to import: only where Faust runs anyway

        if self.security_protocol == "SSL":
            return SSLCredentials(context=self.ssl_context())
        return SASLCredentials(
            username=self.sasl_username,
            password=self.sasl_password,
            ssl_context=self.ssl_context(),
            mechanism=self.sasl_mechanism,
        )

    def deploy_dir(self) -> Path:
        """The folder with policies, mappings and schemas: as told, else in the package, else beside the source.

        Raises:
            SettingsError: there is none.
        """
        here = Path(__file__).resolve().parent
        for folder in (self.deploy,) if self.deploy else (here / "_deploy", here.parent / "deploy"):
            if (folder / "policy").is_dir():
                return folder
        raise SettingsError("LIANDONG_DEPLOY_DIR", f"no policy/ under {self.deploy or here.parent / 'deploy'}")

    def policy_path(self) -> Path:
        """The policy file in force: `LIANDONG_POLICY`, else the default for mainland China."""
        return self.policy or self.deploy_dir() / "policy" / "cn.toml"


def describe() -> list[tuple[str, str, str]]:
    """Every variable as (name, default, meaning), in the order a reader wants them."""
    return [(variable.name, variable.default, variable.meaning) for variable in VARIABLES]


def _cache_home(env: Mapping[str, str]) -> Path:
    if "XDG_CACHE_HOME" in env:
        return Path(env["XDG_CACHE_HOME"])
    return (Path(env["HOME"]) if "HOME" in env else Path.home()) / ".cache"


def _notices(env: Mapping[str, str]) -> tuple[str, ...]:
    known = [variable.name for variable in VARIABLES]
    notices = []
    for name in sorted(env):
        if not name.startswith("LIANDONG_") or name in known or name in FOREIGN or _KUBERNETES.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        if near:
            raise SettingsError(f"{name} is not known", f"did you mean {near[0]}?")
        notices.append(f"{name} is not known and has no effect")
    if "KAFKA_BOOTSTRAP_SERVERS" in env and "KAFKA_BOOTSTRAP" not in env:
        notices.append("KAFKA_BOOTSTRAP_SERVERS is not read: set KAFKA_BOOTSTRAP to use that broker")
    return tuple(notices)


def _check_security(settings: Settings, env: Mapping[str, str]) -> None:
    protocol = settings.security_protocol
    if settings.uses_sasl:
        for name, value in (
            ("KAFKA_SASL_MECHANISM", settings.sasl_mechanism),
            ("KAFKA_SASL_USERNAME", settings.sasl_username),
            ("KAFKA_SASL_PASSWORD", settings.sasl_password),
        ):
            if value is None:
                raise SettingsError(f"{name} is missing", f"KAFKA_SECURITY_PROTOCOL={protocol} needs it")
    if not settings.uses_sasl:
        _refuse_idle(env, "KAFKA_SASL_", protocol, "SASL_PLAINTEXT or SASL_SSL")
    if not settings.uses_tls:
        _refuse_idle(env, "KAFKA_SSL_", protocol, "SSL or SASL_SSL")
    if settings.ssl_keyfile and not settings.ssl_certfile:
        raise SettingsError("KAFKA_SSL_CERTFILE is missing", "KAFKA_SSL_KEYFILE is of no use without it")
    if protocol != "PLAINTEXT" and not settings.bootstrap:
        raise SettingsError(
            "KAFKA_BOOTSTRAP is missing", f"KAFKA_SECURITY_PROTOCOL={protocol} needs a broker to talk to"
        )


def _refuse_idle(env: Mapping[str, str], prefix: str, protocol: str, remedy: str) -> None:
    # A user who gives a password or a certificate believes the line is protected: never ignore it silently.
    names = [variable.name for variable in VARIABLES if variable.name.startswith(prefix) and variable.name in env]
    if names:
        raise SettingsError(
            f"{names[0]} would have no effect with KAFKA_SECURITY_PROTOCOL={protocol}",
            f"set KAFKA_SECURITY_PROTOCOL to {remedy}, or unset {names[0]}",
        )


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a process of our own: this one's, with these variables set."""
    return {**os.environ, **changes}
