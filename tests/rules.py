"""One rule of the customers' stage, run by the stream and held against the oracle."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from models import oracle
from models.events import Transaction
from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning


def streamed(
    policies: PolicyHistory, detector: str, events: Iterable[Transaction], *, restart: bool = True
) -> dict[str, RiskWarning]:
    """The rule's warnings by id, by default with a restart after each event; no event may be refused."""
    pipeline = LocalPipeline(policies)
    for event in events:
        pipeline.feed("transactions", event)
        if restart:
            pipeline.restart()
    assert not pipeline.refusals
    return {key: one for key, one in pipeline.warnings.items() if one.detector == detector}


def agreed(policies: PolicyHistory, detector: str, events: Iterable[Transaction]) -> list[RiskWarning]:
    """The stream's warnings in the order of their times, which the oracle must give as well."""
    events = list(events)
    found = streamed(policies, detector, events)
    expected = oracle.warnings(transactions=oracle.from_events(events), policies=policies)
    rows = expected.filter(expected["detector"] == detector).iter_rows(named=True)
    assert {key: (one.severity, Decimal(one.reasons[0].observed), one.window.end) for key, one in found.items()} == {
        row["warning_id"]: (row["severity"], Decimal(row["observed"]), row["window_end"]) for row in rows
    }
    return sorted(found.values(), key=lambda one: one.event_time)


def told(found: dict[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    """What must not depend on the order of arrival."""
    return {key: (one.severity, one.event_ids, one.event_count, one.window, one.reasons) for key, one in found.items()}


def by_code(found: dict[str, RiskWarning]) -> dict[str, RiskWarning]:
    """Warnings by the code of their first reason and the day of the month, e.g. `watch_list|02`."""
    return {f"{one.reasons[0].code}|{one.window.start:%d}": one for one in found.values()}
