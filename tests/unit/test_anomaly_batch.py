"""The anomaly features of whole histories, each against values worked out by hand.

Amounts are chosen for round levels: ¥99 is 2000 milli-decades, ¥999 is 3000, ¥9,999 is 4000, ¥99,999 is 5000.
The day in question is Wednesday, 1 April 2026: its habit is 2 to 31 March.
"""

from datetime import date, datetime
from decimal import Decimal
from math import log2, log10, sqrt
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.anomaly.batch import feature_frame
from models.anomaly.features import FEATURES
from models.events import Counterparty, Transaction
from models.oracle.frames import canonical
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from tests.make import at, transaction

TODAY, YESTERDAY, FIRST, TOO_OLD = "2026-04-01", "2026-03-31", "2026-03-02", "2026-03-01"


class Feed:
    """Transactions in order of arrival, numbered e1, e2, ..."""

    def __init__(self) -> None:
        self.events: list[Transaction] = []

    def add(self, day: str, amount: str = "999", clock: str = "10:00", times: int = 1, **fields: Any) -> "Feed":
        for _ in range(times):
            name = fields.get("event_id", f"e{len(self.events) + 1}")
            self.events.append(
                transaction(**({"when": f"{day} {clock}", "amount": amount} | fields | {"event_id": name}))
            )
        return self

    def features(self, policies: PolicyHistory) -> pl.DataFrame:
        return feature_frame(canonical(oracle.from_events(self.events), "transactions"), policies)

    def all(self, name: str, policies: PolicyHistory) -> list[Any]:
        return [pytest.approx(value, abs=1e-12) for value in self.features(policies)[name].to_list()]

    def last(self, name: str, policies: PolicyHistory) -> Any:
        return self.all(name, policies)[-1]


# ------------------------------------------------------------------- the frame


def test_one_row_a_transaction_in_arrival_order(policies: PolicyHistory) -> None:
    feed = Feed().add(TODAY, customer_id="C2").add(TODAY, clock="09:00").add(TODAY, customer_id="C2")
    frame = feed.features(policies)
    assert frame.columns == ["event_id", "customer_id", "event_time", "day", *(one.id for one in FEATURES)]
    assert frame.dtypes[4:] == [pl.Float64] * 18
    assert frame["event_id"].to_list() == ["e1", "e2", "e3"]
    assert frame["event_time"][1] == at("2026-04-01 09:00")
    # Other customers change nothing.
    assert frame.filter(pl.col("customer_id") == "C1").select(pl.exclude("event_id")).rows() == (
        Feed().add(TODAY, clock="09:00").features(policies).select(pl.exclude("event_id")).rows()
    )


def test_no_transactions_give_no_rows(policies: PolicyHistory, policy: Policy) -> None:
    daily = PolicyHistory(policy, rates=[rate(TODAY, "7.2")])
    for history in (policies, daily):
        assert feature_frame(None, history).shape == Feed().features(history).shape == (0, 22)


def test_a_newcomer_has_finite_features(policies: PolicyHistory) -> None:
    row = Feed().add(TODAY, "9999").features(policies).select(one.id for one in FEATURES).row(0, named=True)
    assert row == pytest.approx(
        {
            "amount_vs_habit": 1000 / 700,
            "amount_vs_largest": 1.0,
            "day_total_vs_habit": 4.0,
            "tempo_day": log10(2),
            "tempo_hour": 1.0,
            "hour_unusual": log2(6),
            "rest_day": 0.0,
            "channel_unusual": 3.0,
            "cash_unusual": 1.0,
            "cross_border_unusual": 1.0,
            "new_counterparty": 1.0,
            "new_payees": 1.0,
            "payees_fan": 1.0,
            "payers_fan": 0.0,
            "balance_shift": -1.0,
            "pass_through": 0.0,
            "since_last": 0.0,
            "roundness": 0.0,
        },
        abs=1e-12,
    )


