"""The 18 features of a transaction, worked out by hand. Levels are 1000 log10(1 + amount): ¥999 is 3000."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite, log2, log10, sqrt
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.anomaly.features import FEATURES, AnomalyState, features, forget
from models.events import Counterparty, Transaction
from models.money import UnknownRate
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from tests.make import at, transaction

TODAY = "2026-04-15"  # a Wednesday; its habit are 16 March to 14 April
YESTERDAY = "2026-04-14"


def tx(when: str | datetime, amount: str = "999", **fields: Any) -> Transaction:
    """¥999 to P1 at 10:00 of a day, unless told otherwise."""
    if isinstance(when, str) and ":" not in when:
        when = f"{when} 10:00"
    return transaction("e", when, amount, **fields)


def restarted(state: AnomalyState) -> AnomalyState:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=AnomalyState)


def rows(policies: PolicyHistory, events: Iterable[Transaction], *, restart: bool = True) -> list[dict[str, float]]:
    """The rows by feature, in order of arrival, by default with a restart after each event."""
    state, found = AnomalyState(), []
    for event in events:
        found.append(features(state, event, policies.at(event.event_time)))
        state = restarted(state) if restart else state
    return [dict(zip((one.id for one in FEATURES), row, strict=True)) for row in found]


def last(policies: PolicyHistory, *events: Transaction) -> dict[str, float]:
    return rows(policies, events)[-1]


def test_what_they_are_called() -> None:
    assert [one.id for one in FEATURES] == [
        "amount_vs_habit",
        "amount_vs_largest",
        "day_total_vs_habit",
        "tempo_day",
        "tempo_hour",
        "hour_unusual",
        "rest_day",
        "channel_unusual",
        "cash_unusual",
        "cross_border_unusual",
        "new_counterparty",
        "new_payees",
        "payees_fan",
        "payers_fan",
        "balance_shift",
        "pass_through",
        "since_last",
        "roundness",
    ]
    assert all(one.unit and one.window and one.text_zh and one.text_en for one in FEATURES)
    assert len({one.text_zh for one in FEATURES}) == len({one.text_en for one in FEATURES}) == 18


def test_the_first_transaction_of_a_customer(policies: PolicyHistory) -> None:
    assert last(policies, tx(TODAY)) == pytest.approx(
        {
            "amount_vs_habit": 0,
            "amount_vs_largest": 0,
            "day_total_vs_habit": 3,
            "tempo_day": log10(2),
            "tempo_hour": 1,
            "hour_unusual": log2(6),
            "rest_day": 0,
            "channel_unusual": 3,
            "cash_unusual": 1,
            "cross_border_unusual": 1,
            "new_counterparty": 1,
            "new_payees": 1,
            "payees_fan": 1,
            "payers_fan": 0,
            "balance_shift": -1,
            "pass_through": 0,
            "since_last": 0,
            "roundness": 0,
        },
        abs=1e-12,
    )


@pytest.mark.parametrize(
    ("amount", "level"), [("0.01", 4), ("1", 301), ("9999", 4000), ("99999", 5000), ("999999999999999.99", 15000)]
)
def test_a_new_customer_is_held_against_the_prior(policies: PolicyHistory, amount: str, level: int) -> None:
    row = last(policies, tx(TODAY, amount))
    assert row["amount_vs_habit"] == pytest.approx((level - 3000) / 700)
    assert row["amount_vs_largest"] == pytest.approx((level - 3000) / 1000)


def test_amount_against_the_habit(policies: PolicyHistory) -> None:
    # Three of level 4000 beside five of 3000 ± 700: mean 27000 / 8, squares (48,000,000 + 47,450,000) / 8.
    habit = [tx(YESTERDAY, "9999")] * 3
    row = last(policies, *habit, tx(TODAY, "9999"))
    assert row["amount_vs_habit"] == pytest.approx((4000 - 3375) / sqrt(11_931_250 - 3375**2))
    # Neither what went the other way, nor what today was before it, is its habit.
    others = [*habit, tx(YESTERDAY, "99", direction="in"), tx(f"{TODAY} 09:00", "99")]
    assert last(policies, *others, tx(TODAY, "9999"))["amount_vs_habit"] == row["amount_vs_habit"]
    assert last(policies, *habit, tx(TODAY, "9999", direction="in"))["amount_vs_habit"] == pytest.approx(1000 / 700)


def test_nobody_is_held_against_less_than_a_tenth_of_a_decade(policies: PolicyHistory) -> None:
    # 500 of level 3000 leave a variance of 5 x 490,000 / 505, or 70²; ¥1,257.93 is level 3100.
    events = [*[tx(YESTERDAY)] * 500, tx(TODAY, "1257.93")]
    assert rows(policies, events, restart=False)[-1]["amount_vs_habit"] == pytest.approx(1)


@pytest.mark.parametrize(("largest_on", "found"), [("2026-03-16", -1), ("2026-03-15", 1)])
def test_amount_against_the_largest_of_thirty_days(policies: PolicyHistory, largest_on: str, found: int) -> None:
    history = tx(largest_on, "9999"), tx(YESTERDAY, "99"), tx(YESTERDAY, "9999999", direction="in")
    assert last(policies, *history, tx(f"{TODAY} 09:00", "99999"), tx(TODAY))["amount_vs_largest"] == found


def test_the_days_total(policies: PolicyHistory) -> None:
    habit = tx("2026-03-16", "1000"), tx(YESTERDAY, "2000"), tx(YESTERDAY, "500", direction="in")
    row = last(policies, *habit, tx(TODAY, "99"), tx(TODAY, "7", direction="in"), tx(TODAY, "900"))
    assert row["day_total_vs_habit"] == pytest.approx(3 - log10(1 + 3000 / 30))
    assert last(policies, *habit, tx(TODAY, "99", direction="in"))["day_total_vs_habit"] == pytest.approx(
        2 - log10(1 + 500 / 30)
    )


@pytest.mark.parametrize(
    ("amount", "currency", "cents"),
    [
        ("10", "USD", 7100),
        ("0.05", "USD", 36),  # 35.5: to the even one
        ("0.15", "USD", 106),  # 106.5
        ("1", "JPY", 5),  # 4.8
        ("0.01", "CZK", 0),  # 0.33
    ],
)
def test_other_currencies_count_in_base_cents(policies: PolicyHistory, amount: str, currency: str, cents: int) -> None:
    row = last(policies, tx(TODAY, amount, currency=currency))
    assert row["day_total_vs_habit"] == pytest.approx(log10(1 + cents / 100), abs=1e-12)


def test_levels_are_of_the_value_in_base_currency(policies: PolicyHistory) -> None:
    # 140.71 dollars are ¥999.041, level 3000.02; 1,000 yen are ¥48, level 1690.196.
    assert last(policies, tx(TODAY, "140.71", currency="USD"))["amount_vs_habit"] == 0
    row = last(policies, tx(TODAY, "1000", currency="JPY"))
    assert (row["amount_vs_largest"], row["roundness"]) == (-1.31, 3)


def test_each_transaction_is_valued_at_its_own_days_rate(policy: Policy) -> None:
    dear = Rate(currency="USD", as_of=date(2026, 4, 15), rate=Decimal(10), source="test")
    policies = PolicyHistory(policy, rates=[dear])
    late = tx(f"{YESTERDAY} 23:59", "10", currency="USD")
    today = tx(f"{TODAY} 00:00", "10", currency="USD")
    # The late one counts today, at ¥71.
    assert last(policies, today, late)["day_total_vs_habit"] == pytest.approx(log10(1 + 100 + 71))


@pytest.mark.parametrize(
    ("earlier", "habit"),
    [
        ("2026-03-16 00:00", 1),  # the 30th day before
        ("2026-03-15 23:59", 0),  # the 31st
        ("2026-04-14 23:59", 1),
    ],
)
def test_the_habit_is_of_thirty_days(policies: PolicyHistory, earlier: str, habit: int) -> None:
    row = last(policies, tx(earlier, direction="in"), tx(f"{TODAY} 23:59"))
    assert row["tempo_day"] == pytest.approx(log10(2 / (1 + habit / 30)))
    assert row["channel_unusual"] == pytest.approx(-log2((1 + habit) / (8 + habit)))


def test_tempo_of_the_day(policies: PolicyHistory) -> None:
    habit = [tx("2026-03-20"), tx("2026-03-20", direction="in")] * 30
    today = [tx(TODAY), tx(TODAY, direction="in"), tx(TODAY)]
    assert rows(policies, [*habit, *today], restart=False)[-1]["tempo_day"] == pytest.approx(log10(4 / 3))


@pytest.mark.parametrize(("first", "count"), [("15:59:59.999999", 1), ("16:00:00", 2)])
def test_a_day_begins_at_midnight_in_the_banks_zone(policies: PolicyHistory, first: str, count: int) -> None:
    events = datetime.fromisoformat(f"{YESTERDAY}T{first}Z"), datetime.fromisoformat(f"{TODAY}T15:59:59Z")
    habit = 2 - count
    row = last(policies, *map(tx, events))
    assert row["tempo_day"] == pytest.approx(log10((1 + count) / (1 + habit / 30)))
    assert row["since_last"] == habit


@pytest.mark.parametrize(
    ("earlier", "found"),
    [("2026-04-15 10:00", 1), ("2026-04-15 10:00:00.000001", log2(3)), ("2026-04-15 11:00", log2(3))],
)
def test_tempo_of_an_hour(policies: PolicyHistory, earlier: str, found: float) -> None:
    assert last(policies, tx(earlier, direction="in"), tx(f"{TODAY} 11:00"))["tempo_hour"] == pytest.approx(found)


def test_an_hour_goes_over_midnight_and_zones(policies: PolicyHistory) -> None:
    first = at(f"{YESTERDAY} 23:30")
    row = last(policies, tx(first), tx((first + timedelta(minutes=59)).astimezone(UTC)))
    assert (row["tempo_hour"], row["tempo_day"]) == pytest.approx((log2(3), log10(2 / (1 + 1 / 30))))


def test_a_late_one_counts_as_if_it_came_now(policies: PolicyHistory) -> None:
    late = tx("2026-04-12 02:00", "200", payee="P2")  # a Sunday
    row = last(policies, tx(YESTERDAY, "100"), tx(f"{TODAY} 12:00", "100"), late)
    assert row["tempo_hour"] == pytest.approx(log2(3))
    assert row["tempo_day"] == pytest.approx(log10(3 / (1 + 1 / 30)))
    assert row["day_total_vs_habit"] == pytest.approx(log10(301) - log10(1 + 100 / 30))
    assert (row["payees_fan"], row["new_payees"]) == pytest.approx((log2(3 / (1 + 1 / 30)), 1))
    assert row["since_last"] == 0
    # Only its hour and its day of rest are its own.
    assert (row["hour_unusual"], row["rest_day"]) == pytest.approx((log2(7), 1))
    later = last(policies, tx(f"{TODAY} 12:00"), late, tx("2026-04-16 03:59"))
    assert (later["hour_unusual"], later["since_last"]) == pytest.approx((-log2(2 / 8), 1))


@pytest.mark.parametrize(("clock", "count"), [("08:00", 3), ("11:59", 3), ("12:00", 1), ("07:59", 0), ("00:00", 0)])
def test_rare_hours(policies: PolicyHistory, clock: str, count: int) -> None:
    habit = [tx(f"{YESTERDAY} {hour}") for hour in ("08:00", "10:00", "11:59", "12:00")]
    assert last(policies, *habit, tx(f"{TODAY} {clock}"))["hour_unusual"] == pytest.approx(-log2((count + 1) / 10))


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("2026-04-18 10:00", 1),  # Saturday
        ("2026-02-14 10:00", 0),  # Saturday, worked for the Spring Festival
        ("2026-02-17 10:00", 1),  # the festival, a Tuesday
        ("2026-04-17 23:59", 0),
        ("2026-04-18 00:00", 1),
    ],
)
def test_days_of_rest(policies: PolicyHistory, when: str, found: int) -> None:
    assert last(policies, tx(when))["rest_day"] == found
    assert last(policies, tx(at(when).astimezone(UTC)))["rest_day"] == found


@pytest.mark.parametrize(("channel", "count"), [("mobile", 3), ("atm", 1), (None, 2), ("", 2), ("web", 0)])
def test_rare_channels(policies: PolicyHistory, channel: str | None, count: int) -> None:
    habit = [tx(YESTERDAY, channel=one) for one in ("mobile", "mobile", "mobile", "atm", None, "")]
    assert last(policies, *habit, tx(TODAY, channel=channel))["channel_unusual"] == pytest.approx(
        -log2((count + 1) / 14)
    )


def test_rare_ways_and_reaches(policies: PolicyHistory) -> None:
    habit = [tx(YESTERDAY), tx(YESTERDAY), tx(YESTERDAY), tx(YESTERDAY, method="cash", cross_border=True)]
    row = last(policies, *habit, tx(TODAY, method="cash"))
    assert (row["cash_unusual"], row["cross_border_unusual"]) == pytest.approx((-log2(2 / 6), -log2(4 / 6)))
    row = last(policies, *habit, tx(TODAY, cross_border=True))
    assert (row["cash_unusual"], row["cross_border_unusual"]) == pytest.approx((-log2(4 / 6), -log2(2 / 6)))


@pytest.mark.parametrize(
    ("earlier", "payee", "found"),
    [
        (("2026-03-16 00:00",), "P1", 0),
        (("2026-03-15 23:59",), "P1", 1),
        (("2026-03-15 23:59", "2026-03-20 10:00"), "P1", 0),
        (("2026-04-15 09:00",), "P1", 0),
        (("2026-04-14 10:00",), "P2", 1),
        (("2026-04-14 10:00",), None, 0),
    ],
)
def test_new_counterparties(policies: PolicyHistory, earlier: list[str], payee: str | None, found: int) -> None:
    row = last(policies, *(tx(one, direction="in") for one in earlier), tx(TODAY, payee=payee))
    assert row["new_counterparty"] == found


def test_a_dealing_anew_holds_nobody_else_in_memory(policies: PolicyHistory) -> None:
    earlier = [tx("2026-03-14", payee="A"), tx("2026-03-15", payee="B"), tx("2026-04-01", payee="A")]
    found = [row["new_counterparty"] for row in rows(policies, [*earlier, tx(TODAY, payee="B"), tx(TODAY, payee="A")])]
    assert found == [1, 1, 0, 1, 0]


def test_who_is_one_counterparty(policies: PolicyHistory) -> None:
    def known(one: Counterparty, other: Counterparty) -> bool:
        return not last(policies, tx(YESTERDAY, counterparty=one), tx(TODAY, counterparty=other))["new_counterparty"]

    account = Counterparty(account_id="A", bank="B", name="Li")
    assert known(account, Counterparty(account_id="A", bank="B", name="Wang"))
    assert not known(account, Counterparty(account_id="A", bank="C"))
    assert known(Counterparty(name="Li"), Counterparty(name="Li", bank="B"))
    # Of whom nothing is known can be neither new nor counted.
    row = last(policies, tx(TODAY, counterparty=Counterparty(bank="B", country="KP")))
    assert (row["new_counterparty"], row["new_payees"], row["payees_fan"]) == (0, 0, 0)


def test_new_payees_of_the_day(policies: PolicyHistory) -> None:
    events = [
        tx(YESTERDAY, payee="old"),
        tx(TODAY, payee="A"),
        tx(TODAY, payee="old"),
        tx(TODAY, payee="B", direction="in"),
        tx(TODAY, payee="A"),
        tx(TODAY, payee="B"),  # no longer new, but it was when first met today
        tx(TODAY, payee="B"),
        tx("2026-04-16", payee="C", direction="in"),
        tx("2026-04-16", payee="A"),
    ]
    found = [(row["new_counterparty"], row["new_payees"]) for row in rows(policies, events)[1:]]
    assert found == [(1, 1), (0, 1), (1, 1), (0, 1), (0, log2(3)), (0, log2(3)), (1, 0), (0, 0)]


def test_fans_of_payees_and_payers(policies: PolicyHistory) -> None:
    habit = [
        tx("2026-04-13", payee="A"),
        *[tx(YESTERDAY, payee=payee) for payee in ("A", "B", "A", None)],
        tx(YESTERDAY, payee="A", direction="in"),
    ]
    today = [tx(TODAY, payee=payee, direction=way) for payee, way in (("A", "out"), ("A", "in"), ("A", "out"))]
    row = last(policies, *habit, *today, tx(TODAY, payee="C"), tx(TODAY, payee=None))
    assert row["payees_fan"] == pytest.approx(log2(3 / (1 + 3 / 30)))
    assert row["payers_fan"] == pytest.approx(log2(2 / (1 + 1 / 30)))


def test_balance_of_money_in_and_out(policies: PolicyHistory) -> None:
    habit = tx("2026-03-16", "300", direction="in"), tx(YESTERDAY, "100")
    today = tx(TODAY, "100"), tx(TODAY, "300", direction="in"), tx(TODAY, "1000", direction="in")
    found = [row["balance_shift"] for row in rows(policies, [*habit, *today])]
    assert found == pytest.approx([1, -2, -1 - 1 / 2, 0, 1200 / 1400 - 1 / 2])
    # Less than half a cent is nothing: there is no balance to speak of.
    assert last(policies, tx(TODAY, "0.01", currency="CZK"))["balance_shift"] == 0


@pytest.mark.parametrize(
    ("came_on", "found"),
    [("2026-04-15 09:00", 0.9), ("2026-04-14 00:00", 0.9), ("2026-04-13 23:59", 0), (None, 0)],
)
def test_money_that_passes_through(policies: PolicyHistory, came_on: str | None, found: float) -> None:
    came = [tx(came_on, "1000", direction="in")] if came_on else []
    assert last(policies, *came, tx(TODAY, "400"), tx(TODAY, "500"))["pass_through"] == pytest.approx(found)


@pytest.mark.parametrize(
    ("earlier", "days"),
    [
        ("2026-04-15 00:00", 0),
        ("2026-04-14 23:59", 1),
        ("2026-04-12 10:00", 3),
        ("2026-03-16 10:00", 30),
        ("2026-03-15 10:00", 30),
        ("2024-01-01 10:00", 30),
    ],
)
def test_days_since_the_last(policies: PolicyHistory, earlier: str, days: int) -> None:
    assert last(policies, tx(earlier), tx(TODAY))["since_last"] == pytest.approx(log2(1 + days))


@pytest.mark.parametrize(
    ("amount", "currency", "zeros"),
    [
        ("12000.00", "CNY", 3),
        ("12000.01", "CNY", 0),
        ("12000.10", "CNY", 0),
        ("1", "CNY", 0),
        ("0.50", "CNY", 0),
        ("10", "CNY", 1),
        ("1E+4", "CNY", 4),
        ("1000000", "CNY", 6),
        ("900000000", "CNY", 6),
        ("101000", "JPY", 3),
        ("100", "USD", 2),  # ¥710
    ],
)
def test_roundness(policies: PolicyHistory, amount: str, currency: str, zeros: int) -> None:
    assert last(policies, tx(TODAY, amount, currency=currency))["roundness"] == zeros


@pytest.mark.parametrize(("fields", "error"), [({"origin": "bank"}, ValueError), ({"currency": "THB"}, UnknownRate)])
def test_what_is_refused_changes_nothing(policy: Policy, fields: dict[str, Any], error: type[Exception]) -> None:
    state = AnomalyState()
    features(state, tx(YESTERDAY), policy)
    before = msgspec.msgpack.encode(state)
    with pytest.raises(error):
        features(state, tx(TODAY, **fields), policy)
    assert msgspec.msgpack.encode(state) == before


def test_the_state_holds_thirty_one_days(policy: Policy) -> None:
    state, sizes, start = AnomalyState(), [], at(f"{TODAY} 10:00")
    for day in range(150):
        # The channel of day 0 and the counterparties of each day do not come again.
        for hour in range(3):
            when = start + timedelta(days=day, hours=hour)
            event = tx(when, payee=f"P{day:03}-{hour}", channel="atm" if day else "counter")
            features(state, event, policy)
        sizes.append(len(msgspec.msgpack.encode(state)))
        assert len(state.hour) == 1
    assert [one.number for one in state.habit.days] == list(range(state.today.number - 30, state.today.number))
    assert (len(state.dealings.before), len(state.dealings.today)) == (90, 3)
    assert state.habit.sums.channels == {"atm": 90}
    assert len(set(sizes[31:])) == 1
    assert sizes[-1] < 5000
    features(state, tx(start + timedelta(days=149 + 31)), policy)
    assert not state.habit.days
    assert not state.dealings.before
    assert msgspec.msgpack.encode(state.habit.sums) == msgspec.msgpack.encode(AnomalyState().habit.sums)


def test_forgetting_what_no_habit_holds_changes_nothing(policies: PolicyHistory, policy: Policy) -> None:
    history = [tx("2026-03-10", "5", payee="A"), tx("2026-03-16", "50", payee="B"), tx("2026-04-01", "500", payee="C")]
    after = [tx(TODAY, payee="A"), tx(TODAY, payee="B")]
    state, found = AnomalyState(), []
    for event in history:
        features(state, event, policy)
    forget(state, date(2026, 3, 16))
    assert [one.counts[:2] for one in state.habit.days] == [[1, 0]]
    found = [features(state, event, policy) for event in after]
    assert found == [tuple(row.values()) for row in rows(policies, [*history, *after])[-2:]]


def test_forgetting_everything_leaves_only_when_the_last_was(policy: Policy) -> None:
    state = AnomalyState()
    for event in (tx(YESTERDAY), tx(TODAY)):
        features(state, event, policy)
    forget(state, date(2026, 4, 16))
    assert [state.hour, state.habit.days, state.dealings.today, state.dealings.before] == [[], [], {}, {}]
    assert state.today.count == state.habit.sums.count == 0
    row = features(state, tx("2026-06-01"), policy)
    fresh = features(AnomalyState(), tx("2026-06-01"), policy)
    assert row == (*fresh[:16], log2(31), fresh[17])
    forget(empty := AnomalyState(), date(2026, 4, 16))
    assert empty == AnomalyState()


def test_the_largest_sums_survive_a_restart(policies: PolicyHistory) -> None:
    # 300 of them are 2 x 10^20 cents, beyond 64 bits.
    large = [tx(YESTERDAY, "999999999999999.99", currency="USD", direction=way) for way in ("in", "out", "in")] * 100
    found = rows(policies, [*large, tx(TODAY, "999999999999999.99", currency="USD")])[-1]
    assert found["balance_shift"] == pytest.approx(-1 - 1 / 3, abs=1e-12)
    assert found["pass_through"] == pytest.approx(101 / 200, abs=1e-12)
    assert found["day_total_vs_habit"] == pytest.approx(log10(30 / 100), abs=1e-9)


EVENTS = st.builds(
    lambda minutes, cents, way, currency, payee, channel, method, abroad: tx(
        at("2026-03-01 00:00") + timedelta(minutes=minutes),
        str(Decimal(cents) / 100 if currency != "JPY" else max(1, cents // 100)),
        direction=way,
        currency=currency,
        payee=payee,
        channel=channel,
        method=method,
        cross_border=abroad,
    ),
    st.integers(0, 80 * 24 * 60),
    st.one_of(st.integers(1, 10**7), st.integers(10**16, 10**17 - 1)),
    st.sampled_from(["in", "out"]),
    st.sampled_from(["CNY", "USD", "JPY"]),
    st.sampled_from(["A", "B", "C", None]),
    st.sampled_from(["atm", "mobile", None]),
    st.sampled_from(["cash", "transfer"]),
    st.booleans(),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=40), st.booleans())
def test_rows_are_finite_and_restarts_change_nothing(
    policies: PolicyHistory, events: list[Transaction], ordered: bool
) -> None:
    if ordered:
        events.sort(key=lambda event: event.event_time)
    found = rows(policies, events)
    assert found == rows(policies, events, restart=False)
    assert all(isfinite(value) and isinstance(value, float) for row in found for value in row.values())
