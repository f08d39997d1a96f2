"""The oracle's samples of large transactions: who can be drawn, when, and by whose figures."""

from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import Transaction
from models.oracle.acceptance import accepted_transactions
from models.oracle.classified import classified
from models.oracle.frames import canonical
from models.oracle.inspection import large_bookings, sampled
from models.policy import Policy, PolicyHistory, parse_policy
from models.risk_warning import warning_id
from tests.data import ROOT
from tests.make import at, report, transaction

NAME = "inspection"
CLOSED = "2026-04-01 06:00"  # midnight after March, and the grace of six hours


def large(event_id: str, when: str = "2026-03-10 10:00", amount: str = "50000", **fields: Any) -> Transaction:
    """Cash over the counter of branch 0731, which is large from ¥50,000, unless told otherwise."""
    values = {"method": "cash", "branch_id": "0731", "channel": "counter", "customer_id": f"C-{event_id}"}
    return transaction(event_id, when, amount, **(values | fields))


def clock(when: str = CLOSED, **fields: Any) -> Transaction:
    return transaction("clock", when, "1", **({"customer_id": "clock"} | fields))


def history(policies: Policy | PolicyHistory) -> PolicyHistory:
    return PolicyHistory(policies) if isinstance(policies, Policy) else policies


def rows(policies: Policy | PolicyHistory, *events: Transaction, **frames: pl.DataFrame) -> list[dict[str, Any]]:
    found = oracle.warnings(transactions=oracle.from_events(events), policies=history(policies), **frames)
    return found.filter(pl.col("detector") == NAME).sort("subject", "anchor").to_dicts()


def anchors(policies: Policy | PolicyHistory, *events: Transaction) -> list[tuple[str, str]]:
    return [(row["subject"], row["anchor"]) for row in rows(policies, *events)]


def drawn(policies: Policy | PolicyHistory, *events: Transaction, branch: str = "0731") -> list[str]:
    """The ids of a branch's sample of March."""
    made = history(policies)
    counted = accepted_transactions(canonical(oracle.from_events(events), "transactions"), made).frame
    return sampled(large_bookings(classified(counted, made)), date(2026, 3, 1), branch, made)


def lowest(seed: str, names: list[str], count: int) -> list[str]:
    return sorted(names, key=lambda name: sha256(f"{seed}|2026-03|{name}".encode()).hexdigest())[:count]


def with_rule(policy: Policy, **fields: Any) -> Policy:
    rule = policy.detectors.inspection
    for name, value in fields.items():
        figure = replace(getattr(rule, name), value=Decimal(value)) if isinstance(value, int) else value
        rule = replace(rule, **{name: figure})
    return replace(policy, detectors=replace(policy.detectors, inspection=rule))


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


# ------------------------------------------------------------------ what is drawn


def test_a_warning_in_all_its_columns(policy: Policy) -> None:
    (row,) = rows(policy, large("a"), large("b"), large("c", method="transfer", amount="500000"), clock())
    assert row == {
        "warning_id": warning_id(NAME, 1, "branch:0731", "2026-03"),
        "detector": NAME,
        "subject": "branch:0731",
        "anchor": "2026-03",
        "severity": "low",
        "departments": ["operations"],
        "event_time": datetime(2026, 3, 31, 16, tzinfo=UTC),  # midnight in Shanghai
        "window_end": datetime(2026, 3, 31, 16, tzinfo=UTC),
        "observed": "2",  # cash, the first class
    }


def test_the_smallest_numbers_of_each_class_are_drawn(policy: Policy) -> None:
    names, wires = [f"e{n}" for n in range(9)], [f"w{n}" for n in range(3)]
    cash = [large(name, f"2026-03-1{n} 10:00") for n, name in enumerate(names)]
    wired = [
        large(name, f"2026-03-2{n} 10:00", "2000000", method="transfer", customer_kind="entity", channel="web")
        for n, name in enumerate(wires)
    ]
    found = sorted(lowest("cn-2026", names, 2)) + sorted(lowest("cn-2026", wires, 2))
    assert drawn(policy, *cash, *wired) == found
    assert drawn(policy, *wired[::-1], *cash[::-1]) == found  # whatever the order of arrival
    assert drawn(with_rule(policy, each=3), *cash) == sorted(lowest("cn-2026", names, 3))