def test_what_the_bank_booked_or_a_stage_refuses_counts_in_nothing(policies: PolicyHistory) -> None:
    plain = Feed().add(YESTERDAY, "99").add(TODAY, "9999", event_id="last")
    mixed = Feed().add(YESTERDAY, "99").add(YESTERDAY, "88", origin="bank").add(YESTERDAY, "77", event_id="e1")
    mixed.add(YESTERDAY, "66", currency="KWD").add("2026-03-27", "55").add(TODAY, origin="bank")
    mixed.add(TODAY, "9999", event_id="last")
    assert mixed.features(policies).rows() == plain.features(policies).rows()


def test_what_the_bank_booked_moves_no_effective_time(policies: PolicyHistory) -> None:
    feed = Feed().add(TODAY, origin="bank").add(YESTERDAY)
    assert feed.features(policies)["day"].to_list() == [date(2026, 3, 31)]


def test_days_change_at_the_banks_midnight(policies: PolicyHistory) -> None:
    feed = Feed().add(YESTERDAY, clock="23:59:59.999999").add(TODAY, clock="00:00").add(TODAY, clock="23:59:59")
    assert feed.features(policies)["day"].to_list() == [date(2026, 3, 31), date(2026, 4, 1), date(2026, 4, 1)]
    assert feed.all("since_last", policies) == [0, 1, 0]
    assert feed.all("tempo_day", policies) == [log10(2), log10(2 / (1 + 1 / 30)), log10(3 / (1 + 1 / 30))]


def test_a_late_one_counts_as_if_it_came_just_now(policies: PolicyHistory) -> None:
    feed = Feed().add(TODAY, "99").add(YESTERDAY, "9900", "23:00").add("2026-04-02", "99")
    assert feed.features(policies)["day"].to_list() == [date(2026, 4, 1), date(2026, 4, 1), date(2026, 4, 2)]
    assert feed.all("day_total_vs_habit", policies) == [2, 4, 2 - log10(1 + 9999 / 30)]
    assert feed.all("since_last", policies) == [0, 0, 1]
    assert feed.all("tempo_hour", policies) == [1, log2(3), 1]


# --------------------------------------------------------------------- amounts


def test_the_habit_weighs_five_transactions_of_everybody(policies: PolicyHistory) -> None:
    mean = (2000 + 15_000) / 6
    spread = sqrt((2000**2 + 5 * (3000**2 + 700**2)) / 6 - mean**2)
    expected = (4000 - mean) / spread
    assert expected == pytest.approx(1.577121, abs=1e-6)
    # The 30th day before counts, the 31st does not; nor does today, nor money that came in.
    assert Feed().add(FIRST, "99").add(TODAY, "9999").last("amount_vs_habit", policies) == expected
    assert Feed().add(YESTERDAY, "99").add(TODAY, "9999").last("amount_vs_habit", policies) == expected
    other = Feed().add(TOO_OLD, "99").add(YESTERDAY, "99", direction="in").add(TODAY, "99").add(TODAY, "9999")
    assert other.last("amount_vs_habit", policies) == 1000 / 700


@pytest.mark.parametrize(("times", "spread"), [(239, sqrt(2_450_000 / 244)), (240, 100), (295, 100)])
def test_the_spread_of_a_habit_is_a_tenth_of_a_decade_at_least(
    times: int, spread: float, policies: PolicyHistory
) -> None:
    feed = Feed().add(YESTERDAY, "999", times=times).add(TODAY, "9999")
    assert float(feed.features(policies)["amount_vs_habit"][-1]) == pytest.approx(1000 / spread, abs=1e-9)


def test_the_largest_of_the_habit(policies: PolicyHistory) -> None:
    feed = Feed().add(FIRST, "99999").add(YESTERDAY, "99").add(YESTERDAY, "999999", direction="in")
    feed.add(TODAY, "9999").add("2026-04-02", "9999")
    assert feed.all("amount_vs_largest", policies) == [2, -3, 3, -1, 0]


@pytest.mark.parametrize(("amount", "level"), [("0.01", 4), ("1", 301), ("2.16", 500), ("99", 2000), ("1e14", 14_000)])
def test_levels_are_whole(amount: str, level: int, policies: PolicyHistory) -> None:
    # log10(1.01) is 0.00432, log10(2) is 0.30103, log10(3.16) is 0.49969.
    assert Feed().add(TODAY, amount).last("amount_vs_largest", policies) == (level - 3000) / 1000


