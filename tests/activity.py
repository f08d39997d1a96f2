"""The activity stage on its own, shown what the customers' partitions would tell it."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from models.activity.log import ActivityLog
from models.messages import ActivityBatch, ActivityWatermark
from models.pipeline import MemoryStates
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Emit, Record
from models.stages.activity import ActivityStage
from tests.make import at, report, transaction

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def learning(policy: Policy, **fields: Any) -> Policy:
    """The policy with other figures for silence: `learning(policy, learn=3, mode="off")`."""
    rule = policy.detectors.silence
    changes = {
        name: replace(getattr(rule, name), value=Decimal(str(value)))
        if name in ("learn", "low", "high", "minimum", "grace")
        else value
        for name, value in fields.items()
    }
    return replace(policy, detectors=replace(policy.detectors, silence=replace(rule, **changes)))


def noon(day: date) -> datetime:
    return at(f"{day} 12:00")


def seen(offset: int, event: Any, topic: str = "transactions", arrival: datetime | None = None) -> Record:
    return Record(topic, 0, offset, arrival or event.event_time, event, NOW)


class Watch:
    """The stage, with every warning's last revision and the topics that were written to."""

    def __init__(self, *policies: Policy, partitions: int = 1) -> None:
        self.policies = PolicyHistory(*policies)
        self.stage, self.states = ActivityStage(self.policies), MemoryStates()
        self.partitions = partitions
        self.warnings: dict[str, RiskWarning] = {}
        self.revisions: list[RiskWarning] = []
        self.topics: list[str] = []
        self._offsets: dict[tuple[str, int], int] = {}

    def show(self, message: ActivityBatch | ActivityWatermark) -> list[RiskWarning]:
        """Apply one message, then restart; what was told."""
        told = self._keep(self.stage.apply(self.states, Record("activity", 0, 0, NOW, message, NOW)))
        self.states.through_bytes()
        return told

    def day(self, day: date, counts: dict[str | None, int], partition: int = 0, **fields: Any) -> list[RiskWarning]:
        """A day's transactions, by branch."""
        log = ActivityLog()
        first = offset = self._offsets.get(("transactions", partition), 0)
        for branch, count in counts.items():
            for _ in range(count):
                log.accepted(seen(offset, transaction(f"e{offset}", noon(day), "1", branch_id=branch, **fields)), day)
                offset += 1
        self._offsets["transactions", partition] = offset
        told = []
        for batch in log.batches("transactions", partition) if offset > first else ():
            told += self.show(batch)
        return told

    def reported(self, when: datetime, partition: int = 0) -> list[RiskWarning]:
        """One report from a branch of its own."""
        log, offset = ActivityLog(), self._offsets.get(("reports", partition), 0)
        log.accepted(seen(offset, report(f"r{offset}", when), "reports"), when.date())
        self._offsets["reports", partition] = offset + 1
        return [one for batch in log.batches("reports", partition) for one in self.show(batch)]

    def caught_up(self, when: datetime, partition: int = 0) -> list[RiskWarning]:
        return self.show(ActivityWatermark(partition=partition, partitions=self.partitions, caught_up_at=when))

    def end(self) -> dict[str, RiskWarning]:
        """Close the history: the warnings by id."""
        self._keep(self.stage.end(self.states, NOW))
        return self.warnings

    def found(self, series: str) -> list[RiskWarning]:
        """The warnings of one series, oldest first."""
        return sorted((one for one in self.end().values() if one.subject == series), key=lambda one: one.event_time)

    def _keep(self, emits: Iterable[Emit]) -> list[RiskWarning]:
        told = []
        for emit in emits:
            self.topics.append(emit.topic)
            if emit.topic == "warnings":
                told.append(emit.value)
                self.warnings[emit.value.warning_id] = emit.value
        self.revisions += told
        return told


def days_from(first: date, number: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(number)]
