"""missing_rate by the oracle: what was refused for want of a rate, one warning a currency and day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from models.risk_warning import warning_id
from tests.make import at, loan, transaction

NAME = "missing_rate"


def with_rule(policy: Policy, **fields: Any) -> Policy:
    rule = replace(policy.detectors.missing_rate, **fields)
    return replace(policy, detectors=replace(policy.detectors, missing_rate=rule))


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def judged(policies: PolicyHistory, **events: Sequence[Any]) -> list[dict[str, Any]]:
    frames = {name: oracle.from_events(sent) for name, sent in events.items()}
    found = oracle.warnings(**frames, policies=policies).filter(pl.col("detector") == NAME)
    return found.sort("anchor", "subject").to_dicts()


def short(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["subject"], row["anchor"], row["observed"]) for row in rows]


def test_one_warning_a_currency_and_day(policies: PolicyHistory) -> None:
    rows = judged(
        policies,
        transactions=[
            transaction("e1", "2026-03-02 10:00", "1", currency="AUD"),
            transaction("e3", "2026-03-02 23:59:59.999999", "1", currency="AUD", customer_id="C3"),
            transaction("e2", "2026-03-02 11:00", "1", currency="AUD", customer_id="C2"),
            transaction("f1", "2026-03-03 00:00", "1", currency="AUD"),
            transaction("g1", "2026-03-02 10:00", "1", currency="CHF"),
            transaction("h1", "2026-03-02 10:00", "1", currency="USD"),
        ],
    )
    assert short(rows) == [
        ("currency:AUD", "2026-03-02", "3"),
        ("currency:CHF", "2026-03-02", "1"),
        ("currency:AUD", "2026-03-03", "1"),
    ]
    first, _, next_day = rows
    assert first["warning_id"] == warning_id(NAME, 1, "currency:AUD", "2026-03-02")
    assert first["departments"] == ["operations"]
    assert first["event_time"] == datetime(2026, 3, 2, 15, 59, 59, 999999, tzinfo=UTC)
    assert first["window_end"] == datetime(2026, 3, 2, 16, tzinfo=UTC)  # midnight in Shanghai
    assert next_day["event_time"] == datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert next_day["window_end"] == datetime(2026, 3, 3, 16, tzinfo=UTC)


def test_nothing_refused_is_no_warning(policies: PolicyHistory) -> None:
    assert judged(policies) == []
    assert judged(policies, transactions=[transaction("e1", "2026-03-02 10:00", "1", currency="EUR")]) == []


def test_each_record_counts_one_sent_twice_as_two(policies: PolicyHistory) -> None:
    once = transaction("e1", "2026-03-02 10:00", "1", currency="AUD")
    assert short(judged(policies, transactions=[once, once])) == [("currency:AUD", "2026-03-02", "2")]


def test_what_the_bank_booked_itself_needs_no_rate(policies: PolicyHistory) -> None:
    assert (
        judged(policies, transactions=[transaction("e1", "2026-03-02 10:00", "1", currency="AUD", origin="bank")]) == []
    )


def test_only_what_was_refused_for_its_rate_counts(policies: PolicyHistory) -> None:
    newest = transaction("new", "2026-03-20 10:00", "1")
    too_late = transaction("late", "2026-03-02 10:00", "1", currency="AUD")
    assert judged(policies, transactions=[newest, too_late]) == []
    sent = oracle.from_events([too_late], ingest_times=[at("2026-03-02 09:00")])
    future = oracle.warnings(transactions=sent, policies=policies)
    assert future.filter(pl.col("detector") == NAME).height == 0


def test_loans_count_in_the_same_warning_and_capital_does_not(policies: PolicyHistory) -> None:
    rows = judged(
        policies,
        transactions=[transaction("e1", "2026-03-02 10:00", "1", currency="AUD")],
        loans=[
            loan("l1", "2026-03-02 12:00", "1000", currency="AUD"),
            loan("l2", "2026-03-02 12:00", "1000", currency="AUD", kind="approved"),
            loan("l3", "2026-03-02 12:00", "1000", currency="CHF"),
        ],
        capital=[
            CapitalPosition(
                entity="BANK1",
                as_of=date(2026, 3, 2),
                net_capital=Decimal(1),
                tier1_capital=Decimal(1),
                currency="NZD",
            )
        ],
    )
    # A loan that is only approved moves no book, so its rate is not asked for.
    assert short(rows) == [("currency:AUD", "2026-03-02", "2"), ("currency:CHF", "2026-03-02", "1")]
    assert rows[0]["event_time"] == datetime(2026, 3, 2, 4, tzinfo=UTC)


def test_a_rate_ends_it_from_its_day_on(policy: Policy) -> None:
    rates = [Rate(currency="AUD", as_of=date(2026, 3, 3), rate=Decimal("4.7"), source="the central bank")]
    sent = [transaction(day, f"{day} 10:00", "1", currency="AUD") for day in ("2026-03-02", "2026-03-03", "2026-03-04")]
    assert short(judged(PolicyHistory(policy, rates=rates), transactions=sent)) == [("currency:AUD", "2026-03-02", "1")]


@pytest.mark.parametrize(("mode", "count"), [("live", 3), ("shadow", 3), ("off", 2)])
def test_each_day_is_judged_by_its_own_version(policy: Policy, mode: str, count: int) -> None:
    other = from_day(with_rule(policy, mode=mode, severity="critical", departments=("it",)), "2026-03-03")
    policies = PolicyHistory(policy, other, from_day(policy, "2026-03-04"))
    sent = [transaction(day, f"{day} 10:00", "1", currency="AUD") for day in ("2026-03-02", "2026-03-03", "2026-03-04")]
    rows = judged(policies, transactions=sent)
    assert len(rows) == count
    by_day = {row["anchor"]: (row["severity"], row["departments"]) for row in rows}
    usual = (policy.detectors.missing_rate.severity, ["operations"])
    assert by_day["2026-03-02"] == by_day["2026-03-04"] == usual
    assert by_day.get("2026-03-03") == (None if mode == "off" else ("critical", ["it"]))


def test_a_rule_that_is_off_everywhere_says_nothing(policy: Policy) -> None:
    sent = [transaction("e1", "2026-03-02 10:00", "1", currency="AUD")]
    assert judged(PolicyHistory(with_rule(policy, mode="off")), transactions=sent) == []
