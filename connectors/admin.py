"""Creates the topics of the catalogue, and tells where the broker's differ from it.

Nothing that exists is changed unless `fix` is told to. A topic's partitions can only grow, and growing them moves
keys to other partitions, so `fix` leaves that to a second, explicit word.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    GroupIdNotFoundError,
    InvalidReplicationFactorError,
    KafkaError,
    RetriableError,
    TopicAlreadyExistsError,
)
from msgspec import Struct

from connectors.address import endpoint
from connectors.errors import AdminError
from connectors.settings import Settings
from connectors.topics import TOPICS, TopicSpec

What = Literal["missing", "partitions", "config"]
BOOTSTRAP_SECONDS = 10.0
DELETE_SECONDS = 60.0


class Drift(Struct, frozen=True):
    """One way in which a topic is not as the catalogue has it.

    Args:
        what: `missing`, `partitions`, or `config` (then `name` says which).
        expected, actual: as the broker writes them; None for what is not there.
    """

    topic: str
    what: What
    name: str | None
    expected: str
    actual: str | None

    def __str__(self) -> str:
        if self.what == "missing":
            return f"{self.topic}: missing"
        return f"{self.topic}: {self.name or self.what} is {self.actual}, expected {self.expected}"


def ensure_topics(settings: Settings, extra: Iterable[TopicSpec] = ()) -> list[str]:
    """Create what is missing, and wait until every new topic can be used.

    Args:
        settings: the broker, its security, `partitions` and `replication`.
        extra: topics besides the catalogue, such as `topics.changelogs(...)`.

    Returns:
        The names of the topics that were created, in the order of the catalogue.

    Raises:
        AdminError: the broker cannot be reached or refuses.
    """
    specs = [*TOPICS.values(), *extra]
    with _admin(settings) as admin:
        present = set(admin.list_topics())
        missing = {spec.name: _definition(spec, settings) for spec in specs if spec.name not in present}
        created = []
        for name, definition in missing.items():
            try:
                admin.create_topics({name: definition}, wait_for_metadata=True)
            except TopicAlreadyExistsError:  # another process was faster; `verify_topics` will say if it differs
                continue
            except InvalidReplicationFactorError as error:
                raise AdminError(
                    f"{settings.bootstrap_text}: topic {name} cannot have {settings.replication} replicas ({error})",
                    "set LIANDONG_REPLICATION to at most the number of brokers",
                ) from error
            created.append(name)
        return created


def verify_topics(settings: Settings, extra: Iterable[TopicSpec] = ()) -> list[Drift]:
    """Compare the broker's topics with the catalogue, changing nothing.

    Returns:
        Every difference; empty when all is as it should be. Topics that the catalogue does not know are left out.

    Raises:
        AdminError: the broker cannot be reached or refuses.
    """
    specs = [*TOPICS.values(), *extra]
    with _admin(settings) as admin:
        present = set(admin.list_topics())
        there = [spec for spec in specs if spec.name in present]
        counts = _partition_counts(admin, there)
        configs = _configs(admin, there)
    drifts = []
    for spec in specs:
        if spec.name not in present:
            drifts.append(Drift(spec.name, "missing", None, f"{settings.partitions} partitions", None))
            continue
        if counts[spec.name] != settings.partitions:
            expected, actual = str(settings.partitions), str(counts[spec.name])
            drifts.append(Drift(spec.name, "partitions", None, expected, actual))
        for name, value in spec.configs.items():
            found = configs[spec.name].get(name)
            if found != value:
                drifts.append(Drift(spec.name, "config", name, value, found))
    return drifts


def fix(
    settings: Settings, drifts: Sequence[Drift], extra: Iterable[TopicSpec] = (), *, grow: bool = False
) -> list[Drift]:
    """Bring topics back to the catalogue: create what is missing, set configs, and with `grow` add partitions.

    It returns once the broker shows them so, or has not for some seconds: look again with `verify_topics`.

    Args:
        drifts: what to mend, as `verify_topics` found it.
        extra: as given to `verify_topics`.
        grow: add partitions too. Keys then fall into other partitions than their earlier events: stop the workers
            first, and let them rebuild their state from the beginning.

    Returns:
        What was left: partitions without `grow`, and topics that have too many (no broker can take any away).

    Raises:
        AdminError: the broker cannot be reached or refuses.
    """
    if any(drift.what == "missing" for drift in drifts):
        ensure_topics(settings, extra)
    configs: dict[str, dict[str, str]] = {}
    left: list[Drift] = []
    larger: dict[str, int] = {}
    for drift in drifts:
        if drift.what == "config" and drift.name is not None:
            configs.setdefault(drift.topic, {})[drift.name] = drift.expected
        elif drift.what == "partitions":
            if grow and int(drift.expected) > int(drift.actual or 0):
                larger[drift.topic] = int(drift.expected)
            else:
                left.append(drift)
    with _admin(settings) as admin:
        if configs:
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, *item) for item in configs.items()])
        if larger:
            admin.create_partitions(larger)
    # A broker answers before it shows what it has changed: who asks at once would be told of the old.
    mended = {_place(drift) for drift in drifts} - {_place(drift) for drift in left}
    deadline = time.monotonic() + BOOTSTRAP_SECONDS
    while mended and time.monotonic() < deadline:
        if mended.isdisjoint(_place(drift) for drift in verify_topics(settings, extra)):
            break
        time.sleep(0.1)
    return left


def _place(drift: Drift) -> tuple[str, str, str | None]:
    return drift.topic, drift.what, drift.name


def members(settings: Settings) -> int:
    """How many workers are in the group at present."""
    with _admin(settings) as admin:
        described = _patiently(lambda: admin.describe_groups([settings.app_id]))
        return len(described[settings.app_id].get("members", ()))


def delete_topics(settings: Settings, names: Iterable[str]) -> None:
    """Delete topics with all that stands on them, and the group's offsets; return once they are gone.

    Raises:
        AdminError: workers are still running; the broker refuses, or does not get it done.
    """
    if count := members(settings):
        raise AdminError(f"{count} worker(s) of {settings.app_id} are running", "stop them first")
    with _admin(settings) as admin:
        doomed = set(names) & set(admin.list_topics())
        if doomed:
            admin.delete_topics(sorted(doomed))
        deadline = time.monotonic() + DELETE_SECONDS
        while left := doomed & set(admin.list_topics()):
            if time.monotonic() > deadline:
                raise AdminError(f"{', '.join(sorted(left))}: still there", "does the broker allow topics' deletion?")
            time.sleep(0.2)
        said = _patiently(lambda: admin.delete_groups([settings.app_id]))[settings.app_id]
        if said not in ("OK", GroupIdNotFoundError.__name__):
            raise AdminError(f"the group {settings.app_id} cannot be deleted ({said})", "try again")


def _patiently(ask: Callable[[], Any]) -> Any:
    """Ask again for a while: a broker that is new has still to find out which of its nodes looks after groups."""
    deadline = time.monotonic() + BOOTSTRAP_SECONDS
    while True:
        try:
            return ask()
        except RetriableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def _admin(settings: Settings) -> Iterator[Any]:
    admin = connected(settings, "liandong-admin")
    try:
        yield admin
    except (KafkaError, OSError) as error:
        raise AdminError(
            f"the broker at {settings.bootstrap_text} refused ({_named(error)})",
            "check that this user may create, describe and alter topics",
        ) from error
    finally:
        admin.close()


def connected(settings: Settings, client_id: str) -> Any:
    """A KafkaAdminClient that has spoken to the broker; close it after use.

    Raises:
        AdminError: no broker is named, none answers within `BOOTSTRAP_SECONDS`, or it does not talk to us.
    """
    if not settings.bootstrap:
        raise AdminError("no broker is named", "set KAFKA_BOOTSTRAP, or start one with `liandong broker`")
    _wait_for_any(settings)
    try:
        return KafkaAdminClient(
            **settings.kafka_python_options(),
            client_id=client_id,
            bootstrap_timeout_ms=int(BOOTSTRAP_SECONDS * 1000),
        )
    except (KafkaError, OSError) as error:
        raise AdminError(
            f"the broker at {settings.bootstrap_text} does not talk to us ({_named(error)})",
            "check KAFKA_SECURITY_PROTOCOL and what goes with it, and the broker's log",
        ) from error


def _wait_for_any(settings: Settings) -> None:
    """Return once a port of the broker is open. kafka-python's own wait leaves sockets open when it fails."""
    deadline = time.monotonic() + BOOTSTRAP_SECONDS
    while True:
        for address in settings.bootstrap:
            try:
                socket.create_connection(endpoint(address), timeout=BOOTSTRAP_SECONDS).close()
            except OSError as error:
                failure = error
            else:
                return
        if time.monotonic() >= deadline:
            raise AdminError(
                f"no broker answers at {settings.bootstrap_text} ({_named(failure)})",
                "check KAFKA_BOOTSTRAP, and that the broker runs",
            ) from failure
        time.sleep(0.2)


def _named(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _definition(spec: TopicSpec, settings: Settings) -> dict[str, Any]:
    return {
        "num_partitions": settings.partitions,
        "replication_factor": settings.replication,
        "configs": dict(spec.configs),
    }


def _partition_counts(admin: Any, specs: Sequence[TopicSpec]) -> dict[str, int]:
    described = admin.describe_topics([spec.name for spec in specs]) if specs else []
    return {topic["name"]: len(topic["partitions"]) for topic in described}


def _configs(admin: Any, specs: Sequence[TopicSpec]) -> dict[str, dict[str, str]]:
    if not specs:
        return {}
    wanted = [ConfigResource(ConfigResourceType.TOPIC, spec.name, dict.fromkeys(spec.configs)) for spec in specs]
    described = admin.describe_configs(wanted, config_filter="all")
    return {
        name: {key: str(entry["value"]) for key, entry in entries.items()}
        for resources in described.values()
        for name, entries in resources.items()
    }