def test_the_total_of_the_day_beside_that_of_a_usual_day(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD, "12345").add(FIRST, "20000").add(YESTERDAY, "9970").add(YESTERDAY, direction="in")
    feed.add(TODAY, "4000").add(TODAY, "7", direction="in").add(TODAY, "5999")
    # ¥29,970 in 30 days are ¥999 a day.
    assert feed.all("day_total_vs_habit", policies)[-3:] == [log10(4001) - 3, log10(8) - log10(1 + 999 / 30), 1]


def rate(day: str, value: str) -> Rate:
    return Rate(currency="USD", as_of=date.fromisoformat(day), rate=Decimal(value), source="the central bank")


def test_foreign_money_at_the_rate_of_its_own_day(policy: Policy) -> None:
    policies = PolicyHistory(policy, rates=[rate("2026-03-30", "9.99"), rate(TODAY, "99.99")])
    feed = Feed().add(YESTERDAY, "100", currency="USD").add(TODAY, "100", currency="USD")
    feed.add(YESTERDAY, "100", currency="USD")  # late
    assert feed.all("amount_vs_largest", policies) == [0, 1, 0]
    assert feed.all("day_total_vs_habit", policies) == [
        3,
        4 - log10(1 + 999 / 30),
        log10(1 + 9999 + 999) - log10(1 + 999 / 30),
    ]


@pytest.mark.parametrize(("dollars", "cents"), [("0.05", 36), ("0.15", 106), ("0.25", 178), ("0.10", 71)])
def test_half_a_cent_goes_to_the_even_one(dollars: str, cents: int, policies: PolicyHistory) -> None:
    # At 7.10 they are worth 35.5, 106.5, 177.5 and 71 cents.
    feed = Feed().add(TODAY, "1").add(TODAY, dollars, currency="USD", direction="in")
    assert feed.last("balance_shift", policies) == (cents - 100) / (cents + 100)


@pytest.mark.parametrize(
    ("amount", "noughts"),
    [
        ("12000.00", 3),
        ("12000", 3),
        ("12000.50", 0),
        ("12000.01", 0),
        ("0.50", 0),
        ("10", 1),
        ("1234567", 0),
        ("100500", 2),
        ("1000000", 6),
        ("20000000", 6),
    ],
)
def test_noughts_at_the_end_of_the_amount(amount: str, noughts: int, policies: PolicyHistory) -> None:
    assert Feed().add(TODAY, amount, currency="USD").last("roundness", policies) == noughts
    # Beside an amount with more places than its own.
    assert Feed().add(TODAY, "1.25").add(TODAY, amount).last("roundness", policies) == noughts


# ----------------------------------------------------------------------- tempo


def test_the_number_of_the_day_beside_a_usual_one(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD).add(FIRST, times=20).add(YESTERDAY, times=10, direction="in")
    feed.add(TODAY).add(TODAY, direction="in").add(TODAY)
    assert feed.all("tempo_day", policies)[-3:] == [0, log10(3 / 2), log10(4 / 2)]


def test_an_hour_ago_is_out_of_the_hour(policies: PolicyHistory) -> None:
    feed = Feed().add(TODAY, clock="09:00").add(TODAY, clock="10:00").add(TODAY, clock="10:59:59.999999")
    feed.add(TODAY, clock="11:00", direction="in").add(TODAY, clock="11:59:59.999999")
    assert feed.all("tempo_hour", policies) == [1, 1, log2(3), log2(3), log2(3)]


def test_of_the_same_instant_only_those_that_came_before_count(policies: PolicyHistory) -> None:
    feed = Feed().add(TODAY, clock="10:00", times=3).add(TODAY, clock="08:00").add(TODAY, clock="11:00", times=2)
    assert feed.all("tempo_hour", policies) == [1, log2(3), 2, log2(5), 1, log2(3)]
    over_midnight = Feed().add(YESTERDAY, clock="23:30").add(TODAY, clock="00:15")
    assert over_midnight.all("tempo_hour", policies) == [1, log2(3)]


