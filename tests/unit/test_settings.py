"""Settings: defaults, refusals that name the variable and the remedy, and secrets that stay secret."""

from pathlib import Path

import pytest
import rich.pretty

from connectors.errors import SettingsError
from connectors.settings import Settings, describe
from tests.data import ROOT

SASL = {
    "KAFKA_BOOTSTRAP": "k1:9092",
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "liandong",
    "KAFKA_SASL_PASSWORD": "s3cret",
}


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_env({})
    assert settings.bootstrap == ()
    assert (settings.broker, settings.partitions, settings.metrics_host) == ("auto", 4, "127.0.0.1")
    assert settings.kafka_python_options()["security_protocol"] == "PLAINTEXT"
    assert settings.faust_broker_credentials() is None
    assert settings.notices == ()


def test_defaults_in_the_table_are_those_of_the_settings() -> None:
    shown = {name: default for name, default, _ in describe()}
    settings = Settings.from_env({})
    for name, field in (
        ("LIANDONG_PARTITIONS", "partitions"),
        ("LIANDONG_REPLICATION", "replication"),
        ("LIANDONG_MAX_BATCH", "max_batch"),
        ("LIANDONG_SESSION_TIMEOUT_SECONDS", "session_timeout_seconds"),
        ("LIANDONG_IDLE_SECONDS", "idle_seconds"),
        ("LIANDONG_METRICS_HOST", "metrics_host"),
        ("LIANDONG_LOG_LEVEL", "log_level"),
        ("LIANDONG_APP_ID", "app_id"),
        ("LIANDONG_BROKER", "broker"),
        ("LIANDONG_DATA_DIR", "data_dir"),
        ("KAFKA_SECURITY_PROTOCOL", "security_protocol"),
    ):
        value = getattr(settings, field)
        assert shown[name] == (f"{value:g}" if isinstance(value, float) else str(value))
    assert all(meaning.endswith(".") for _, _, meaning in describe())


def test_blank_means_unset() -> None:
    assert Settings.from_env({"KAFKA_BOOTSTRAP": " ", "LIANDONG_PARTITIONS": ""}) == Settings.from_env({})


def test_several_brokers() -> None:
    settings = Settings.from_env({"KAFKA_BOOTSTRAP": "k1:9092, [::1]:9093,k-3.bank.example:9094"})
    assert settings.bootstrap == ("k1:9092", "[::1]:9093", "k-3.bank.example:9094")
    assert settings.faust_broker() == "kafka://k1:9092;kafka://[::1]:9093;kafka://k-3.bank.example:9094"
    assert settings.aiokafka_options()["bootstrap_servers"] == list(settings.bootstrap)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KAFKA_BOOTSTRAP", "kafka://k1:9092"),
        ("KAFKA_BOOTSTRAP", "k1"),
        ("KAFKA_BOOTSTRAP", "k1:99999"),
        ("KAFKA_BOOTSTRAP", ","),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "OAUTHBEARER"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("KAFKA_SSL_CAFILE", "/no/such/file"),
        ("KAFKA_SASL_PASSWORD_FILE", "/no/such/file"),
        ("LIANDONG_BROKER", "redpanda"),
        ("LIANDONG_PARTITIONS", "0"),
        ("LIANDONG_PARTITIONS", "four"),
        ("LIANDONG_PARTITIONS", "\uff14"),
        ("LIANDONG_PARTITIONS", "4.0"),
        ("LIANDONG_REPLICATION", "0"),
        ("LIANDONG_MAX_BATCH", "-1"),
        ("LIANDONG_IDLE_SECONDS", "nan"),
        ("LIANDONG_SESSION_TIMEOUT_SECONDS", "0"),
        ("LIANDONG_METRICS_PORT", "70000"),
        ("LIANDONG_POLICY", "/no/such/policy.toml"),
        ("LIANDONG_DEPLOY_DIR", "/no/such/folder"),
        ("LIANDONG_APP_ID", "风险"),
        ("LIANDONG_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_a_remedy(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_env({name: text})
    assert str(error.value).startswith(name)
    assert error.value.remedy


def test_a_misspelt_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="did you mean LIANDONG_PARTITIONS"):
        Settings.from_env({"LIANDONG_PARTITION": "8"})


