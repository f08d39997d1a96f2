"""Pricing a change of policy: warnings gained and lost, work and missed deadlines, precision and recall."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from connectors.errors import LiandongError
from models.policy import Figure, Policy
from models.pricing import price, quality, workload
from streams.pricing import read_labels
from tests.make import at

MONDAY = date(2026, 3, 2)
WEEK = (MONDAY, date(2026, 3, 8))


def warnings(*rows: tuple[str, str, str, str, datetime]) -> pl.DataFrame:
    names = ("warning_id", "detector", "subject", "severity", "event_time")
    return pl.DataFrame(
        rows, schema=dict.fromkeys(names[:4], pl.String) | {"event_time": pl.Datetime("us", "UTC")}, orient="row"
    )


def with_hours(policy: Policy, hours: str) -> Policy:
    capacity: Any = policy.response.capacity | {"operations": Figure(value=Decimal(hours), unit="hours", source="test")}
    return replace(policy, response=replace(policy.response, capacity=capacity))


def large(name: str, when: str, severity: str = "low") -> tuple[str, str, str, str, datetime]:
    return name, "large_transaction", f"customer:{name}", severity, at(when)


def test_gained_lost_and_graver(policy: Policy) -> None:
    before = warnings(large("a", "2026-03-02 10:00"), large("b", "2026-03-03 10:00"), large("c", "2026-03-04 10:00"))
    after = warnings(
        large("b", "2026-03-03 10:00", "high"), large("c", "2026-03-04 10:00"), large("d", "2026-03-05 10:00")
    )
    cost = price((policy, before), (policy, after), WEEK, frozenset())
    (change,) = cost.detectors
    assert (change.before, change.after, change.gained, change.lost, change.graver, change.milder) == (3, 3, 1, 1, 1, 0)
    assert (cost.days, change.before_a_day) == (7, Decimal("0.43"))
    assert cost.gained == {"large_transaction": ["d"]}
    assert cost.lost == {"large_transaction": ["a"]}
    assert cost.quality_before == []


def test_hours_and_capacity(policy: Policy) -> None:
    # Filing 0.25 h and the identity check 0.5 h; five working days of 4 hours.
    (work,) = workload(with_hours(policy, "4"), warnings(*(large(str(n), "2026-03-02 10:00") for n in range(8))), WEEK)
    assert (work.department, work.tasks, work.hours, work.capacity) == ("operations", 8, Decimal(6), Decimal(20))
    assert (work.missed, work.open) == (0, 0)


def test_what_is_due_first_is_done_first_and_the_rest_is_missed(policy: Policy) -> None:
    # A critical task is due after 8 working hours. At one hour of work a day, 0.75 h each: the first is done within
    # the day, the second during the next day.
    rows = [large(name, "2026-03-02 09:00", "critical") for name in ("a", "b")]
    (work,) = workload(with_hours(policy, "1"), warnings(*rows), WEEK)
    assert (work.missed, work.open) == (1, 0)
    # Nobody there: all stay open, and both are past due by the week's end.
    (work,) = workload(with_hours(policy, "0"), warnings(*rows), WEEK)
    assert (work.missed, work.open) == (2, 2)
    # A task that came in on the last working day is open, and not yet late.
    (work,) = workload(with_hours(policy, "0"), warnings(large("c", "2026-03-06 16:00")), WEEK)
    assert (work.missed, work.open) == (0, 1)


def test_a_weekend_is_no_capacity(policy: Policy) -> None:
    (work,) = workload(with_hours(policy, "8"), warnings(large("a", "2026-03-07 10:00")), (MONDAY, date(2026, 3, 8)))
    assert (work.capacity, work.open) == (Decimal(40), 1)


def test_shadow_rules_cost_nothing(policy: Policy) -> None:
    rule = replace(policy.detectors.large_transaction, mode="shadow")
    shadow = replace(policy, detectors=replace(policy.detectors, large_transaction=rule))
    assert workload(shadow, warnings(large("a", "2026-03-02 10:00")), WEEK) == []


def test_precision_and_recall() -> None:
    found = warnings(
        large("a", "2026-03-02 10:00"), large("b", "2026-03-02 10:00"), large("a", "2026-03-03 10:00"),
        ("x", "structuring", "customer:c", "medium", at("2026-03-03 10:00")),
        ("y", "industry_concentration", "industry:B:K", "high", at("2026-03-03 10:00")),
    )  # fmt: skip
    table = {one.detector: one for one in quality(found, frozenset({"a", "c", "d"}))}
    assert (table["large_transaction"].flagged, table["large_transaction"].right) == (2, 1)
    assert (table["large_transaction"].precision, table["large_transaction"].recall) == (
        Decimal("0.5000"),
        Decimal("0.3333"),
    )
    assert (table["any"].precision, table["any"].recall) == (Decimal("0.6667"), Decimal("0.6667"))
    assert quality(found, frozenset()) == []


def test_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("nodeid,isFraud\n007,1\n8,0\n9,TRUE\n")
    assert read_labels(path, "nodeid", "isFraud") == {"007", "9"}
    with pytest.raises(LiandongError, match="no column isFrau"):
        read_labels(path, "nodeid", "isFrau")
    path.write_text("nodeid,isFraud\n007,0\n")
    with pytest.raises(LiandongError, match="marks nobody"):
        read_labels(path, "nodeid", "isFraud")
