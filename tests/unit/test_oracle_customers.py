"""The oracle on small histories whose warnings can be worked out by hand: transactions and reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import Counterparty, PostReport, Transaction
from models.policy import Policy, PolicyHistory
from models.risk_warning import warning_id
from models.watch_list import WatchEntry
from tests.make import report, transaction


@dataclass
class Found:
    frame: pl.DataFrame

    def of(self, detector: str) -> dict[tuple[str, str], str]:
        rows = self.frame.filter(pl.col("detector") == detector)
        return {(row["subject"], row["anchor"]): row["severity"] for row in rows.iter_rows(named=True)}

    def anchors(self, detector: str) -> list[str]:
        return sorted(anchor for _, anchor in self.of(detector))

    def row(self, anchor: str) -> dict[str, Any]:
        return self.frame.row(by_predicate=pl.col("anchor") == anchor, named=True)


def judge(policy: Policy | PolicyHistory, events: Sequence[Transaction], reports: Sequence[PostReport] = ()) -> Found:
    frames = {"transactions": oracle.from_events(events), "reports": oracle.from_events(reports)}
    policies = PolicyHistory(policy) if isinstance(policy, Policy) else policy
    found = oracle.warnings(**frames, policies=policies)
    return Found(found.filter(pl.col("detector").is_in([LARGE, FREQUENT, TELLER])))


def refused(policy: Policy, events: Sequence[Transaction], **fields: Any) -> list[tuple[str, str]]:
    return oracle.refusals(transactions=oracle.from_events(events, **fields), policies=PolicyHistory(policy)).rows()


LARGE, FREQUENT, TELLER = "large_transaction", "frequent_large_transfers", "teller_report"


# ------------------------------------------------------------ large_transaction


@pytest.mark.parametrize(
    ("fields", "threshold", "name"),
    [
        ({"method": "cash"}, "50000", "cash"),
        ({"method": "cash", "customer_kind": "entity", "cross_border": True}, "50000", "cash"),
        ({"customer_kind": "entity"}, "2000000", "entity_transfer"),
        ({"customer_kind": "entity", "cross_border": True}, "2000000", "entity_transfer"),
        ({}, "500000", "person_domestic"),
        ({"cross_border": True}, "200000", "person_cross_border"),
        ({"method": "cash", "currency": "USD"}, "10000", "cash"),
        ({"currency": "USD"}, "100000", "person_domestic"),
    ],
)
def test_a_sum_fires_at_its_threshold_and_not_a_cent_below(
    policy: Policy, fields: dict[str, Any], threshold: str, name: str
) -> None:
    bucket = fields.get("currency", "CNY")
    for change, expected in (("-0.01", []), ("0", ["low"]), ("0.01", ["low"])):
        amount = str(Decimal(threshold) + Decimal(change))
        found = judge(policy, [transaction("e1", "2026-03-02 10:00", amount, **fields)])
        assert list(found.of(LARGE).values()) == expected
        if expected:
            assert found.anchors(LARGE) == [f"{name}|out|{bucket}|2026-03-02"]


@pytest.mark.parametrize(
    ("amount", "severity"),
    [("249999.99", "low"), ("250000", "medium"), ("999999.99", "medium"), ("1000000", "high")],
)
def test_severity_rises_with_multiples_of_the_threshold(policy: Policy, amount: str, severity: str) -> None:
    found = judge(policy, [transaction("e1", "2026-03-02 10:00", amount, method="cash")])
    assert list(found.of(LARGE).values()) == [severity]


def test_a_days_transactions_are_summed_for_one_customer_direction_and_class(policy: Policy) -> None:
    cash = {"method": "cash"}
    found = judge(
        policy,
        [
            transaction("e1", "2026-03-02 10:00", "30000", **cash),
            transaction("f1", "2026-03-02 10:01", "30000", customer_id="C2", **cash),
            transaction("e2", "2026-03-02 11:00", "19999.99", **cash),
            transaction("e3", "2026-03-02 11:30", "49999", direction="in", **cash),
            transaction("f2", "2026-03-02 12:00", "20000", customer_id="C2", **cash),
            transaction("e4", "2026-03-02 12:30", "40000"),
        ],
    )
    assert found.of(LARGE) == {("customer:C2", "cash|out|CNY|2026-03-02"): "low"}
    row = found.row("cash|out|CNY|2026-03-02")
    assert row["warning_id"] == warning_id(LARGE, 1, "customer:C2", "cash|out|CNY|2026-03-02")
    assert row["departments"] == ["operations"]
    assert row["observed"] == "50000.00"
    assert row["event_time"] == datetime(2026, 3, 2, 4, tzinfo=UTC)
    assert row["window_end"] == datetime(2026, 3, 2, 16, tzinfo=UTC)  # midnight in Shanghai


def test_days_end_at_midnight_in_the_banks_zone(policy: Policy) -> None:
    before, midnight = "2026-03-02 23:59:59.999", "2026-03-03 00:00"
    split = [
        transaction("e1", before, "25000", method="cash"),
        transaction("e2", midnight, "25000", method="cash"),
    ]
    assert judge(policy, split).anchors(LARGE) == []
    whole = [*split, transaction("e3", "2026-03-03 23:59:59.999", "25000", method="cash")]
    assert judge(policy, whole).anchors(LARGE) == ["cash|out|CNY|2026-03-03"]


def test_a_currency_without_a_threshold_is_converted_into_the_foreign_one(policy: Policy) -> None:
    # 10,000 USD are 71,000 CNY, and 8,658.536... EUR at 8.20.
    below = judge(policy, [transaction("e1", "2026-03-02 10:00", "8658.53", method="cash", currency="EUR")])
    assert below.anchors(LARGE) == []
    above = judge(policy, [transaction("e1", "2026-03-02 10:00", "8658.54", method="cash", currency="EUR")])
    assert above.anchors(LARGE) == ["cash|out|USD|2026-03-02"]
    assert above.frame["observed"][0] == "10000.003944"  # of 10,000.003943661...: six places, as the stream tells it


def test_converted_amounts_add_up_exactly_with_those_in_the_foreign_currency(policy: Policy) -> None:
    # 82 a + 95 b + 71 c = 710,000 with euros a, pounds b, dollars c: each quotient by 7.10 alone has no end.
    def day(dollars: str) -> list[Transaction]:
        parts = [("e1", "4750", "EUR"), ("e2", "500", "GBP"), ("e3", dollars, "USD")]
        return [transaction(i, "2026-03-02 10:00", a, method="cash", currency=c) for i, a, c in parts]

    exact = (Decimal(71000) - Decimal(4750) * Decimal("8.2") - Decimal(500) * Decimal("9.5")) / Decimal("7.1")
    just_below = exact.quantize(Decimal("0.01"), rounding="ROUND_FLOOR")
    assert judge(policy, day(str(just_below))).anchors(LARGE) == []
    assert judge(policy, day(str(just_below + Decimal("0.01")))).anchors(LARGE) == ["cash|out|USD|2026-03-02"]
    equal = [
        transaction("e1", "2026-03-02 10:00", "71", method="cash", currency="EUR"),
        transaction("e2", "2026-03-02 11:00", "9918", method="cash", currency="USD"),
    ]
    assert judge(policy, equal).frame["observed"].to_list() == ["10000.00"]


def test_a_currency_without_a_rate_is_refused_unless_the_bank_made_the_entry(policy: Policy) -> None:
    events = [
        transaction("e1", "2026-03-02 10:00", "900000", method="cash", currency="AUD"),
        transaction("e2", "2026-03-02 10:00", "900000", method="cash", currency="AUD", origin="bank"),
        transaction("e3", "2026-03-02 10:00", "50000", method="cash"),
    ]
    assert refused(policy, events) == [("e1", "no_rate")]
    assert judge(policy, events).anchors(LARGE) == ["cash|out|CNY|2026-03-02"]


def test_bank_made_entries_and_exempt_purposes_count_in_no_rule(policy: Policy) -> None:
    for fields in ({"origin": "bank"}, {"purpose": "own_account_transfer"}):
        events = [transaction(f"e{i}", "2026-03-02 10:00", "600000", **fields) for i in range(3)]
        assert judge(policy, events).frame.height == 0


def test_one_event_counts_once_in_any_order(policy: Policy) -> None:
    a, b = (transaction(i, "2026-03-02 10:00", "20000", method="cash") for i in "ab")
    assert judge(policy, [a, b, a]).frame.height == 0
    assert judge(policy, [a, a, b]).frame.height == 0
    other = replace(a, customer_id="C2")
    assert judge(policy, [a, b, other, replace(b, customer_id="C2")]).frame.height == 0
    third = transaction("c", "2026-03-02 10:00", "10000", method="cash")
    assert judge(policy, [a, b, a, third]).anchors(LARGE) == ["cash|out|CNY|2026-03-02"]


def test_events_beyond_the_lateness_bound_are_refused(policy: Policy) -> None:
    newest = transaction("new", "2026-03-05 10:00:00", "1")
    on_time = transaction("on_time", "2026-03-02 10:00:00", "50000", method="cash")
    late = transaction("late", "2026-03-02 09:59:59.999", "50000", method="cash")
    elsewhere = transaction("elsewhere", "2026-02-02 10:00", "50000", method="cash", customer_id="C2")
    assert refused(policy, [newest, late, elsewhere, on_time]) == [("late", "too_late")]
    found = judge(policy, [newest, late, elsewhere])
    assert found.of(LARGE) == {("customer:C2", "cash|out|CNY|2026-02-02"): "low"}
    assert judge(policy, [newest, on_time]).anchors(LARGE) == ["cash|out|CNY|2026-03-02"]


def test_what_was_refused_raises_no_watermark_and_takes_no_id(policy: Policy) -> None:
    unrated = transaction("x", "2026-03-20 10:00", "900000", method="cash", currency="AUD")
    mended = transaction("x", "2026-03-02 10:00", "50000", method="cash")
    assert refused(policy, [unrated, mended]) == [("x", "no_rate")]
    assert judge(policy, [unrated, mended]).anchors(LARGE) == ["cash|out|CNY|2026-03-02"]


def test_an_id_that_comes_again_with_another_time_moves_no_watermark(policy: Policy) -> None:
    first = transaction("x", "2026-03-02 10:00", "1")
    again = transaction("x", "2026-03-30 10:00", "1")
    third = transaction("y", "2026-03-02 11:00", "50000", method="cash")
    assert refused(policy, [first, again, third]) == []
    assert judge(policy, [first, again, third]).anchors(LARGE) == ["cash|out|CNY|2026-03-02"]


def test_an_event_from_the_future_is_refused_and_makes_no_other_late(policy: Policy) -> None:
    events = [
        transaction("far", "2027-01-01 00:00", "1"),
        transaction("edge", "2026-03-02 10:05", "1"),
        transaction("now", "2026-03-02 10:00", "1"),
    ]
    arrival = [datetime(2026, 3, 2, 2, tzinfo=UTC)] * 3
    assert refused(policy, events, ingest_times=arrival) == [("far", "in_the_future")]
    early = [arrival[0], arrival[0] - timedelta(microseconds=1), arrival[0]]
    assert refused(policy, events, ingest_times=early) == [("far", "in_the_future"), ("edge", "in_the_future")]


# ----------------------------------------------------- frequent_large_transfers


def burst(day: str, count: int = 3, amount: str = "400000", **fields: Any) -> list[Transaction]:
    owner = fields.get("customer_id", "C1")
    return [transaction(f"{owner}-{day}-{i}", f"{day} 1{i}:00", amount, **fields) for i in range(count)]


def test_three_large_transfers_in_a_day_fire_even_at_a_weekend(policy: Policy) -> None:
    assert judge(policy, burst("2026-03-03", 2)).anchors(FREQUENT) == []
    assert judge(policy, burst("2026-03-03", 3, "399999.99")).anchors(FREQUENT) == []
    found = judge(policy, burst("2026-03-07"))  # a Saturday
    assert found.of(FREQUENT) == {("customer:C1", "same_day|out|2026-03-07"): "medium"}
    row = found.row("same_day|out|2026-03-07")
    assert (row["observed"], row["departments"]) == ("3", ["operations", "risk"])
    assert row["window_end"] == datetime(2026, 3, 7, 16, tzinfo=UTC)


def test_large_is_a_share_of_the_threshold_after_conversion(policy: Policy) -> None:
    # 80 % of 100,000 USD are 568,000 CNY, and 69,268.29... EUR.
    assert judge(policy, burst("2026-03-03", amount="69268.29", currency="EUR")).anchors(FREQUENT) == []
    assert judge(policy, burst("2026-03-03", amount="69268.30", currency="EUR")).frame.height == 2


def test_cash_and_the_other_direction_are_not_counted_along(policy: Policy) -> None:
    cash = transaction("cash", "2026-03-03 15:00", "400000", method="cash")
    coming_in = transaction("in", "2026-03-03 15:00", "400000", direction="in")
    assert judge(policy, [*burst("2026-03-03", 2), cash, coming_in]).anchors(FREQUENT) == []


def daily(*days: str, **fields: Any) -> list[Transaction]:
    return [transaction(f"{fields.get('customer_id', 'C1')}-{day}", f"{day} 10:00", "400000", **fields) for day in days]


def consecutive(policy: Policy, *days: str) -> list[str]:
    return judge(policy, daily(*days)).anchors(FREQUENT)


def test_three_working_days_in_a_row_fire(policy: Policy) -> None:
    # 2 March 2026 is the 38th working day of its year: block (38 - 1) // 10.
    assert consecutive(policy, "2026-03-02", "2026-03-03") == []
    assert consecutive(policy, "2026-03-02", "2026-03-03", "2026-03-05") == []
    found = judge(policy, daily("2026-03-02", "2026-03-03", "2026-03-04"))
    assert found.of(FREQUENT) == {("customer:C1", "consecutive_days|out|2026-03"): "medium"}
    row = found.row("consecutive_days|out|2026-03")
    assert row["observed"] == "3"
    assert row["window_end"] == datetime(2026, 3, 4, 16, tzinfo=UTC)


def test_a_weekend_neither_breaks_nor_extends_a_run(policy: Policy) -> None:
    assert consecutive(policy, "2026-03-05", "2026-03-06", "2026-03-09") == ["consecutive_days|out|2026-04"]
    assert consecutive(policy, "2026-03-05", "2026-03-06", "2026-03-07") == []


def test_spring_festival_and_its_make_up_saturdays(policy: Policy) -> None:
    # 15 to 23 February 2026 are holidays; Saturday the 14th and the 28th are worked instead.
    assert consecutive(policy, "2026-02-12", "2026-02-13", "2026-02-14") == ["consecutive_days|out|2026-03"]
    assert consecutive(policy, "2026-02-13", "2026-02-14", "2026-02-24") == ["consecutive_days|out|2026-03"]
    assert consecutive(policy, "2026-02-13", "2026-02-24", "2026-02-25") == []
    assert consecutive(policy, "2026-02-14", "2026-02-15", "2026-02-16") == []
    assert consecutive(policy, "2026-02-27", "2026-02-28", "2026-03-02") == ["consecutive_days|out|2026-03"]


def test_blocks_begin_anew_with_the_year(policy: Policy) -> None:
    # 31 December 2025 is working day 248; 1 to 3 January 2026 are holidays, Sunday the 4th is worked.
    across = ["2025-12-30", "2025-12-31", "2026-01-04"]
    assert consecutive(policy, *across) == ["consecutive_days|out|2026-00"]
    assert consecutive(policy, "2025-12-29", *across) == [
        "consecutive_days|out|2025-24",
        "consecutive_days|out|2026-00",
    ]


def test_a_run_across_a_block_edge_is_evidence_in_both_blocks(policy: Policy) -> None:
    # Working days 39, 40 | 41, 42: the 4th of March is the last one of its block.
    days = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]
    assert policy.bank_calendar.working_day_of_year(date(2026, 3, 4)) == 40
    found = judge(policy, daily(*days))
    rows = {
        anchor: (found.row(anchor)["observed"], found.row(anchor)["window_end"].day) for _, anchor in found.of(FREQUENT)
    }
    assert rows == {"consecutive_days|out|2026-03": ("3", 4), "consecutive_days|out|2026-04": ("3", 5)}


def test_two_runs_in_a_block_are_one_warning_of_all_their_days(policy: Policy) -> None:
    days = ["2026-03-05", "2026-03-06", "2026-03-09", "2026-03-11", "2026-03-12", "2026-03-13", "2026-03-16"]
    assert judge(policy, daily(*days)).row("consecutive_days|out|2026-04")["observed"] == "7"


def test_two_customers_interleaved_are_judged_apart(policy: Policy) -> None:
    one, two = daily("2026-03-03", "2026-03-05"), daily("2026-03-02", "2026-03-04", customer_id="C2")
    assert judge(policy, [two[0], one[0], two[1], one[1]]).anchors(FREQUENT) == []
    both = [
        event for pair in zip(burst("2026-03-03"), burst("2026-03-03", customer_id="C2"), strict=True) for event in pair
    ]
    assert sorted(judge(policy, both).of(FREQUENT)) == [
        ("customer:C1", "same_day|out|2026-03-03"),
        ("customer:C2", "same_day|out|2026-03-03"),
    ]


def severity_of(policy: Policy | PolicyHistory, events: Sequence[Transaction]) -> str:
    return judge(policy, events).row("same_day|out|2026-03-03")["severity"]  # type: ignore[no-any-return]


def paid_to(*parties: Counterparty | None) -> list[Transaction]:
    return [transaction(f"p{i}", "2026-03-03 10:00", "400000", counterparty=party) for i, party in enumerate(parties)]


def test_a_high_risk_country_or_many_payees_raise_one_step(policy: Policy) -> None:
    abroad = [transaction("x", "2026-03-03 09:00", "400000", counterparty=Counterparty(name="Y", country="KP"))]
    assert severity_of(policy, burst("2026-03-03")) == "medium"
    assert severity_of(policy, burst("2026-03-03", 2) + abroad) == "high"
    names = [Counterparty(name=f"N{i}") for i in range(5)]
    assert severity_of(policy, paid_to(*names[:4], names[0], None, Counterparty(bank="B"))) == "medium"
    assert severity_of(policy, paid_to(*names)) == "high"
    same_account = [Counterparty(account_id="1", bank=f"BANK{i}") for i in range(5)]
    assert severity_of(policy, paid_to(*same_account)) == "high"


def test_the_watch_list_raises_two_steps(policy: Policy) -> None:
    name = WatchEntry(
        entry_id="W1", kind="name", value="Jos\u00e9 Prado", source="own list", valid_from=date(2026, 3, 3)
    )
    account = replace(name, entry_id="W2", kind="account", value="666")
    watching = PolicyHistory(policy, watch_list=[name, account])
    for party in (Counterparty(name="Prado Jose\u0301"), Counterparty(account_id="666", name="X")):
        assert severity_of(watching, burst("2026-03-03", 2) + paid_to(party)) == "critical"
    assert severity_of(watching, burst("2026-03-03", 2) + paid_to(Counterparty(name="Jos\u00e9 Pardus"))) == "medium"
    later = PolicyHistory(policy, watch_list=[replace(account, valid_from=date(2026, 3, 4))])
    assert severity_of(later, burst("2026-03-03", 2) + paid_to(Counterparty(account_id="666"))) == "medium"


@pytest.mark.parametrize(
    ("since", "dealing", "severity"),
    [
        (None, None, "medium"),  # a new customer has no habits yet
        ("2026-02-02", None, "medium"),  # known for 29 days
        ("2026-02-01", None, "high"),  # for 30
        ("2026-01-01", "2026-02-01", "medium"),  # a dealing 30 days ago is one
        ("2026-01-01", "2026-01-31", "high"),  # 31 days ago is none
        ("2026-01-01", "2026-03-03", "high"),  # nor is one of the same day
    ],
)
def test_new_payees_of_a_known_customer_raise_one_step(
    policy: Policy, since: str | None, dealing: str | None, severity: str
) -> None:
    events = paid_to(*(Counterparty(account_id=name) for name in ("P1", "P2", "P2")))
    past = [] if since is None else [transaction("old", f"{since} 10:00", "1", payee=None, method="cash")]
    if dealing:
        past.append(transaction("small", f"{dealing} 00:00", "1", payee="P1", direction="in"))
    assert severity_of(policy, past + events) == severity


# ----------------------------------------------------------------- teller_report


def test_reports_of_customers_and_branches_fire_once_each(policy: Policy) -> None:
    reports = [
        report("r1", "2026-03-02 10:00"),
        report("r2", "2026-03-02 10:00", kind="doubtful_document", customer_id=None),
        report("r3", "2026-03-02 10:00", kind="complaint"),
        report("r1", "2026-03-02 10:00"),
        report("r4", "2026-02-02 10:00"),
    ]
    found = judge(policy, [], reports)
    assert found.of(TELLER) == {("customer:C1", "r1"): "medium", ("branch:0731", "r2"): "medium"}
    assert found.row("r1")["observed"] == "1"
    assert found.row("r1")["departments"] == ["operations", "risk"]
    assert oracle.refusals(reports=oracle.from_events(reports), policies=PolicyHistory(policy)).rows() == [
        ("r4", "too_late")
    ]


@pytest.mark.parametrize(
    ("reported", "raised"),
    [("2026-02-16", False), ("2026-02-17", True), ("2026-03-17 23:59", True), ("2026-03-18 00:00", False)],
)
def test_a_report_and_a_machine_warning_close_in_days_raise_each_other(
    policy: Policy, reported: str, raised: bool
) -> None:
    found = judge(policy, burst("2026-03-03"), [report("r1", reported), report("r2", "2026-03-19 10:00")])
    assert found.of(TELLER)[("customer:C1", "r1")] == ("high" if raised else "medium")
    assert found.of(TELLER)[("customer:C1", "r2")] == "medium"
    assert found.of(FREQUENT) == {("customer:C1", "same_day|out|2026-03-03"): "high" if raised else "medium"}


def test_several_partners_raise_only_once_and_another_customer_not_at_all(policy: Policy) -> None:
    reports = [report("r1", "2026-03-03 10:00"), report("r2", "2026-03-04 10:00")]
    reports.append(report("r3", "2026-03-04 10:00", customer_id="C2"))
    found = judge(policy, burst("2026-03-03") + burst("2026-03-04"), reports)
    assert [found.of(TELLER)[("customer:" + c, r)] for c, r in (("C1", "r1"), ("C1", "r2"), ("C2", "r3"))] == [
        "high",
        "high",
        "medium",
    ]
    assert set(found.of(FREQUENT).values()) == {"high"}


def test_a_large_transaction_of_low_severity_is_routine_and_corroborates_nothing(policy: Policy) -> None:
    reports = [report("r1", "2026-03-03 10:00")]
    routine = judge(policy, [transaction("e1", "2026-03-03 10:00", "249999", method="cash")], reports)
    assert (routine.of(LARGE).popitem()[1], routine.of(TELLER).popitem()[1]) == ("low", "medium")
    grave = judge(policy, [transaction("e1", "2026-03-03 10:00", "250000", method="cash")], reports)
    assert (grave.of(LARGE).popitem()[1], grave.of(TELLER).popitem()[1]) == ("high", "high")


def test_a_run_of_days_stays_corroborated_when_it_grows_out_of_reach(policy: Policy) -> None:
    days = daily("2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10", "2026-03-11")
    reports = [report("r1", "2026-02-23 10:00")]  # 14 days before the run was first complete, 16 before its end
    assert judge(policy, days, reports).of(TELLER) == {("customer:C1", "r1"): "high"}


# --------------------------------------------------------------------- the whole


def test_a_rule_that_is_off_says_nothing_and_a_shadow_speaks(policy: Policy) -> None:
    events, reports = burst("2026-03-03"), [report("r1", "2026-03-03 10:00")]

    def with_modes(**modes: Any) -> Policy:
        rules = {name: replace(getattr(policy.detectors, name), mode=mode) for name, mode in modes.items()}
        return replace(policy, detectors=replace(policy.detectors, **rules))

    everything = judge(policy, events, reports).frame
    shadow = judge(with_modes(**dict.fromkeys((LARGE, FREQUENT, TELLER), "shadow")), events, reports)
    assert shadow.frame["warning_id"].equals(everything["warning_id"])
    # What is not sent raises nothing: the report and the machine's warning stay as grave as each is alone.
    assert shadow.of(TELLER) == {("customer:C1", "r1"): "medium"}
    assert judge(policy, events, reports).of(TELLER) == {("customer:C1", "r1"): "high"}
    for name in (LARGE, FREQUENT, TELLER):
        left = judge(with_modes(**{name: "off"}), events, reports).frame
        assert set(left["detector"]) == set(everything["detector"]) - {name}
    alone = judge(with_modes(**{LARGE: "off", FREQUENT: "off", "structuring": "off"}), events, reports)
    assert alone.of(TELLER) == {("customer:C1", "r1"): "medium"}


def test_warnings_do_not_depend_on_the_order_in_which_customers_interleave(policy: Policy) -> None:
    one = burst("2026-03-03") + daily("2026-03-04", "2026-03-05")
    two = burst("2026-03-03", customer_id="C2", payee="P9")
    reports = [report("r1", "2026-03-03 10:00")]
    first = judge(policy, one + two, reports).frame
    assert first.height == 6
    assert judge(policy, two + one, reports).frame.equals(first)