def test_what_is_not_ours_is_left_alone() -> None:
    kubernetes = {
        "LIANDONG_SERVICE_HOST": "10.0.0.1",
        "LIANDONG_SERVICE_PORT": "9108",
        "LIANDONG_PORT": "tcp://10.0.0.1:9108",
        "LIANDONG_PORT_9108_TCP_ADDR": "10.0.0.1",
        "LIANDONG_WORKER_SERVICE_PORT_METRICS": "9108",
    }
    assert Settings.from_env({**kubernetes, "LIANDONG_DATA": "/data"}).notices == ()
    assert "LIANDONG_FLAVOUR" in Settings.from_env({"LIANDONG_FLAVOUR": "x"}).notices[0]
    assert "KAFKA_BOOTSTRAP" in Settings.from_env({"KAFKA_BOOTSTRAP_SERVERS": "k1:9092"}).notices[0]


def test_sasl_reaches_every_client() -> None:
    settings = Settings.from_env(SASL)
    for options in (settings.kafka_python_options(), settings.aiokafka_options()):
        assert options["sasl_mechanism"] == "SCRAM-SHA-512"
        assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("liandong", "s3cret")
    credentials = settings.faust_broker_credentials()
    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
    assert credentials.password == SASL["KAFKA_SASL_PASSWORD"]


@pytest.mark.parametrize("name", ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
def test_sasl_needs_all_three(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({key: value for key, value in SASL.items() if key != name})


@pytest.mark.parametrize("name", ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
def test_a_login_is_never_dropped_in_silence(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} would have no effect"):
        Settings.from_env({"KAFKA_BOOTSTRAP": "k1:9092", name: "x"})


def test_security_without_a_broker_is_refused() -> None:
    with pytest.raises(SettingsError, match="KAFKA_BOOTSTRAP is missing"):
        Settings.from_env({"KAFKA_SECURITY_PROTOCOL": "SSL"})


def test_the_password_can_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    env = {key: value for key, value in SASL.items() if key != "KAFKA_SASL_PASSWORD"}
    settings = Settings.from_env(env | {"KAFKA_SASL_PASSWORD_FILE": str(secret)})
    assert settings.sasl_password == SASL["KAFKA_SASL_PASSWORD"]
    with pytest.raises(SettingsError, match="both set"):
        Settings.from_env(SASL | {"KAFKA_SASL_PASSWORD_FILE": str(secret)})
    secret.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        Settings.from_env(env | {"KAFKA_SASL_PASSWORD_FILE": str(secret)})


def test_the_password_is_shown_nowhere() -> None:
    settings = Settings.from_env(SASL)
    for text in (repr(settings), str(settings), f"{settings}", rich.pretty.pretty_repr(settings)):
        assert "s3cret" not in text
        assert "***" in text


def test_tls_checks_host_names_and_refuses_what_is_no_certificate(tmp_path: Path) -> None:
    env = {"KAFKA_BOOTSTRAP": "k1:9093", "KAFKA_SECURITY_PROTOCOL": "SSL"}
    context = Settings.from_env(env).ssl_context()
    assert context is not None
    assert context.check_hostname
    rubbish = tmp_path / "ca.pem"
    rubbish.write_text("no certificate")
    settings = Settings.from_env(env | {"KAFKA_SSL_CAFILE": str(rubbish)})
    with pytest.raises(SettingsError, match="KAFKA_SSL_CAFILE"):
        settings.kafka_python_options()
    with pytest.raises(SettingsError, match="KAFKA_SSL_CERTFILE is missing"):
        Settings.from_env(env | {"KAFKA_SSL_KEYFILE": str(rubbish)})
    with pytest.raises(SettingsError, match="KAFKA_SSL_CAFILE would have no effect"):
        Settings.from_env({"KAFKA_BOOTSTRAP": "k1:9093", "KAFKA_SSL_CAFILE": str(rubbish)})


def test_the_deploy_folder_is_the_one_beside_the_source_or_the_one_told(tmp_path: Path) -> None:
    assert Settings.from_env({}).deploy_dir() == ROOT / "deploy"
    assert Settings.from_env({}).policy_path() == ROOT / "deploy" / "policy" / "cn.toml"
    (tmp_path / "policy").mkdir()
    assert Settings.from_env({"LIANDONG_DEPLOY_DIR": str(tmp_path)}).deploy_dir() == tmp_path
    (tmp_path / "policy").rmdir()
    with pytest.raises(SettingsError, match="LIANDONG_DEPLOY_DIR"):
        Settings.from_env({"LIANDONG_DEPLOY_DIR": str(tmp_path)}).deploy_dir()


def test_the_cache_is_the_users() -> None:
    assert Settings.from_env({"HOME": "/home/li"}).cache_dir == Path("/home/li/.cache/liandong")
    assert Settings.from_env({"XDG_CACHE_HOME": "/var/c"}).cache_dir == Path("/var/c/liandong")
    assert Settings.from_env({"LIANDONG_CACHE_DIR": "/x"}).cache_dir == Path("/x")
