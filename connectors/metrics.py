"""The catalogue of metrics, and the /metrics page.

Names follow `liandong_<noun>_<unit>[_total]`, times are in seconds, and no label holds an id of a customer, an account
or a person: labels are sets that a bank can count on its fingers (topics, detectors, departments, industries).
Every rule and dashboard may use the names of `METRICS` and no others.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from connectors.errors import LiandongError
from connectors.settings import Settings
from models.credit.limits import level_rank
from models.drill import drill_of
from models.messages import PortfolioEntry
from models.risk_warning import RiskWarning
from models.stage import Answered, Bins, Owed

Outcome = Literal["accepted", "refused", "duplicate", "late"]
Kind = Literal["counter", "gauge", "histogram"]

# 5 ms is what the batch seam takes at half load, 60 s is where a teller has gone to lunch.
DELAY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# A feed in real time, one by the hour, one by the day.
ARRIVAL_BUCKETS = (*DELAY_BUCKETS, 300.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
# People: minutes for what is critical, days for the rest.
ANSWER_BUCKETS = (60.0, 300.0, 900.0, 1800.0, *(3600.0 * hours for hours in (1, 2, 4, 8, 24, 48, 120, 240)))
PAGE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_BUCKETS = (1, 5, 10, 50, 100, 500, 1000, 2500, 5000, 10_000)


TASK_GAUGES = ("liandong_tasks_open", "liandong_tasks_overdue", "liandong_tasks_unacknowledged")


class Metric(Struct, frozen=True):
    """One entry of the catalogue. `name` is as on the page, so a counter's ends in `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "liandong_events_total",
            "counter",
            ("topic", "outcome"),
            "Records read: accepted (of these late: behind their key's newest), refused, duplicate.",
        ),
        Metric(
            "liandong_dead_letters_total",
            "counter",
            ("topic", "reason"),
            "Records refused, by source topic and reason.",
        ),
        Metric("liandong_messages_total", "counter", ("topic",), "Messages written and acknowledged."),
        Metric(
            "liandong_warnings_total", "counter", ("detector", "severity", "mode"), "Revisions of warnings written."
        ),
        Metric(
            "liandong_warning_delay_seconds",
            "histogram",
            ("detector",),
            "From the broker taking the event to it acknowledging the warning.",
            DELAY_BUCKETS,
        ),
        Metric(
            "liandong_arrival_delay_seconds",
            "histogram",
            ("topic",),
            "From an event happening to the broker taking it; what carries no time of its own is not counted.",
            ARRIVAL_BUCKETS,
        ),
        Metric(
            "liandong_acknowledgement_seconds",
            "histogram",
            ("department",),
            "From a task being made to somebody acknowledging it, in event time.",
            ANSWER_BUCKETS,
        ),
        Metric(
            "liandong_completion_seconds",
            "histogram",
            ("department",),
            "From a task being acknowledged to its end, in event time.",
            ANSWER_BUCKETS,
        ),
        Metric("liandong_batch_events", "histogram", ("stage",), "Records in one batch.", BATCH_BUCKETS),
        Metric("liandong_stage_seconds", "histogram", ("stage",), "Judging and storing one batch.", STAGE_BUCKETS),
        Metric("liandong_state_keys", "gauge", ("stage", "partition"), "Keys with a state."),
        Metric("liandong_state_bytes", "gauge", ("stage", "partition"), "Size of keys and states, as stored."),
        Metric("liandong_state_writes_total", "counter", ("stage",), "States written to the changelog."),
        Metric("liandong_state_written_bytes_total", "counter", ("stage",), "Bytes of state written to the changelog."),
        Metric("liandong_consumer_lag_events", "gauge", ("topic", "partition"), "Records not read yet."),
        Metric(
            "liandong_consumer_lag_seconds",
            "gauge",
            ("topic", "partition"),
            "Since the broker took the newest record that is judged, while others wait; 0 where none does.",
        ),
        Metric(
            "liandong_watermark_delay_seconds",
            "gauge",
            ("topic", "partition"),
            "By how much the newest event that is judged lies behind the wall clock, in event time.",
        ),
        Metric(
            "liandong_changelog_lag_records",
            "gauge",
            ("stage", "partition"),
            "Records of a changelog that are still to be read before its partition is judged again.",
        ),
        Metric(
            "liandong_recovery_seconds",
            "gauge",
            ("stage",),
            "What it took to read the changelogs of the partitions that came last.",
        ),
        Metric("liandong_rebalance_seconds", "gauge", (), "What the last rebalance took, states recovered."),
        Metric("liandong_rebalances_total", "counter", (), "Rebalances of the worker group that this worker saw."),
        Metric("liandong_broker_up", "gauge", (), "1 while the broker answers this worker, else 0."),
        Metric("liandong_tasks_open", "gauge", ("department",), "Tasks not completed yet."),
        Metric(
            "liandong_tasks_unacknowledged",
            "gauge",
            ("department", "severity"),
            "Tasks that nobody has acknowledged.",
        ),
        Metric("liandong_tasks_overdue", "gauge", ("department",), "Tasks not completed and past their due time."),
        Metric("liandong_book_exposure", "gauge", ("entity",), "An entity's outstanding loans, in base currency."),
        Metric(
            "liandong_industry_exposure",
            "gauge",
            ("entity", "industry"),
            "Of that what is lent to an industry, in base currency.",
        ),
        Metric(
            "liandong_industry_level",
            "gauge",
            ("entity", "industry"),
            "The highest level of a limit that an industry holds: 0 none, 1 observation, 2 warning, 3 control.",
        ),
        Metric(
            "liandong_model_rows_total",
            "counter",
            ("model", "feature", "bin"),
            "Transactions scored, by the model's first twelve digits and the bin of each feature and of the score.",
        ),
        Metric(
            "liandong_model_expected_ratio",
            "gauge",
            ("model", "feature", "bin"),
            "Share of rows in a bin when the model was trained, 0 to 1.",
        ),
        Metric(
            "liandong_projected_records_total",
            "counter",
            ("topic", "outcome"),
            "Records that the projector has worked off: written (or known already), refused.",
        ),
        Metric(
            "liandong_projection_delay_seconds",
            "histogram",
            ("topic",),
            "From a record being sent to it standing in the database, where the desk sees it.",
            ARRIVAL_BUCKETS,
        ),
        Metric("liandong_projection_lag_records", "gauge", ("topic",), "Records that are not in the database yet."),
        Metric(
            "liandong_projection_lag_seconds",
            "gauge",
            ("topic",),
            "Since the newest record that is in the database was sent, while others wait; 0 where none does.",
        ),
        Metric(
            "liandong_database_up", "gauge", ("process",), "1 while the database answers projector or desk, else 0."
        ),
        Metric("liandong_database_version", "gauge", ("process",), "The version of the database's tables."),
        Metric(
            "liandong_desk_request_seconds",
            "histogram",
            ("route", "status"),
            "Answering a page or an API call of the desk; status is 2xx to 5xx.",
            PAGE_BUCKETS,
        ),
        Metric(
            "liandong_certificate_expiry_timestamp_seconds",
            "gauge",
            ("purpose",),
            "When the first certificate ends by which this process speaks to the broker: authority, own or broker.",
        ),
        Metric(
            "liandong_build_info",
            "gauge",
            ("version", "python", "policy_version"),
            "1, with what is running as labels.",
        ),
    )
}


