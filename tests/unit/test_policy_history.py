"""Which figures hold on which day: versions, rates and the watch list change at midnight in the bank's zone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import Counterparty
from models.policy import Policy, PolicyError, PolicyHistory, parse_policy
from models.reference import Rate
from models.watch_list import WatchEntry
from tests.data import ROOT

FOLDER = ROOT / "deploy" / "policy"
TEXT = (FOLDER / "cn.toml").read_text(encoding="utf-8")
EUROPE = (FOLDER / "eu.toml").read_text(encoding="utf-8")
FIRST = parse_policy(TEXT)
SHANGHAI = ZoneInfo("Asia/Shanghai")
MICROSECOND = timedelta(microseconds=1)


def version(name: str, day: str, *changes: tuple[str, str]) -> Policy:
    """The default policy under another name, from another day on."""
    text = TEXT.replace("cn-2026.1", name).replace("2026-01-01T00", f"{day}T00")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_policy(text)


def rate(currency: str, day: date, value: str, source: str = "bank") -> Rate:
    return Rate(currency=currency, as_of=day, rate=Decimal(value), source=source)


def listed(entry_id: str, name: str, first: date, end: date | None = None) -> WatchEntry:
    return WatchEntry(entry_id=entry_id, kind="name", value=name, source="test", valid_from=first, valid_until=end)


SECOND = version("cn-2026.2", "2026-03-02", ("value = 80, unit", "value = 100, unit"))
THIRD = version("cn-2026.3", "2026-06-01", ("value = 80, unit", "value = 90, unit"))


def test_one_version_holds_always() -> None:
    policies = PolicyHistory(FIRST)
    assert policies.on(date.min) is policies.on(date.max) is policies.latest is FIRST
    assert policies.at(datetime(1990, 1, 1, tzinfo=UTC)) is policies.at(datetime(2090, 1, 1, tzinfo=UTC)) is FIRST
    assert policies.spans() == [(FIRST, date.min, date.max)]
    assert policies.versions == (FIRST,)


def test_versions_change_at_midnight_in_the_banks_zone() -> None:
    policies = PolicyHistory(THIRD, FIRST, SECOND)  # in any order
    assert policies.versions == (FIRST, SECOND, THIRD)
    midnight = datetime(2026, 3, 2, tzinfo=SHANGHAI)
    for zone in (SHANGHAI, UTC, ZoneInfo("America/New_York")):
        assert policies.at((midnight - MICROSECOND).astimezone(zone)) is FIRST
        assert policies.at(midnight.astimezone(zone)) is SECOND
    assert policies.at(datetime(2026, 3, 1, 15, 59, 59, 999_999, tzinfo=UTC)) is FIRST
    assert policies.at(datetime(2026, 3, 1, 16, tzinfo=UTC)) is SECOND
    days = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 5, 31), date(2026, 6, 1), date(2025, 12, 31)]
    assert [policies.on(day).version[-1] for day in days] == ["1", "2", "2", "3", "1"]
    assert policies.latest is THIRD


def test_versions_change_at_midnight_over_a_change_of_the_clock() -> None:
    later = EUROPE.replace("eu-2027.1", "eu-2027.2").replace("2027-07-10T00:00:00+02:00", "2027-11-01T00:00:00+01:00")
    one, other = parse_policy(EUROPE), parse_policy(later)
    policies = PolicyHistory(one, other)
    assert policies.at(datetime(2027, 10, 31, 22, 59, 59, tzinfo=UTC)) is one
    assert policies.at(datetime(2027, 10, 31, 23, tzinfo=UTC)) is other


def test_the_longest_memory_is_that_of_any_version() -> None:
    policies = PolicyHistory(FIRST, SECOND, THIRD)
    assert policies.longest(lambda policy: policy.episodes.remember.whole) == 100
    assert PolicyHistory(FIRST, THIRD).longest(lambda policy: policy.episodes.remember.whole) == 90


def test_rates_hold_from_their_day_to_the_next() -> None:
    rates = [rate("USD", date(2026, 3, 2), "7.20"), rate("USD", date(2026, 3, 4), "7.30")]
    policies = PolicyHistory(FIRST, rates=reversed(rates))
    days = [date(2026, 3, day) for day in (1, 2, 3, 4, 5)]
    assert [policies.on(day).rates["USD"] for day in days] == [
        Decimal(text) for text in ("7.10", "7.20", "7.20", "7.30", "7.30")
    ]
    assert policies.at(datetime(2026, 3, 1, 16, tzinfo=UTC)).rates["USD"] == Decimal("7.20")
    assert {policies.on(day).rates["EUR"] for day in days} == {Decimal("8.20")}
    assert {policies.on(day).rates["CNY"] for day in days} == {1}
    figure = policies.on(days[1]).money.rates["USD"]
    assert (figure.value, figure.unit, figure.source) == (Decimal("7.20"), "CNY per USD", "bank")
    assert policies.on(days[1]).version == "cn-2026.1"
    assert policies.latest.rates["USD"] == Decimal("7.30")


def test_a_rate_makes_a_currency_known_from_its_day() -> None:
    policies = PolicyHistory(FIRST, rates=[rate("SEK", date(2026, 3, 2), "0.75")])
    assert "SEK" not in policies.on(date(2026, 3, 1)).rates
    assert policies.on(date(2026, 3, 2)).rates["SEK"] == Decimal("0.75")


def test_a_rate_given_again_for_a_day_replaces_the_first() -> None:
    day = date(2026, 3, 2)
    policies = PolicyHistory(FIRST, rates=[rate("USD", day, "7.20"), rate("USD", day, "7.25")])
    assert policies.on(day).rates["USD"] == Decimal("7.25")


def test_rates_outlast_a_change_of_version() -> None:
    policies = PolicyHistory(FIRST, SECOND, rates=[rate("USD", date(2026, 2, 1), "7.20")])
    before, after = policies.on(date(2026, 3, 1)), policies.on(date(2026, 3, 2))
    assert [(one.version, one.rates["USD"]) for one in (before, after)] == [
        ("cn-2026.1", Decimal("7.20")),
        ("cn-2026.2", Decimal("7.20")),
    ]


def test_no_rate_for_the_base_currency() -> None:
    with pytest.raises(PolicyError, match="a rate is given for CNY, which is"):
        PolicyHistory(FIRST, rates=[rate("CNY", date(2026, 3, 2), "2")])


def test_the_watch_list_of_a_day() -> None:
    entries = [
        listed("1", "Zhang Weiming", date(2026, 3, 2), date(2026, 3, 4)),
        listed("2", "Ivan Petrov", date(2026, 3, 3)),
    ]
    policies = PolicyHistory(FIRST, watch_list=entries)
    seen = [[entry.entry_id for entry in policies.on(date(2026, 3, day)).watch_list.entries] for day in (1, 2, 3, 4, 5)]
    assert seen == [[], ["1"], ["1", "2"], ["2"], ["2"]]
    hit = policies.on(date(2026, 3, 2)).watch_list.match(Counterparty(name="张伟明"))
    assert hit is not None
    assert hit.entry_id == "1"
    assert policies.on(date(2026, 3, 4)).watch_list.match(Counterparty(name="张伟明")) is None
    assert [entry.entry_id for entry in policies.latest.watch_list.entries] == ["2"]


def test_the_watch_list_is_asked_with_the_likeness_of_the_version() -> None:
    exact = version("cn-2026.2", "2026-03-02", ('value = 90, unit = "of 100', 'value = 100, unit = "of 100'))
    policies = PolicyHistory(FIRST, exact, watch_list=[listed("1", "Zhang Weiming", date(2026, 1, 1))])
    nearly = Counterparty(name="Zhang Weimin")
    assert policies.on(date(2026, 3, 1)).watch_list.match(nearly) is not None
    assert policies.on(date(2026, 3, 2)).watch_list.match(nearly) is None


def test_a_later_record_of_an_entry_replaces_it() -> None:
    entries = [listed("1", "Zhang Weiming", date(2026, 1, 1)), listed("1", "Ivan Petrov", date(2026, 1, 1))]
    (entry,) = PolicyHistory(FIRST, watch_list=entries).on(date(2026, 3, 1)).watch_list.entries
    assert entry.value == "Ivan Petrov"


def test_the_policy_of_a_day_is_made_once() -> None:
    policies = PolicyHistory(FIRST, SECOND, rates=[rate("USD", date(2026, 2, 1), "7.20")])
    assert policies.on(date(2026, 2, 1)) is policies.on(date(2026, 2, 28))
    assert policies.on(date(2026, 2, 1)).bank_calendar is FIRST.bank_calendar


DAYS = st.dates(date(2025, 11, 1), date(2026, 8, 1))


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.sampled_from([SECOND, THIRD]).map(lambda policy: policy.version)),
    st.lists(st.tuples(st.sampled_from(["USD", "EUR"]), DAYS), max_size=5),
    st.lists(st.tuples(DAYS, st.integers(1, 60) | st.none()), max_size=4),
    st.lists(DAYS, min_size=1, max_size=10),
)
def test_spans_cover_all_days_without_a_gap(
    names: set[str],
    rates: list[tuple[str, date]],
    entries: list[tuple[date, int | None]],
    asked: list[date],
) -> None:
    policies = PolicyHistory(
        FIRST,
        *(one for one in (SECOND, THIRD) if one.version in names),
        rates=[rate(code, day, f"7.{number}5") for number, (code, day) in enumerate(rates)],
        watch_list=[
            listed(str(number), "Zhang Wei", day, None if days is None else day + timedelta(days=days))
            for number, (day, days) in enumerate(entries)
        ],
    )
    spans = policies.spans()
    assert spans[0][1] == date.min
    assert spans[-1][2] == date.max
    assert all(one[2] == other[1] for one, other in pairwise(spans))
    assert all(first < end for _, first, end in spans)
    for day in asked:
        (of_day,) = (policy for policy, first, end in spans if first <= day < end)
        assert policies.on(day) is of_day
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=SHANGHAI)
        assert policies.at(noon) is of_day
        known = any(code == "USD" and first <= day for code, first in rates)
        assert (of_day.rates["USD"] != Decimal("7.10")) is known
        expected = {
            str(number)
            for number, (first, days) in enumerate(entries)
            if first <= day and (days is None or day < first + timedelta(days=days))
        }
        assert {entry.entry_id for entry in of_day.watch_list.entries} == expected


def test_at_least_one_version() -> None:
    with pytest.raises(PolicyError, match="at least one policy version is needed"):
        PolicyHistory()


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        (
            (FIRST, version("cn-2026.1", "2026-03-02")),
            "there are two policies called cn-2026.1; a version is immutable",
        ),
        (
            (FIRST, SECOND, version("cn-2026.1", "2026-06-01")),
            "there are two policies called cn-2026.1; a version is immutable",
        ),
        ((SECOND, version("other", "2026-03-02")), "cn-2026.2 and other hold from the same instant"),
        (
            (FIRST, version("perth", "2026-03-02", ("Asia/Shanghai", "Australia/Perth"))),
            "perth has calendar.timezone Australia/Perth, cn-2026.1 had Asia/Shanghai",
        ),
        (
            (FIRST, version("euro", "2026-03-02", ('foreign = "USD"', 'foreign = "EUR"'), ("USD = ", "EUR = "),
                            ('EUR = { value = "7.10"', 'USD = { value = "7.10"'))),
            "euro has money.foreign EUR, cn-2026.1 had USD",
        ),
        (
            (FIRST, version("crowns", "2026-03-02", ('base = "CNY"', 'base = "CZK"'), ("CNY = ", "CZK = "),
                            ('CZK = { value = "0.33"', 'CNY = { value = "3"'))),
            "crowns has money.base CZK, cn-2026.1 had CNY",
        ),
    ],
)  # fmt: skip
def test_a_successor_that_would_change_the_meaning_of_sums_is_refused(
    versions: tuple[Policy, ...], message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        PolicyHistory(*versions)
    with pytest.raises(PolicyError):
        PolicyHistory(*reversed(versions))


INSTEAD = version(
    "cn-2026.2b", "2026-03-02", ('version = "cn-2026.2b"', 'version = "cn-2026.2b"\nreplaces = "cn-2026.2"')
)
AGAIN = version(
    "cn-2026.2c", "2026-03-02", ('version = "cn-2026.2c"', 'version = "cn-2026.2c"\nreplaces = "cn-2026.2b"')
)


@pytest.mark.parametrize("order", list(permutations((FIRST, SECOND, INSTEAD, AGAIN, THIRD))))
def test_a_version_holds_in_place_of_another_in_whatever_order_they_come(order: tuple[Policy, ...]) -> None:
    whole = PolicyHistory(*order)
    assert whole.versions == (FIRST, AGAIN, THIRD)
    assert whole.known == order
    if order.index(SECOND) < order.index(INSTEAD) < order.index(AGAIN):  # else two would hold from one instant
        one_by_one = PolicyHistory(order[0])
        for policy in order[1:]:
            assert one_by_one.take(policy)
            assert not one_by_one.take(policy)
        assert one_by_one.versions == whole.versions
        assert one_by_one.spans() == whole.spans()


def test_what_was_replaced_before_it_came_changes_nothing() -> None:
    policies = PolicyHistory(FIRST, INSTEAD)
    assert policies.on(date(2026, 3, 2)) is INSTEAD
    assert not policies.take(SECOND)
    assert policies.versions == (FIRST, INSTEAD)
    with pytest.raises(PolicyError, match=r"two policies called cn-2026\.2;"):
        policies.take(version("cn-2026.2", "2026-06-01"))
    with pytest.raises(PolicyError, match=r'hold from the same instant.*policy.replaces = "cn-2026.2b"'):
        policies.take(version("other", "2026-03-02"))
    assert policies.versions == (FIRST, INSTEAD)


def test_the_first_version_may_be_replaced() -> None:
    new = version(
        "cn-2026.1b", "2026-01-01", ('version = "cn-2026.1b"', 'version = "cn-2026.1b"\nreplaces = "cn-2026.1"')
    )
    policies = PolicyHistory(FIRST, SECOND)
    assert policies.take(new)
    assert policies.versions == (new, SECOND)
    assert policies.on(date.min) is new


def replacing(name: str, old: str, day: str = "2026-03-02", *changes: tuple[str, str]) -> Policy:
    return version(name, day, (f'version = "{name}"', f'version = "{name}"\nreplaces = "{old}"'), *changes)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (replacing("late", "cn-2026.2", "2026-03-03"), "its own policy.valid_from must be the same"),
        (
            replacing("perth", "cn-2026.2", "2026-03-02", ("Asia/Shanghai", "Australia/Perth")),
            "perth has calendar.timezone Australia/Perth, cn-2026.2 had Asia/Shanghai",
        ),
        (replacing("other", "cn-2026.9"), "cn-2026.2 and other hold from the same instant"),
    ],
)
def test_a_replacement_that_cannot_be_one_is_refused(policy: Policy, message: str) -> None:
    policies = PolicyHistory(FIRST, SECOND)
    with pytest.raises(PolicyError, match=message):
        policies.take(policy)
    assert policies.versions == (FIRST, SECOND)


def test_versions_that_replace_one_another_are_refused() -> None:
    with pytest.raises(PolicyError, match="one and two replace one another, so that none is left"):
        PolicyHistory(FIRST, replacing("one", "two"), replacing("two", "one"))
    with pytest.raises(PolicyError, match=r"policy\.replaces must name another version"):
        replacing("one", "one")