def test_all_are_drawn_where_there_are_fewer(policy: Policy) -> None:
    assert drawn(policy, large("a")) == ["a"]
    assert [row["observed"] for row in rows(policy, large("a"), clock())] == ["1"]
    assert rows(policy, clock()) == []


def test_every_branch_has_a_sample_of_its_own(policy: Policy) -> None:
    events = [large(f"{branch}{n}", branch_id=branch) for branch in ("0731", "0732") for n in range(3)]
    for branch in ("0731", "0732"):
        assert drawn(policy, *events, branch=branch) == sorted(lowest("cn-2026", [f"{branch}{n}" for n in range(3)], 2))
    assert anchors(policy, *events, clock()) == [("branch:0731", "2026-03"), ("branch:0732", "2026-03")]


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, True),
        ({"amount": "49999.99"}, False),
        ({"currency": "USD", "amount": "10000"}, True),
        ({"currency": "USD", "amount": "9999.99"}, False),
        ({"origin": "bank"}, False),
        ({"branch_id": None}, False),
        ({"purpose": "own_account_transfer"}, False),
        ({"purpose": "salary"}, True),
        ({"direction": "in"}, True),
        ({"channel": "mobile"}, True),
        ({"method": "transfer", "amount": "499999.99"}, False),
        ({"method": "transfer", "amount": "500000"}, True),
        ({"method": "transfer", "amount": "200000", "cross_border": True}, True),
        ({"method": "transfer", "amount": "1999999.99", "customer_kind": "entity"}, False),
        ({"currency": "XPF", "amount": "999999999"}, False),  # without a rate: refused
    ],
)
def test_what_is_large_by_itself_in_a_branch_can_be_drawn(policy: Policy, fields: dict[str, Any], counts: bool) -> None:
    assert bool(rows(policy, large("a", **fields), clock())) is counts


def test_a_sum_of_small_ones_is_nothing_to_draw(policy: Policy) -> None:
    events = [large(f"a{n}", amount="30000", customer_id="C1") for n in range(4)]
    assert rows(policy, *events, clock()) == []


def test_nothing_of_a_drill_is_drawn(policy: Policy) -> None:
    of_drill = large("drill~spring~a", customer_id="drill~spring~C1", branch_id="drill~spring~0731")
    assert rows(policy, of_drill, clock()) == []
    assert rows(policy, replace(of_drill, branch_id="0731"), clock()) == []
    assert anchors(policy, large("a", customer_id="drill~"), clock()) == [("branch:0731", "2026-03")]  # not a name


def test_an_event_that_is_refused_or_sent_twice(policy: Policy) -> None:
    newest = large("new", "2026-03-20 10:00", customer_id="C1")
    late = large("late", "2026-03-17 09:59:59.999999", customer_id="C1")
    assert drawn(policy, newest, late, newest) == ["new"]


def test_where_no_law_has_transfers_reported_they_are_large_all_the_same() -> None:
    american = parse_policy((ROOT / "deploy" / "policy" / "us.toml").read_bytes(), "us.toml")
    for amount, told in (("50000", ["2026-03"]), ("49999.99", [])):
        wire = large("a", method="transfer", currency="USD", amount=amount)
        assert [row["anchor"] for row in rows(american, wire, clock("2026-04-02 12:00"))] == told


# ------------------------------------------------------------------------- when


@pytest.mark.parametrize(("when", "told"), [("2026-04-01 05:59:59.999999", False), (CLOSED, True)])
def test_a_month_is_drawn_when_its_last_day_is_closed(policy: Policy, when: str, told: bool) -> None:
    assert bool(rows(policy, large("a"), clock(when))) is told
    assert bool(rows(policy, large("a"), reports=oracle.from_events([report("r", when)]))) is told


