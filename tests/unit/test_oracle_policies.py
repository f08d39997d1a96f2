"""The oracle while figures change: each event and each window is judged by what holds on its own day."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, LoanEvent, PostReport, Transaction
from models.policy import Amounts, Policy, PolicyHistory
from models.reference import Rate
from models.watch_list import WatchEntry
from tests.make import at, loan, report, transaction

LARGE, FREQUENT, TELLER, INDUSTRY = (
    "large_transaction",
    "frequent_large_transfers",
    "teller_report",
    "industry_concentration",
)
CASH = {"method": "cash"}


def judged(
    policies: PolicyHistory, events: Sequence[Transaction], reports: Sequence[PostReport] = ()
) -> dict[str, pl.DataFrame]:
    frames = {"transactions": oracle.from_events(events), "reports": oracle.from_events(reports)}
    found = oracle.warnings(**frames, policies=policies)
    return {name: found.filter(pl.col("detector") == name).sort("anchor") for name in (LARGE, FREQUENT, TELLER)}


def large(policies: PolicyHistory, *events: Transaction) -> list[tuple[str, str]]:
    return judged(policies, events)[LARGE].select("anchor", "severity").rows()


def refused(policies: PolicyHistory, *events: Transaction) -> list[tuple[str, str]]:
    return oracle.refusals(transactions=oracle.from_events(events), policies=policies).rows()


def with_rule(policy: Policy, name: str, **fields: Any) -> Policy:
    rule = replace(getattr(policy.detectors, name), **fields)
    return replace(policy, detectors=replace(policy.detectors, **{name: rule}))


def with_cash(policy: Policy, **fields: Any) -> Policy:
    return with_rule(policy, LARGE, cash=replace(policy.detectors.large_transaction.cash, **fields))


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def figure(policy: Policy, value: str) -> Any:
    return replace(policy.events.lateness, value=Decimal(value))


def rate(currency: str, day: str, value: str) -> Rate:
    return Rate(currency=currency, as_of=date.fromisoformat(day), rate=Decimal(value), source="the central bank")


# ------------------------------------------------------------------- a new version


@pytest.fixture
def lowered(policy: Policy) -> PolicyHistory:
    """From 5 March 2026 on, cash is reported from ¥20,000 (USD 3,000), before from ¥50,000 (USD 10,000)."""
    amounts = {"CNY": Decimal(20_000), "USD": Decimal(3_000)}
    return PolicyHistory(policy, from_day(with_cash(policy, amounts=amounts), "2026-03-05"))


def test_a_threshold_is_lowered_at_midnight(lowered: PolicyHistory) -> None:
    last, first = "2026-03-04 23:59:59.999999", "2026-03-05 00:00"
    assert large(lowered, transaction("e1", last, "49999.99", **CASH)) == []
    assert large(lowered, transaction("e1", last, "50000", **CASH)) == [("cash|out|CNY|2026-03-04", "low")]
    assert large(lowered, transaction("e1", first, "19999.99", **CASH)) == []
    assert large(lowered, transaction("e1", first, "20000", **CASH)) == [("cash|out|CNY|2026-03-05", "low")]


def test_severities_on_each_side_are_multiples_of_the_days_own_threshold(lowered: PolicyHistory) -> None:
    events = [transaction(day, f"{day} 10:00", "100000", **CASH) for day in ("2026-03-04", "2026-03-05")]
    assert large(lowered, *events) == [("cash|out|CNY|2026-03-04", "low"), ("cash|out|CNY|2026-03-05", "medium")]


def test_a_late_event_is_judged_by_the_day_on_which_it_happened(lowered: PolicyHistory) -> None:
    late = transaction("late", "2026-03-04 10:00", "30000", **CASH)
    assert large(lowered, transaction("new", "2026-03-06 10:00", "1"), late) == []


def test_converted_amounts_are_held_against_the_lowered_threshold_too(lowered: PolicyHistory) -> None:
    # USD 3,000 are ¥21,300, and EUR 2,597.56... at 8.20.
    for amount, expected in (("2597.56", []), ("2597.57", [("cash|out|USD|2026-03-05", "low")])):
        assert large(lowered, transaction("e1", "2026-03-05 10:00", amount, currency="EUR", **CASH)) == expected


def test_a_purpose_is_exempt_only_while_the_policy_says_so(policy: Policy) -> None:
    exempt = with_rule(policy, LARGE, exempt_purposes=("new_purpose",))
    policies = PolicyHistory(policy, from_day(exempt, "2026-03-05"))
    events = [
        transaction(day, f"{day} 10:00", "50000", purpose="new_purpose", **CASH) for day in ("2026-03-04", "2026-03-05")
    ]
    assert large(policies, *events) == [("cash|out|CNY|2026-03-04", "low")]


def test_lateness_is_that_of_the_events_own_day(policy: Policy) -> None:
    longer = from_day(replace(policy, events=replace(policy.events, lateness=figure(policy, "5"))), "2026-03-05")
    policies = PolicyHistory(policy, longer)
    newest = transaction("new", "2026-03-09 10:00", "1")
    under_old = transaction("old", "2026-03-04 23:59", "1")  # more than its 3 days behind, less than 5
    in_time = transaction("in_time", "2026-03-05 00:00", "1")
    assert refused(policies, newest, in_time, under_old) == [("old", "too_late")]


def test_a_rule_is_switched_off_for_a_day(policy: Policy) -> None:
    off = from_day(with_rule(policy, LARGE, mode="off"), "2026-03-05")
    policies = PolicyHistory(policy, off, from_day(policy, "2026-03-06"))
    days = ("2026-03-04", "2026-03-05", "2026-03-06")
    found = large(policies, *(transaction(day, f"{day} 10:00", "50000", **CASH) for day in days))
    assert [anchor for anchor, _ in found] == ["cash|out|CNY|2026-03-04", "cash|out|CNY|2026-03-06"]


def test_whether_a_report_corroborates_is_asked_of_its_own_day(policy: Policy) -> None:
    events = [transaction(f"e{i}", f"2026-03-04 1{i}:00", "400000") for i in range(3)]
    shadow = from_day(with_rule(policy, FREQUENT, mode="shadow"), "2026-03-05")
    short = from_day(with_rule(policy, TELLER, corroborated_within=figure(policy, "0")), "2026-03-05")
    for later in (shadow, short):
        policies = PolicyHistory(
            with_rule(policy, "structuring", mode="off"), with_rule(later, "structuring", mode="off")
        )
        for day, severity in (("2026-03-04", "high"), ("2026-03-05", "medium")):
            found = judged(policies, events, [report("r1", f"{day} 10:00")])
            assert found[FREQUENT]["severity"].to_list() == [severity]
            assert found[TELLER]["severity"].to_list() == [severity]


# ---------------------------------------------------------------- windows of days


def daily(*days: str) -> list[Transaction]:
    return [transaction(day, f"{day} 10:00", "400000") for day in days]


def frequent(policies: PolicyHistory, *days: str) -> list[tuple[str, str, str]]:
    return judged(policies, daily(*days))[FREQUENT].select("anchor", "severity", "observed").rows()


def test_a_run_is_judged_by_the_day_that_closes_it(policy: Policy) -> None:
    two = from_day(with_rule(policy, FREQUENT, consecutive_days=figure(policy, "2"), severity="high"), "2026-03-05")
    policies = PolicyHistory(policy, two)
    assert frequent(policies, "2026-03-03", "2026-03-04") == []
    assert frequent(policies, "2026-03-04", "2026-03-05") == [("consecutive_days|out|2026-04", "high", "2")]
    # Closed by the 4th, the last day of its block, and once more by the 5th.
    assert frequent(policies, "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05") == [
        ("consecutive_days|out|2026-03", "medium", "3"),
        ("consecutive_days|out|2026-04", "high", "2"),
    ]


def test_blocks_are_those_of_the_closing_day(policy: Policy) -> None:
    # 5 March 2026 is the 41st working day: block 40 // 10 before, 40 // 20 with blocks of twenty.
    twenty = from_day(with_rule(policy, FREQUENT, within=figure(policy, "20")), "2026-03-05")
    days = ("2026-03-03", "2026-03-04", "2026-03-05")
    assert frequent(PolicyHistory(policy), *days) == [("consecutive_days|out|2026-04", "medium", "3")]
    assert frequent(PolicyHistory(policy, twenty), *days) == [("consecutive_days|out|2026-02/20", "medium", "3")]


def test_a_window_under_daily_rates_is_one_window(policy: Policy) -> None:
    days = ("2026-03-05", "2026-03-06", "2026-03-09", "2026-03-11", "2026-03-12", "2026-03-13", "2026-03-16")
    rates = [rate("USD", day, f"7.1{number}") for number, day in enumerate(days)]
    expected = [("consecutive_days|out|2026-04", "medium", "7")]
    assert frequent(PolicyHistory(policy, rates=rates), *days) == expected


def test_whether_a_transfer_is_large_is_asked_of_its_own_day(policy: Policy) -> None:
    # 80 % of 500,000 before, of 600,000 from the 5th on.
    rule = policy.detectors.large_transaction.person_domestic
    raised = replace(rule, amounts={"CNY": Decimal(600_000), "USD": Decimal(100_000)})
    policies = PolicyHistory(policy, from_day(with_rule(policy, LARGE, person_domestic=raised), "2026-03-05"))
    before = [transaction(f"e{i}", f"2026-03-04 1{i}:00", "400000") for i in range(3)]
    after = [transaction(f"f{i}", f"2026-03-05 1{i}:00", "479999.99") for i in range(3)]
    assert judged(policies, before + after)[FREQUENT]["anchor"].to_list() == ["same_day|out|2026-03-04"]
    at_figure = [replace(event, amount=Decimal(480_000)) for event in after]
    assert judged(policies, at_figure)[FREQUENT]["anchor"].to_list() == ["same_day|out|2026-03-05"]


def test_a_watch_list_entry_counts_from_its_first_day_to_its_last(policy: Policy) -> None:
    entry = WatchEntry(
        entry_id="W1",
        kind="account",
        value="P1",
        source="own list",
        valid_from=date(2026, 3, 3),
        valid_until=date(2026, 3, 5),
    )
    policies = PolicyHistory(policy, watch_list=[entry])
    for day, severity in (("02", "medium"), ("03", "critical"), ("04", "critical"), ("05", "medium")):
        events = [transaction(f"e{i}", f"2026-03-{day} 1{i}:00", "400000") for i in range(3)]
        assert judged(policies, events)[FREQUENT]["severity"].to_list() == [severity]


# --------------------------------------------------------------------------- rates


def test_a_rate_changes_at_midnight(policy: Policy) -> None:
    # 10,000 USD at 7.10 are 8,658.54 EUR at 8.20, and 8,452.39 EUR at 8.4000: each rounded up to the cent.
    policies = PolicyHistory(policy, rates=[rate("EUR", "2026-03-05", "8.4000")])
    euros = {"currency": "EUR", **CASH}
    for when, below, reached in (
        ("2026-03-04 23:59:59.999999", "8658.53", "8658.54"),
        ("2026-03-05 00:00", "8452.38", "8452.39"),
    ):
        assert large(policies, transaction("e1", when, below, **euros)) == []
        assert large(policies, transaction("e1", when, reached, **euros)) == [(f"cash|out|USD|{when[:10]}", "low")]


def test_sums_under_rates_of_other_decimal_places_are_told_exactly(policy: Policy) -> None:
    policies = PolicyHistory(policy, rates=[rate("USD", "2026-03-05", "7.123456")])
    events = [
        transaction("e1", "2026-03-04 10:00", "12345.67", currency="USD", **CASH),
        transaction("e2", "2026-03-05 10:00", "12345.67", currency="USD", **CASH),
    ]
    assert judged(policies, events)[LARGE]["observed"].to_list() == ["12345.67", "12345.67"]


def test_a_currency_is_refused_before_its_first_rate(policy: Policy) -> None:
    policies = PolicyHistory(policy, rates=[rate("CHF", "2026-03-05", "8.875")])
    before = transaction("e1", "2026-03-04 23:59:59.999999", "8000", currency="CHF", **CASH)
    after = transaction("e2", "2026-03-05 00:00", "8000", currency="CHF", **CASH)  # 71,000 CNY: 10,000 USD exactly
    assert refused(policies, before, after) == [("e1", "no_rate")]
    assert large(policies, before, after) == [("cash|out|USD|2026-03-05", "low")]
    assert large(policies, before, replace(after, amount=Decimal("7999.99"))) == []


def test_a_currency_with_a_threshold_of_its_own_needs_a_rate_all_the_same(policy: Policy) -> None:
    own = policy.detectors.large_transaction.cash.amounts | {"CHF": Decimal(9_000)}
    unrated = transaction("e1", "2026-03-04 10:00", "9000", currency="CHF", **CASH)
    assert refused(PolicyHistory(with_cash(policy, amounts=own)), unrated) == [("e1", "no_rate")]
    rated = PolicyHistory(with_cash(policy, amounts=own), rates=[rate("CHF", "2026-03-01", "8.875")])
    assert large(rated, unrated) == [("cash|out|CHF|2026-03-04", "low")]


# ------------------------------------------------------------- above, and unreported


def test_only_above_its_threshold_a_sum_is_reported_where_the_law_says_so(policy: Policy) -> None:
    strict = PolicyHistory(with_cash(policy, op=">"))
    for amount, currency in (("50000", "CNY"), ("10000", "USD"), ("8658.53", "EUR")):
        assert large(strict, transaction("e1", "2026-03-04 10:00", amount, currency=currency, **CASH)) == []
    for amount, currency, bucket in (("50000.01", "CNY", "CNY"), ("10000.01", "USD", "USD"), ("8658.54", "EUR", "USD")):
        found = large(strict, transaction("e1", "2026-03-04 10:00", amount, currency=currency, **CASH))
        assert found == [(f"cash|out|{bucket}|2026-03-04", "low")]
    halves = [transaction(name, "2026-03-04 10:00", "25000", **CASH) for name in ("e1", "e2")]
    assert large(strict, *halves) == []
    assert large(strict, *halves, transaction("e3", "2026-03-04 10:00", "0.01", **CASH)) != []


def test_a_transfer_is_large_only_above_its_share_where_the_law_says_above(policy: Policy) -> None:
    rule: Amounts = policy.detectors.large_transaction.person_domestic
    policies = PolicyHistory(with_rule(policy, LARGE, person_domestic=replace(rule, op=">")))
    for amount, count in (("400000", 0), ("400000.01", 1)):
        events = [transaction(f"e{i}", f"2026-03-04 1{i}:00", amount) for i in range(3)]
        assert judged(policies, events)[FREQUENT].height == count


def test_a_class_that_no_law_reports_still_says_what_is_large(policy: Policy) -> None:
    rule = policy.detectors.large_transaction.person_domestic
    policies = PolicyHistory(with_rule(policy, LARGE, person_domestic=replace(rule, reported=False)))
    events = [transaction(f"e{i}", f"2026-03-04 1{i}:00", "9000000") for i in range(3)]
    found = judged(policies, events)
    assert found[LARGE].height == 0
    assert found[FREQUENT]["anchor"].to_list() == ["same_day|out|2026-03-04"]
    assert large(policies, transaction("c", "2026-03-04 10:00", "50000", **CASH)) == [
        ("cash|out|CNY|2026-03-04", "low")
    ]


# ---------------------------------------------------------------------- loan books


def book(policies: PolicyHistory, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition] = ()) -> list[Any]:
    base = [loan(f"base-{i}", f"2026-03-01 00:{i:02d}", "50000", "") for i in range(20)]
    frames = {"loans": oracle.from_events([*base, *events]), "capital": oracle.from_events(capital)}
    found = oracle.warnings(**frames, policies=policies).filter(pl.col("subject").str.starts_with("industry:"))
    return found.sort("anchor").select("anchor", "severity").rows()


def test_a_loan_is_converted_at_the_rate_of_its_day(policy: Policy) -> None:
    # A book of 1,000,000 and a loan of x: 15 % are reached at x = 176,470.59, that is USD 24,855.0125 at 7.10.
    policies = PolicyHistory(policy, rates=[rate("USD", "2026-03-05", "7.2")])
    assert book(policies, [loan("x", "2026-03-04 10:00", "24855.01", currency="USD")]) == []
    assert book(policies, [loan("x", "2026-03-04 10:00", "24855.02", currency="USD")]) == [("2026-03-04", "low")]
    assert book(policies, [loan("x", "2026-03-05 10:00", "24509.80", currency="USD")]) == []
    assert book(policies, [loan("x", "2026-03-05 10:00", "24509.81", currency="USD")]) == [("2026-03-05", "low")]


@pytest.mark.parametrize("later", ["6.9", "7.3"])
def test_what_is_outstanding_is_counted_in_the_loans_own_currency(policy: Policy, later: str) -> None:
    policies = PolicyHistory(policy, rates=[rate("USD", "2026-03-05", later)])
    paid = {"currency": "USD", "loan_id": "L", "borrower_id": "B"}
    events = [
        loan("x", "2026-03-04 10:00", "1000", **paid),
        loan("y", "2026-03-05 10:00", "999.99", kind="repaid", **paid),
        loan("z", "2026-03-05 11:00", "0.02", kind="repaid", **paid),
    ]
    refusals = oracle.refusals(loans=oracle.from_events(events), policies=policies)
    assert refusals.rows() == [("z", "repays_past_zero")]


def test_levels_are_those_of_the_events_day(policy: Policy) -> None:
    rule = policy.detectors.industry_concentration
    half = replace(rule.share, observation=figure(policy, "0.05"))
    policies = PolicyHistory(policy, from_day(with_rule(policy, INDUSTRY, share=half), "2026-03-05"))
    first = loan("x", "2026-03-04 10:00", "90000")
    assert book(policies, [first]) == []
    assert book(policies, [first, loan("y", "2026-03-05 10:00", "1", "")]) == [("2026-03-05", "low")]