def test_days_since_the_one_before(policies: PolicyHistory) -> None:
    days = ("2026-01-01", "2026-01-01", "2026-01-02", "2026-01-09", "2026-02-08", "2026-03-11", "2026-12-31")
    feed = Feed()
    for day in days:
        feed.add(day)
    assert feed.all("since_last", policies) == [0, 0, 1, 3, log2(31), log2(31), log2(31)]


# ----------------------------------------------------- hours, channels and kinds


def test_four_hours_of_its_own_time_in_the_banks_zone(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD, clock="08:00").add(FIRST, clock="08:00").add(YESTERDAY, clock="10:00", direction="in")
    feed.add(YESTERDAY, clock="11:59").add(YESTERDAY, clock="12:00")
    feed.add(TODAY, clock="07:59").add(TODAY, clock="08:00").add(TODAY, clock="12:00")
    feed.add(YESTERDAY, clock="11:00")  # late, at an hour of its own
    assert feed.all("hour_unusual", policies)[-4:] == [log2(10), -log2(4 / 10), -log2(2 / 10), -log2(4 / 10)]


@pytest.mark.parametrize(
    ("when", "rest"),
    [
        ("2026-03-06 23:59:59", 0),
        ("2026-03-07 00:00", 1),
        ("2026-03-08 23:59:59", 1),
        ("2026-03-09 00:00", 0),
        ("2026-02-14 10:00", 0),  # a Saturday that is worked
        ("2026-02-17 10:00", 1),  # a Tuesday of the Spring Festival
    ],
)
def test_days_of_rest(when: str, rest: int, policies: PolicyHistory) -> None:
    assert Feed().add("", when=when).last("rest_day", policies) == rest


def test_the_day_of_rest_is_its_own(policy: Policy, policies: PolicyHistory) -> None:
    late = Feed().add("2026-03-09", clock="00:01").add("2026-03-08", clock="23:59")
    assert late.all("rest_day", policies) == [0, 1]
    closed = replace(policy.calendar, closed_days=(date(2026, 3, 31), date(2026, 4, 1)))
    head = replace(policy.policy, version="closed", valid_from=at(f"{TODAY} 00:00"))
    versions = PolicyHistory(policy, replace(policy, policy=head, calendar=closed))
    assert Feed().add(YESTERDAY).add(TODAY).all("rest_day", versions) == [0, 1]


def test_channels_that_are_used_seldom(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD, channel="atm").add(FIRST, channel="app").add(YESTERDAY, channel="app", direction="in")
    feed.add(YESTERDAY, channel=None)
    for channel in ("app", "", None, "atm"):
        feed.add(TODAY, channel=channel)
    assert feed.all("channel_unusual", policies)[-4:] == [-log2(3 / 11), -log2(2 / 11), -log2(2 / 11), log2(11)]


@pytest.mark.parametrize(
    ("name", "usual", "other"),
    [
        ("cash_unusual", {"method": "cash"}, {"method": "transfer"}),
        ("cross_border_unusual", {"cross_border": True}, {"cross_border": False}),
    ],
)
def test_kinds_that_are_seldom(
    name: str, usual: dict[str, Any], other: dict[str, Any], policies: PolicyHistory
) -> None:
    feed = Feed().add(TOO_OLD, **other).add(FIRST, **usual).add(YESTERDAY, direction="in", **usual)
    feed.add(YESTERDAY, **usual).add(YESTERDAY, **other).add(TODAY, **usual).add(TODAY, **other)
    assert feed.all(name, policies)[-2:] == [-log2(4 / 6), -log2(2 / 6)]


# -------------------------------------------------------------- counterparties


@pytest.mark.parametrize(("day", "new"), [(TOO_OLD, 1), (FIRST, 0), (YESTERDAY, 0), (TODAY, 0)])
def test_a_counterparty_is_new_after_thirty_days(day: str, new: int, policies: PolicyHistory) -> None:
    for direction in ("in", "out"):
        assert Feed().add(day, direction=direction).add(TODAY).all("new_counterparty", policies) == [1, new]


