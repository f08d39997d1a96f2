"""silence and missing_rate: the stream equals the oracle where no event comes later than its day's closing."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent, PostReport, Reporter, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, loan, report, transaction

DETECTORS = ("silence", "missing_rate")
START = at("2026-02-09 00:00")  # a working week, a make-up Saturday, Spring Festival, working days again
DAYS = 20
GRACE = 6  # hours, at the least
TELLING_RULES = ("large_transaction", "missing_control", "teller_report")

figures = st.fixed_dictionaries(
    {
        "learn": st.sampled_from(["1", "2", "3"]),
        "low": st.sampled_from(["0.25", "0.5", "0.8"]),
        "high": st.sampled_from(["1.25", "2", "4"]),
        "minimum": st.sampled_from(["0.5", "1", "2", "2.5"]),
        "grace": st.sampled_from([str(GRACE), "12"]),
    }
)
modes = st.sampled_from(["live", "live", "shadow", "off"])
changes = st.none() | st.tuples(st.integers(1, DAYS - 1), figures, modes, modes)
moments = st.integers(0, DAYS * 24 * 4 - 1).map(lambda quarter: START + timedelta(minutes=15 * quarter))
customers = st.sampled_from(["C1", "C2", "C3"])
branches = st.sampled_from(["B1", "B1", "B1", "B2", None])
currencies = st.sampled_from(["CNY", "CNY", "CNY", "CNY", "USD", "AUD", "NZD"])  # the last two have no rate
transactions = st.builds(
    transaction,
    st.just("t"),
    moments,
    st.sampled_from(["1", "50000", "600000"]),
    customer_id=customers,
    method=st.sampled_from(["cash", "transfer"]),
    currency=currencies,
    origin=st.sampled_from(["customer", "customer", "bank"]),
    branch_id=branches,
    channel=st.sampled_from([None, "", "web", "counter"]),
)
reports = st.builds(
    report,
    st.just("r"),
    moments,
    customer_id=st.none() | customers,
    kind=st.sampled_from(["abnormal_transaction", "complaint"]),
    reporter=st.builds(
        Reporter, employee_id=st.just("T"), post=st.just("teller"), branch_id=st.sampled_from(["B1", "B3"])
    ),
)
loans = st.builds(
    loan,
    st.just("l"),
    moments,
    st.just("1000"),
    kind=st.sampled_from(["disbursed", "disbursed", "approved"]),
    currency=currencies,
)


def numbered(events: Sequence[Any], name: str, field: str) -> list[Any]:
    return [replace(event, **{field: f"{name}{number}"}) for number, event in enumerate(events)]


# Lists of few events would mostly be days without any: many, and of those some quiet days left out.
moves_of = st.lists(transactions, min_size=30, max_size=110).map(lambda events: numbered(events, "t", "event_id"))
reports_of = st.lists(reports, max_size=30).map(lambda events: numbered(events, "r", "report_id"))
loans_of = st.lists(loans, max_size=12).map(lambda events: numbered(events, "l", "event_id"))
quiet_of = st.sets(st.integers(0, DAYS - 1), max_size=6)


def changed(policy: Policy, values: Mapping[str, str], silence: str, missing_rate: str) -> Policy:
    """The policy with other figures and modes of both rules, and of the others only those that often tell something."""
    rules = policy.detectors
    figures = {name: replace(getattr(rules.silence, name), value=Decimal(value)) for name, value in values.items()}
    off = {
        name: replace(getattr(rules, name), mode="off") for name in rules.__struct_fields__ if name not in TELLING_RULES
    }
    both = {
        "silence": replace(rules.silence, mode=silence, **figures),
        "missing_rate": replace(rules.missing_rate, mode=missing_rate),
    }
    return replace(policy, detectors=replace(rules, **off | both))


def from_day(policy: Policy, day: int) -> Policy:
    first = START + timedelta(days=day)
    return replace(policy, policy=replace(policy.policy, version=f"from {first.date()}", valid_from=first))


def delayed(records: Sequence[tuple[str, Any]], dice: Random) -> list[tuple[str, Any]]:
    """Records by their times, each behind by less than the grace, some twice: none comes after its day is closed."""
    copies = [record for record in records for _ in range(dice.choice([1, 1, 1, 2]))]
    arrivals = [(one.event_time + timedelta(hours=GRACE * dice.random()), n) for n, (_, one) in enumerate(copies)]
    return [copies[n] for _, n in sorted(arrivals)]


def streamed(
    policies: PolicyHistory, records: Sequence[tuple[str, Any]], restarts: set[int]
) -> tuple[dict[str, RiskWarning], list[tuple[str, datetime]]]:
    """The warnings of both rules, and what was told for the first time by any rule."""
    pipeline = LocalPipeline(policies)
    first = []
    for number, (topic, event) in enumerate(records):
        emits = pipeline.feed(topic, event)
        told = [emit.value for emit in emits if emit.topic == "warnings" and emit.value.revision == 1]
        first += [(one.detector, one.event_time) for one in told]
        if number in restarts:
            pipeline.restart()
    pipeline.finish()
    return {key: one for key, one in pipeline.warnings.items() if one.detector in DETECTORS}, first


def expected(
    policies: PolicyHistory, records: Sequence[tuple[str, Any]], told: list[tuple[str, datetime]]
) -> dict[str, tuple[Any, ...]]:
    frames = {
        topic: oracle.from_events([event for one, event in records if one == topic])
        for topic in {topic for topic, _ in records}
    }
    first = pl.DataFrame(told, schema={"detector": pl.String, "event_time": pl.Datetime("us", "UTC")}, orient="row")
    rows = oracle.warnings(**frames, told=first, policies=policies)
    return {
        row["warning_id"]: (
            row["detector"],
            row["subject"],
            row["severity"],
            tuple(row["departments"]),
            row["event_time"],
            row["window_end"],
            row["observed"],
        )
        for row in rows.filter(pl.col("detector").is_in(DETECTORS)).iter_rows(named=True)
    }


def shown(warnings: Mapping[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    return {
        key: (
            one.detector,
            one.subject,
            one.severity,
            one.departments,
            one.event_time,
            one.window.end,
            one.reasons[0].observed,
        )
        for key, one in warnings.items()
    }


@given(
    figures,
    changes,
    moves_of,
    reports_of,
    quiet_of,
    st.sets(st.integers(0, 200), max_size=20),
    st.randoms(use_true_random=False),
)
@settings(max_examples=30, deadline=None)
def test_activity_in_any_order_within_the_grace(
    policy: Policy,
    values: dict[str, str],
    change: tuple[int, dict[str, str], str, str] | None,
    moves: list[Transaction],
    filed: list[PostReport],
    quiet: set[int],
    restarts: set[int],
    dice: Random,
) -> None:
    versions = [changed(policy, values, "live", "live")]
    if change is not None:
        day, others, silence, missing_rate = change
        versions.append(from_day(changed(policy, others, silence, missing_rate), day))
    policies = PolicyHistory(*versions)
    records: list[tuple[str, Any]] = [
        ("transactions", one) for one in moves if (one.event_time - START).days not in quiet
    ]
    records += [("reports", one) for one in filed]
    arrivals = delayed(records, dice)
    found, told = streamed(policies, arrivals, restarts)
    assert shown(found) == expected(policies, arrivals, told)
    rates = [one for one in found.values() if one.detector == "missing_rate"]
    assert all(one.event_count == int(one.reasons[0].observed) for one in rates)


@given(loans_of, st.lists(transactions, max_size=10), st.sampled_from(["live", "off"]), st.sets(st.integers(0, 40)))
@settings(max_examples=30, deadline=None)
def test_loans_count_beside_transactions(
    policy: Policy, lent: list[LoanEvent], moves: list[Transaction], mode: str, restarts: set[int]
) -> None:
    policies = PolicyHistory(changed(policy, {}, "live", mode))
    records: list[tuple[str, Any]] = [("loans", one) for one in lent]
    records += [("transactions", one) for one in numbered(moves, "t", "event_id")]
    arrivals = sorted(records, key=lambda record: record[1].event_time)
    found, told = streamed(policies, arrivals, restarts)
    assert shown(found) == expected(policies, arrivals, told)


def test_a_branch_that_stops_and_a_currency_without_a_rate(policy: Policy) -> None:
    """What the property would also find if both sides found nothing at all."""
    policies = PolicyHistory(changed(policy, {"learn": "3", "minimum": "4"}, "live", "live"))
    records: list[tuple[str, Any]] = []
    for day in range(2, 7):  # 2 to 6 March 2026, branch B1 empty on the 5th and 6th
        for number in range(8):
            branch = "B1" if day < 5 else "B2"
            when = at(f"2026-03-0{day} 10:{number:02d}")
            records.append(
                ("transactions", transaction(f"{day}-{number}", when, "1", customer_id=f"C{number}", branch_id=branch))
            )
    records.append(("transactions", transaction("aud", "2026-03-06 11:00", "1", currency="AUD", customer_id="C9")))
    records.append(("reports", report("clock", "2026-03-07 06:00:01")))
    found, told = streamed(policies, records, set())
    assert shown(found) == expected(policies, records, told)
    silence, rate = sorted(found.values(), key=lambda one: one.detector, reverse=True)
    assert (silence.subject, silence.event_count, silence.reasons[0].threshold) == ("branch:B1", 2, "2")
    assert silence.window.start.astimezone(START.tzinfo).date() == date(2026, 3, 5)
    assert Decimal(silence.reasons[0].observed) == 0
    assert (rate.subject, rate.event_ids) == ("currency:AUD", ("aud",))
