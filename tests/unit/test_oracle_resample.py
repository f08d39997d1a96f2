"""The oracle's sample after a rectification: of which days and transactions, how many, and what makes it fail."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import Controls, Transaction
from models.policy import Policy, PolicyHistory
from tests.make import at, report, transaction

SINCE = at("2026-03-02 16:00")  # the days 3 to 12 March are sampled
OVER = "2026-03-13 06:00"  # midnight after them, and the grace of six hours
END = datetime(2026, 3, 12, 16, tzinfo=UTC)  # that midnight, in Shanghai
FINE = Controls(identity_verified=True, approved_by=("M1",))


def large(event_id: str, when: str, amount: str = "50000", **fields: Any) -> Transaction:
    """Cash over the counter of branch 0731 without any control, which is large from ¥50,000."""
    values = {"method": "cash", "branch_id": "0731", "channel": "counter", "customer_id": f"C-{event_id}"}
    return transaction(event_id, when, amount, **(values | fields))


def clock(when: str = OVER, **fields: Any) -> Transaction:
    return transaction("clock", when, "1", **({"customer_id": "clock"} | fields))


def asks(subject: str = "branch:0731", since: datetime = SINCE) -> pl.DataFrame:
    return pl.DataFrame(
        {"case_id": ["branch:0731#1"], "subject": [subject], "measure": ["rectify_controls"], "since": [since]},
        schema_overrides={"since": pl.Datetime("us", "UTC")},
    )


def answers(
    policies: Policy | PolicyHistory,
    events: Sequence[Transaction],
    asked: pl.DataFrame | None = None,
    reports: pl.DataFrame | None = None,
) -> list[dict[str, Any]]:
    history = PolicyHistory(policies) if isinstance(policies, Policy) else policies
    what = asks() if asked is None else asked
    return oracle.resamples(oracle.from_events(events), what, history, reports=reports).to_dicts()


def lowest(seed: str, names: list[str], count: int, since: str = "2026-03-02T08:00:00+00:00") -> list[str]:
    return sorted(names, key=lambda name: sha256(f"{seed}|branch:0731#1|{since}|{name}".encode()).hexdigest())[:count]


def with_rule(policy: Policy, day: str, **fields: Any) -> Policy:
    """The policy from a day on with other figures."""
    rule = policy.detectors.inspection
    for name, value in fields.items():
        figure = replace(getattr(rule, name), value=Decimal(value)) if isinstance(value, int) else value
        rule = replace(rule, **{name: figure})
    head = replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00"))
    return replace(policy, policy=head, detectors=replace(policy.detectors, inspection=rule))


def test_a_clean_sample_is_done_at_the_end_of_its_days(policy: Policy) -> None:
    events = [large(name, f"2026-03-0{name} 10:00", controls=FINE) for name in ("3", "4")]
    assert answers(policy, [*events, clock()]) == [
        {
            "case_id": "branch:0731#1",
            "measure": "rectify_controls",
            "since": SINCE.astimezone(UTC),
            "done_at": END,
            "failed": [],
            "drawn": ["3", "4"],
        }
    ]


def test_where_nothing_large_was_done_nothing_was_done_wrong(policy: Policy) -> None:
    (row,) = answers(policy, [large("a", "2026-03-05 10:00", "49999.99"), clock()])
    assert (row["done_at"], row["failed"], row["drawn"]) == (END, [], [])


@pytest.mark.parametrize(
    ("when", "ids"),
    [
        ("2026-03-02 23:59:59.999999", []),
        ("2026-03-03 00:00", ["a"]),
        ("2026-03-12 23:59:59.999999", ["a"]),
        ("2026-03-13 00:00", []),
    ],
)
def test_the_ten_days_after_the_claims_own_are_sampled(policy: Policy, when: str, ids: list[str]) -> None:
    (row,) = answers(policy, [large("before", "2026-03-01 10:00"), large("a", when), clock()])
    assert (row["drawn"], row["failed"]) == (ids, ids)
    assert (row["done_at"] is None) is bool(ids)


@pytest.mark.parametrize(("when", "over"), [("2026-03-13 05:59:59.999999", False), (OVER, True)])
def test_it_is_answered_once_the_last_day_is_closed(policy: Policy, when: str, over: bool) -> None:
    event = large("a", "2026-03-05 10:00")
    assert bool(answers(policy, [event, clock(when)])) is over
    assert bool(answers(policy, [event], reports=oracle.from_events([report("r", when)]))) is over
    assert answers(policy, [event, clock(when, customer_id="drill~spring~C1")]) == []


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({}, True),
        ({"controls": FINE}, False),
        ({"controls": Controls(identity_verified=True)}, False),  # an approval is needed from ¥500,000
        ({"controls": Controls(identity_verified=False, approved_by=("M1",))}, True),
        ({"amount": "500000", "controls": Controls(identity_verified=True)}, True),
        ({"amount": "499999.99", "controls": Controls(identity_verified=True)}, False),
        ({"amount": "500000", "controls": replace(FINE, approved_by=("T1",)), "teller_id": "T1"}, True),
        ({"channel": "mobile"}, False),  # where posts make no checks
    ],
)
def test_what_was_drawn_fails_where_a_control_is_lacking(policy: Policy, fields: dict[str, Any], lacks: bool) -> None:
    first = large("a", "2026-03-05 10:00", **({"amount": "50000"} | fields))
    (row,) = answers(policy, [first, large("b", "2026-03-06 10:00", controls=FINE), clock()])
    assert row["drawn"] == ["a", "b"]
    assert row["failed"] == (["a"] if lacks else [])
    assert row["done_at"] == (None if lacks else END)


@pytest.mark.parametrize(
    "fields",
    [
        {"branch_id": "0732"},
        {"branch_id": None},
        {"origin": "bank"},
        {"purpose": "own_account_transfer"},
        {"amount": "49999.99"},
        {"customer_id": "drill~spring~C1"},
    ],
)
def test_what_is_not_drawn_from(policy: Policy, fields: dict[str, Any]) -> None:
    event = large("a", "2026-03-05 10:00", **({"amount": "50000"} | fields))
    (row,) = answers(policy, [large("before", "2026-03-01 10:00"), event, clock()])
    assert (row["drawn"], row["done_at"]) == ([], END)


def test_the_five_smallest_numbers_of_all_classes_are_drawn(policy: Policy) -> None:
    events = [large(f"e{n}", f"2026-03-0{n + 3} 10:00") for n in range(6)]
    events += [large(f"w{n}", f"2026-03-1{n} 10:00", "500000", method="transfer") for n in range(3)]
    others = [large(f"o{n}", "2026-03-05 10:00", branch_id="0732") for n in range(3)]
    ids = [event.event_id for event in events]
    expected = lowest("cn-2026", ids, 5)
    (row,) = answers(policy, [*events, *others, clock()])
    assert row["drawn"] == [name for name in ids if name in expected]  # in order of time
    assert answers(policy, [*others, *events[::-1], clock()]) == [row]


def test_the_figures_are_those_of_the_claims_day(policy: Policy) -> None:
    names = [f"e{n}" for n in range(6)]
    events = [large(name, f"2026-03-0{n + 3} 10:00") for n, name in enumerate(names)]
    figures: dict[str, Any] = {"seed": "another", "resample": 1, "resample_days": 2}
    later = PolicyHistory(policy, with_rule(policy, "2026-03-03", **figures))
    (row,) = answers(later, [*events, clock()])
    assert sorted(row["drawn"]) == sorted(lowest("cn-2026", names, 5))
    at_once = PolicyHistory(policy, with_rule(policy, "2026-03-02", **figures))
    assert answers(at_once, [*events[:2], clock("2026-03-05 05:59:59")]) == []
    (row,) = answers(at_once, [*events[:2], clock("2026-03-05 06:00")])
    assert row["drawn"] == lowest("another", ["e0", "e1"], 1)  # of the 3rd and the 4th


def test_another_claim_is_another_draw(policy: Policy) -> None:
    names = [f"e{n}" for n in range(20)]
    events = [large(name, f"2026-03-0{n // 4 + 4} {10 + n % 4}:00") for n, name in enumerate(names)]
    (row,) = answers(policy, [*events, clock()], asks(since=at("2026-03-02 16:00:01")))
    expected = lowest("cn-2026", names, 5, since="2026-03-02T08:00:01+00:00")
    assert sorted(row["drawn"]) == sorted(expected)
    assert set(expected) != set(lowest("cn-2026", names, 5))