class Metrics:
    """The metrics of one process. It has the methods that a stage's runner calls (`batch`, `emitted`, ...).

    Args:
        registry: where they are registered; one of its own when None, so that two of them can live in one process.
        exemplars: whether a warning's delay names the warning, for those who ask for OpenMetrics.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, exemplars: bool = False) -> None:
        self._exemplars = exemplars
        self.registry = registry if registry is not None else CollectorRegistry()
        ProcessCollector(registry=self.registry)  # processor time, memory and the start of this process
        self._counters: dict[str, Counter] = {}
        self._owed: dict[int, Mapping[Owed, int]] = {}  # by partition
        self._entities: dict[int, set[str]] = {}  # likewise
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._refused: dict[tuple[str, str], int] = {}  # told one by one, before the batch that held them
        for name, metric in METRICS.items():
            if metric.kind == "counter":
                self._counters[name] = Counter(name, metric.help, metric.labels, registry=self.registry)
            elif metric.kind == "gauge":
                self._gauges[name] = Gauge(name, metric.help, metric.labels, registry=self.registry)
            else:
                self._histograms[name] = Histogram(
                    name, metric.help, metric.labels, registry=self.registry, buckets=metric.buckets
                )

    # --- what a stage's runner tells ---

    def batch(self, stage: str, topic: str, records: int, skipped: int, seconds: float) -> None:
        """A batch is judged, its output acknowledged and its states stored.

        Args:
            records: read in all, `skipped` of them because a state had seen them before a restart.
            seconds: from its first record to the stored states.
        """
        rest = records - skipped - self._refused.pop((stage, topic), 0)
        if rest < 0:  # of another partition's batch, which is still under way
            self._refused[stage, topic] = -rest
        self.event(topic, "accepted", max(0, rest))
        self.event(topic, "duplicate", skipped)
        self._histograms["liandong_batch_events"].labels(stage).observe(records)
        self._histograms["liandong_stage_seconds"].labels(stage).observe(seconds)

    def emitted(self, topic: str, messages: int) -> None:
        """Messages are acknowledged on a topic."""
        self._counters["liandong_messages_total"].labels(topic).inc(messages)

    def refused(self, stage: str, topic: str, reason: str) -> None:
        """One record of a topic goes to the dead letters."""
        self.event(topic, "refused")
        self._refused[stage, topic] = self._refused.get((stage, topic), 0) + 1
        self._counters["liandong_dead_letters_total"].labels(topic, reason).inc()

    def stored(self, stage: str, keys: int, size: int) -> None:
        """States of some keys, of `size` bytes in all, are acknowledged on the changelog."""
        self._counters["liandong_state_writes_total"].labels(stage).inc(keys)
        self._counters["liandong_state_written_bytes_total"].labels(stage).inc(size)

    # --- the rest ---

    def event(self, topic: str, outcome: Outcome, count: int = 1) -> None:
        """Records of a topic came to an end. `accepted` counts late ones too; `late` counts them again."""
        if count:
            self._counters["liandong_events_total"].labels(topic, outcome).inc(count)

    def late(self, events: Mapping[str, int]) -> None:
        """Events by topic that came behind their key's newest."""
        for topic, count in events.items():
            self.event(topic, "late", count)

    def warning(self, warning: RiskWarning, ingested: datetime | None, acked: datetime) -> None:
        """A revision of a warning is acknowledged.

        Args:
            ingested: when the broker took the event behind it; None where a timer made the warning.
            acked: when the broker acknowledged the warning.
        """
        self._counters["liandong_warnings_total"].labels(warning.detector, warning.severity, warning.mode).inc()
        if ingested is not None:
            delay = max(0.0, (acked - ingested).total_seconds())
            exemplar = {"warning_id": warning.warning_id} if self._exemplars else None
            self._histograms["liandong_warning_delay_seconds"].labels(warning.detector).observe(delay, exemplar)

    def arrived(self, topic: str, delays: Iterable[float]) -> None:
        """Seconds from events happening to the broker taking them; two clocks that differ make no negative ones."""
        histogram = self._histograms["liandong_arrival_delay_seconds"].labels(topic)
        for delay in delays:
            histogram.observe(max(0.0, delay))

    def answered(self, found: Iterable[Answered]) -> None:
        """Departments have acknowledged tasks or are done with them."""
        names = {"acknowledged": "liandong_acknowledgement_seconds", "done": "liandong_completion_seconds"}
        for one in found:
            self._histograms[names[one.what]].labels(one.department).observe(max(0.0, one.seconds))

    def state(self, stage: str, partition: int, keys: int, size: int) -> None:
        """How many keys of a partition have a state, and the bytes of all of them."""
        self._gauges["liandong_state_keys"].labels(stage, str(partition)).set(keys)
        self._gauges["liandong_state_bytes"].labels(stage, str(partition)).set(size)

    def lag(self, topic: str, partition: int, events: int, seconds: float, watermark: float | None) -> None:
        """How many records of a partition are not read yet, how old the newest one is that is judged, and how far its
        newest event is behind the clock; None where no event was judged yet."""
        self._gauges["liandong_consumer_lag_events"].labels(topic, str(partition)).set(events)
        self._gauges["liandong_consumer_lag_seconds"].labels(topic, str(partition)).set(seconds)
        if watermark is not None:
            self._gauges["liandong_watermark_delay_seconds"].labels(topic, str(partition)).set(watermark)

    def recovering(self, stage: str, partition: int, records: int) -> None:
        """Records of a changelog that are still to be read."""
        self._gauges["liandong_changelog_lag_records"].labels(stage, str(partition)).set(records)

    def recovered(self, stage: str, seconds: float) -> None:
        """The changelogs of a stage's partitions were read."""
        self._gauges["liandong_recovery_seconds"].labels(stage).set(seconds)

    def projected(self, topic: str, delays: Sequence[float], refused: int) -> None:
        """Records of a topic stand in the database so many seconds after they were sent; some were refused."""
        histogram = self._histograms["liandong_projection_delay_seconds"].labels(topic)
        for delay in delays:
            histogram.observe(delay)
        self._counters["liandong_projected_records_total"].labels(topic, "written").inc(len(delays) - refused)
        if refused:
            self._counters["liandong_projected_records_total"].labels(topic, "refused").inc(refused)

    def projection_lag(self, lag: Mapping[str, tuple[int, float]]) -> None:
        """Of each topic how many records wait to be projected, and how old the newest one is that was."""
        for topic, (records, seconds) in lag.items():
            self._gauges["liandong_projection_lag_records"].labels(topic).set(records)
            self._gauges["liandong_projection_lag_seconds"].labels(topic).set(seconds)

    def database(self, process: str, *, up: bool, version: int | None = None) -> None:
        """Whether the database answers this process, and of what version it is where that was asked."""
        self._gauges["liandong_database_up"].labels(process).set(up)
        if version is not None:
            self._gauges["liandong_database_version"].labels(process).set(version)

    def request(self, route: str, status: int, seconds: float) -> None:
        """The desk has answered a request to a route, such as `/cases/{case_id}`."""
        self._histograms["liandong_desk_request_seconds"].labels(route, f"{status // 100}xx").observe(seconds)

    def certificate(self, purpose: str, ends: datetime) -> None:
        """The first of the certificates for a purpose ends."""
        self._gauges["liandong_certificate_expiry_timestamp_seconds"].labels(purpose).set(ends.timestamp())

    def rebalanced(self, seconds: float) -> None:
        """A rebalance is over, and the states of what this worker holds now are recovered."""
        self._counters["liandong_rebalances_total"].inc()
        self._gauges["liandong_rebalance_seconds"].set(seconds)

    def broker(self, *, up: bool) -> None:
        """Whether the broker answers."""
        self._gauges["liandong_broker_up"].set(up)

    def forget_partition(self, topics: Iterable[str], stage: str, partition: int) -> None:
        """A partition went to another worker: its gauges must not stand still here."""
        for topic in topics:
            self._gauges["liandong_consumer_lag_events"].remove(topic, str(partition))
            self._gauges["liandong_consumer_lag_seconds"].remove(topic, str(partition))
            self._gauges["liandong_watermark_delay_seconds"].remove(topic, str(partition))
        for name in ("liandong_state_keys", "liandong_state_bytes", "liandong_changelog_lag_records"):
            self._gauges[name].remove(stage, str(partition))
        if self._owed.pop(partition, None) is not None:
            self.tasks(partition, {})
        if stage == "portfolio":
            for entity in self._entities.pop(partition, ()):
                self._gauges["liandong_book_exposure"].remove(entity)
                for name in ("liandong_industry_exposure", "liandong_industry_level"):
                    self._gauges[name].remove_by_labels({"entity": entity})

    def tasks(self, partition: int, owed: Mapping[Owed, int]) -> None:
        """The tasks of one partition that are not done; the gauges show the sum over those that this worker holds."""
        self._owed[partition] = owed
        counts: dict[tuple[str, tuple[str, ...]], int] = {}

        def add(name: str, labels: tuple[str, ...], count: int) -> None:
            counts[name, labels] = counts.get((name, labels), 0) + count

        for of_partition in self._owed.values():
            for one, count in of_partition.items():
                add("liandong_tasks_open", (one.department,), count)
                if one.overdue:
                    add("liandong_tasks_overdue", (one.department,), count)
                if not one.acknowledged:
                    add("liandong_tasks_unacknowledged", (one.department, one.severity), count)
        for name in TASK_GAUGES:
            self._gauges[name].clear()
        for (name, labels), count in counts.items():
            self._gauges[name].labels(*labels).set(count)

    def binned(self, found: Iterable[Bins]) -> None:
        """How what models have scored lies; all bins of a model are there from its first row on."""
        rows, expected = self._counters["liandong_model_rows_total"], self._gauges["liandong_model_expected_ratio"]
        for one in found:
            for place, (count, share) in enumerate(zip(one.rows, one.expected, strict=True)):
                labels = (one.model[:12], one.feature, str(place))
                rows.labels(*labels).inc(count)
                expected.labels(*labels).set(share)

    def book(self, partition: int, entry: PortfolioEntry) -> None:
        """A line of a book, for the screen alone: decisions use the exact Decimals.

        A worker shows a book from its first change on.
        """
        if drill_of(entry.entity) is not None:
            return
        self._entities.setdefault(partition, set()).add(entry.entity)
        self._gauges["liandong_book_exposure"].labels(entry.entity).set(float(entry.total))
        if entry.dimension == "industry":
            labels = (entry.entity, entry.member)
            self._gauges["liandong_industry_exposure"].labels(*labels).set(float(entry.exposure))
            self._gauges["liandong_industry_level"].labels(*labels).set(level_rank(entry.level))

    def build(self, version: str, policy_version: str) -> None:
        """What is running."""
        info = self._gauges["liandong_build_info"]
        info.clear()
        info.labels(version, platform.python_version(), policy_version).set(1)


class MetricsServer:
    """The /metrics page while it is open; a context manager."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry) -> None:
        self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        self.host = host
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/metrics"

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_metrics(host: str, port: int, registry: CollectorRegistry) -> MetricsServer:
    """Show a registry at http://host:port/metrics, from a thread of its own.

    Args:
        port: 0 for any free one; the server says which.

    Raises:
        LiandongError: the port is taken or the address is not ours.
    """
    try:
        return MetricsServer(host, port, registry)
    except OSError as error:
        raise LiandongError(
            f"/metrics cannot be shown at {host}:{port} ({error.strerror or error})",
            "set LIANDONG_METRICS_PORT to a free port, or to 0 for none",
        ) from error


@contextmanager
def metrics_shown(settings: Settings, process: str, metrics: Metrics) -> Iterator[None]:
    """Show the metrics of a `worker`, `projector` or `desk` where its settings say, while the block runs.

    Raises:
        LiandongError: as `serve_metrics`.
    """
    port = settings.metrics_port_of(process)
    with serve_metrics(settings.metrics_host, port, metrics.registry) if port else nullcontext():
        yield
