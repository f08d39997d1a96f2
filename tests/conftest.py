"""Fixtures for all tests: the policy, and brokers that are started once a session."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from connectors.broker import RunningBroker
    from tests.postgres import PostgreSQL
from models.policy import Policy, PolicyHistory, parse_policy
from tests.data import DATA, ROOT

# A shared machine may be slow for a second: no example fails for the time that it took.
hypothesis.settings.register_profile("liandong", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("liandong")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI the public data sets are beside the checkout: a run that skipped them has not shown what it must."""
    if os.environ.get("CI") == "true" and not DATA.is_dir() and not session.config.option.collectonly:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The default policy, as shipped."""
    return parse_policy((ROOT / "deploy" / "policy" / "cn.toml").read_bytes(), "cn.toml")


@pytest.fixture(scope="session")
def policies(policy: Policy) -> PolicyHistory:
    return PolicyHistory(policy)


def broker_of(kind: str, data_dir: Path) -> Iterator["RunningBroker"]:
    """Start a broker; where it cannot be had, skip on a desk and fail in CI."""
    from connectors.broker import BrokerError, start_broker

    try:
        broker = start_broker(data_dir, kind=kind)  # type: ignore[arg-type]
    except BrokerError as error:
        if os.environ.get("CI") == "true" and kind == "kafka":
            pytest.fail(f"Apache Kafka must start in CI: {error}")
        pytest.skip(f"no {kind} broker here: {error}")
    with broker:
        yield broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunningBroker"]:
    """Apache Kafka on loopback, one for the whole session: tests use topics or groups of their own."""
    yield from broker_of("kafka", tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator["PostgreSQL"]:
    """PostgreSQL on loopback, one for the whole session: tests use databases of their own."""
    from tests.postgres import PostgreSQL

    server = PostgreSQL(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/liandong.db"
    name = "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    return request.getfixturevalue("postgres").url(name)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def fallback(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunningBroker"]:
    """The broker from PyPI that stands in where Apache Kafka cannot be had."""
    yield from broker_of("fallback", tmp_path_factory.mktemp("fallback"))