def test_who_the_counterparty_is(policies: PolicyHistory) -> None:
    parties = [
        Counterparty(account_id="P1"),
        Counterparty(account_id="P1", bank="B1"),
        Counterparty(account_id="P1", bank="B1", name="Wang"),
        Counterparty(name="Wang"),
        Counterparty(name="Wang", bank="B1"),
        Counterparty(bank="B1"),
        None,
    ]
    feed = Feed()
    for party in parties:
        feed.add(TODAY, counterparty=party)
    assert feed.all("new_counterparty", policies) == [1, 1, 0, 1, 0, 0, 0]
    assert feed.all("new_payees", policies) == [1, log2(3), log2(3), 2, 2, 2, 2]
    assert feed.add(TODAY, customer_id="C2").last("new_counterparty", policies) == 1


def test_payees_of_the_day_who_were_new_on_it(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD, payee="P4").add(YESTERDAY, payee="P3", direction="in")
    feed.add(TODAY, payee="P1").add(TODAY, payee="P1").add(TODAY, payee="P2", direction="in")
    feed.add(TODAY, payee="P3").add(TODAY, payee="P2").add(TODAY, payee="P4").add("2026-04-02", payee="P1")
    assert feed.all("new_payees", policies)[2:] == [1, 1, 1, 1, log2(3), 2, 0]


def test_fans_of_payees_and_payers(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD, payee="P1")
    feed.add(FIRST, payee="P1").add(FIRST, payee="P1").add(FIRST, payee="P2").add(YESTERDAY, payee="P1")
    feed.add(YESTERDAY, payee="P1", direction="in").add(YESTERDAY, payee=None).add(
        YESTERDAY, payee=None, direction="in"
    )
    feed.add(TODAY, payee="P1").add(TODAY, payee="P1").add(TODAY, payee="P9").add(TODAY, payee=None)
    feed.add(TODAY, payee="P1", direction="in")
    # Two payees on one day and one on another; one payer.
    usual = 1 + 3 / 30
    assert feed.all("payees_fan", policies)[-5:] == [log2(people / usual) for people in (2, 2, 3, 3, 3)]
    assert feed.all("payers_fan", policies)[-5:] == [log2(people / (1 + 1 / 30)) for people in (1, 1, 1, 1, 2)]


# --------------------------------------------------------------------- balance


def test_the_balance_of_the_day_beside_the_usual_one(policies: PolicyHistory) -> None:
    feed = Feed().add(TOO_OLD, "5000").add(FIRST, "300", direction="in").add(YESTERDAY, "100")
    feed.add(TODAY, "100").add(TODAY, "100", direction="in").add(TODAY, "200", direction="in")
    assert feed.all("balance_shift", policies)[-3:] == [-1.5, -0.5, 0]
    turned = Feed().add(YESTERDAY).add(TODAY, direction="in")
    assert turned.all("balance_shift", policies) == [-1, 2]
    assert Feed().add(YESTERDAY, direction="in").add(TODAY).all("balance_shift", policies) == [1, -2]


def test_money_that_passes_through_within_two_days(policies: PolicyHistory) -> None:
    feed = Feed().add("2026-03-30", "5000").add(YESTERDAY, "1000", "00:00", direction="in")
    feed.add(TODAY, "600", "23:59:59").add(TODAY, "300", "23:59:59").add(TODAY, "1350", "23:59:59")
    assert feed.all("pass_through", policies) == [0, 0.2, 0.6, 0.9, 1000 / 2250]
    gone = Feed().add("2026-03-30", "1000", "23:59", direction="in").add(TODAY, "1000", "00:00")
    assert gone.all("pass_through", policies) == [0, 0]


def test_sums_beyond_what_64_bits_hold_stay_exact(policies: PolicyHistory) -> None:
    big = "999999999999999"
    feed = Feed().add(YESTERDAY, big, times=100, currency="GBP").add(TODAY, big, times=100, currency="GBP")
    feed.add(TODAY, big, times=50, currency="GBP", direction="in")
    # 950 quadrillion cents each.
    assert feed.last("pass_through", policies) == 0.25
    assert feed.last("balance_shift", policies) == -1 / 3 + 1


def test_times_are_instants_whatever_their_offset(policies: PolicyHistory) -> None:
    there = datetime.fromisoformat("2026-03-31T16:00:00+00:00")
    feed = Feed().add("", when=there)
    assert feed.features(policies).rows() == Feed().add(TODAY, clock="00:00").features(policies).rows()