def test_a_drill_closes_no_month(policy: Policy) -> None:
    assert rows(policy, large("a"), clock(customer_id="drill~spring~C1")) == []


def test_a_month_is_closed_whether_or_not_silence_is_judged(policy: Policy) -> None:
    silence = replace(policy.detectors.silence, mode="off")
    quiet = replace(policy, detectors=replace(policy.detectors, silence=silence))
    assert anchors(quiet, large("a"), clock()) == [("branch:0731", "2026-03")]


def test_months_are_of_the_banks_days(policy: Policy) -> None:
    first, second = large("a", "2026-03-31 23:59:59.999999"), large("b", "2026-04-01 00:00")
    found = anchors(policy, first, second, clock("2026-05-01 06:00"))
    assert found == [("branch:0731", "2026-03"), ("branch:0731", "2026-04")]
    assert anchors(policy, first, second, clock("2026-04-30 23:00")) == [("branch:0731", "2026-03")]


# ------------------------------------------------------------------ whose figures


def test_the_seed_and_how_many_are_of_the_version_of_the_months_last_day(policy: Policy) -> None:
    names = [f"e{n}" for n in range(8)]
    events = [large(name, f"2026-03-0{n + 1} 10:00") for n, name in enumerate(names)]
    other = with_rule(policy, seed="another", each=3)
    for day, seed, each in (("2026-03-31", "another", 3), ("2026-04-01", "cn-2026", 2)):
        assert drawn(PolicyHistory(policy, from_day(other, day)), *events) == sorted(lowest(seed, names, each))


@pytest.mark.parametrize(
    ("day", "mode", "told"), [("03-31", "off", False), ("03-31", "shadow", True), ("04-01", "off", True)]
)
def test_a_month_whose_last_day_has_it_off_is_not_drawn(policy: Policy, day: str, mode: str, told: bool) -> None:
    changed = from_day(with_rule(policy, mode=mode), f"2026-{day}")
    assert bool(rows(PolicyHistory(policy, changed), large("a"), clock())) is told


def test_whom_it_concerns_and_how_grave_it_is(policy: Policy) -> None:
    changed = from_day(with_rule(policy, severity="high", departments=("risk",)), "2026-03-31")
    (row,) = rows(PolicyHistory(policy, changed), large("a"), clock())
    assert (row["severity"], row["departments"]) == ("high", ["risk"])


def test_what_is_large_is_said_by_its_own_day(policy: Policy) -> None:
    amounts = {"CNY": Decimal(20_000), "USD": Decimal(3_000)}
    rule = policy.detectors.large_transaction
    lowered = replace(rule, cash=replace(rule.cash, amounts=amounts))
    later = from_day(replace(policy, detectors=replace(policy.detectors, large_transaction=lowered)), "2026-03-11")
    events = [large(day, f"2026-03-{day} 10:00", "20000") for day in ("10", "11")]
    assert drawn(PolicyHistory(policy, later), *events) == ["11"]


def test_samples_are_no_series_of_silence(policy: Policy) -> None:
    told = pl.DataFrame(
        [(NAME, at(f"2026-0{month}-01 00:00")) for month in (2, 3)],
        schema={"detector": pl.String, "event_time": pl.Datetime("us", "UTC")},
        orient="row",
    )
    rule = policy.detectors.silence
    small = {name: replace(getattr(rule, name), value=Decimal(1)) for name in ("learn", "minimum")}
    eager = replace(policy, detectors=replace(policy.detectors, silence=replace(rule, **small)))
    frame = oracle.from_events([large("a", "2026-01-31 10:00"), clock()])
    found = oracle.warnings(transactions=frame, told=told, policies=PolicyHistory(eager))
    assert "silence" in set(found["detector"])
    assert "rule:inspection" not in set(found["subject"])
