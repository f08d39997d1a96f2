"""Who stands on the watch list, on which day, and which entry counts."""

from datetime import date
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import Counterparty
from models.money import InvalidField
from models.names import similarity
from models.watch_list import WatchEntry, WatchList

GOOD = {"entry_id": "1", "kind": "name", "value": "Zhang Wei", "source": "test list", "valid_from": date(2026, 1, 1)}


def entry(entry_id: str, value: str, kind: str = "name", **fields: object) -> WatchEntry:
    return msgspec.convert({**GOOD, "entry_id": entry_id, "kind": kind, "value": value, **fields}, WatchEntry)


def found(watch_list: WatchList, **fields: str) -> str | None:
    hit = watch_list.match(Counterparty(**fields))
    return hit.entry_id if hit else None


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"valid_until": date(2026, 1, 1)}, "valid_until", "contradictory"),
        ({"valid_until": date(2025, 12, 31)}, "valid_until", "contradictory"),
        ({"kind": "country", "value": "kp"}, "value", "malformed"),
        ({"kind": "country", "value": "PRK"}, "value", "malformed"),
        ({"kind": "country", "value": "K1"}, "value", "malformed"),
        ({"kind": "country", "value": "ÄÖ"}, "value", "malformed"),
        ({"kind": "name", "value": "  "}, "value", "unreadable"),
        ({"kind": "name", "value": "\U0001f600"}, "value", "unreadable"),
    ],
)
def test_contradictory_entries_are_refused(fields: dict[str, object], field: str, reason: str) -> None:
    with pytest.raises(InvalidField) as refused:
        WatchEntry(**{**GOOD, **fields})  # type: ignore[arg-type]
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize("empty", ["entry_id", "value", "source"])
def test_empty_fields_are_refused(empty: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=empty):
        msgspec.convert({**GOOD, empty: ""}, WatchEntry)


def test_an_entry_is_an_event_keyed_by_its_id() -> None:
    one = entry("un-7", "Zhang Wei", valid_until=date(2026, 1, 2))
    assert one.key == one.event_id == "un-7"
    assert msgspec.json.decode(msgspec.json.encode(one), type=WatchEntry) == one


def test_an_entry_holds_from_its_first_day_to_the_day_before_its_last() -> None:
    one = entry("1", "Zhang Wei", valid_until=date(2026, 3, 1))
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28), date(2026, 3, 1)]
    assert [one.holds_on(day) for day in days] == [False, True, True, False]
    assert entry("2", "Zhang Wei").holds_on(date.max)


def test_accounts_names_and_countries() -> None:
    watch_list = WatchList(
        [
            entry("a", "666", "account"), entry("b", "BANK/777", "account"), entry("c", "KP", "country"),
            entry("n", "Zhang Weiming"),
        ],
        90,
    )  # fmt: skip
    assert found(watch_list, account_id="666") == found(watch_list, account_id="666", bank="ANY") == "a"
    assert found(watch_list, account_id="777", bank="BANK") == "b"
    assert found(watch_list, account_id="777") is found(watch_list, account_id="777", bank="OTHER") is None
    assert found(watch_list, account_id="6666") is None  # an account is never nearly another
    assert found(watch_list, country="KP") == "c"
    assert found(watch_list, country="KR") is None
    assert found(watch_list, name="张伟明") == found(watch_list, name="Weiming Zhang") == "n"
    assert found(watch_list, name="666") is found(watch_list, name="KP") is None


def test_the_account_counts_before_the_name_and_the_name_before_the_country() -> None:
    watch_list = WatchList([entry("1", "KP", "country"), entry("2", "Zhang Weiming"), entry("3", "666", "account")], 90)
    assert found(watch_list, account_id="666", name="Zhang Weiming", country="KP") == "3"
    assert found(watch_list, account_id="667", name="Zhang Weiming", country="KP") == "2"
    assert found(watch_list, account_id="667", name="Li Na", country="KP") == "1"


@pytest.mark.parametrize("name", ["", " ", "\U0001f600", "..."])
def test_who_has_no_readable_name_is_not_on_the_list(name: str) -> None:
    watch_list = WatchList([entry("1", "Zhang Wei"), entry("2", "Li")], 1)
    assert found(watch_list, name=name) is None


def test_nobody_matches_nobody() -> None:
    assert WatchList([], 90).match(Counterparty(name="Zhang Wei")) is None
    assert WatchList([entry("1", "Zhang Wei")], 90).match(None) is None
    assert WatchList([entry("1", "Zhang Wei")], 90).match(Counterparty()) is None


def test_a_name_counts_from_the_figure_on() -> None:
    entries = [entry("1", "abcdefghix")]
    assert similarity("abcdefghix", "abcdefghiy") == 90
    assert found(WatchList(entries, 90), name="abcdefghiy") == "1"
    assert found(WatchList(entries, 91), name="abcdefghiy") is None
    assert found(WatchList(entries, 100), name="abcdefghix") == "1"


def test_a_part_of_a_name_and_a_short_name_do_not_count() -> None:
    watch_list = WatchList([entry("1", "Zhang Wei"), entry("2", "Li"), entry("3", "Wei Ltd")], 90)
    assert found(watch_list, name="Zhang") is found(watch_list, name="Lin") is found(watch_list, name="L") is None
    assert found(watch_list, name="LI") == found(watch_list, name="李") == "2"
    assert found(watch_list, name="Wei Co Ltd") == "3"


def test_the_closest_name_counts_then_the_first_id() -> None:
    entries = [entry("1", "Vladimir Petroff"), entry("2", "Vladimir Petrov"), entry("3", "Petrov Vladimir")]
    for order in (entries, entries[::-1]):
        assert found(WatchList(order, 80), name="Vladimir Petrov") == "2"
        assert found(WatchList(order, 80), name="Vladimir Petrof") == "1"
    # both one letter away, but in other orders of words
    twins = [entry("b", "Vladimir Petrovx"), entry("a", "Petrovy Vladimir")]
    assert found(WatchList(twins, 90), name="Vladimir Petrov") == found(WatchList(twins, 90), name="PetrovVladimir")
    assert found(WatchList(twins, 90), name="Vladimir Petrov") == "a"


def test_of_equal_accounts_the_first_id_counts() -> None:
    entries = [entry("2", "666", "account"), entry("1", "666", "account")]
    assert found(WatchList(entries, 90), account_id="666") == "1"
    assert found(WatchList(reversed(entries), 90), account_id="666") == "1"


words = st.sampled_from("zhang wei weiming li lin na ivan ivanov petrov acme ltd sa 伟 张 Игорь".split())
several = st.lists(words, min_size=1, max_size=4).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(several, max_size=12), several, st.integers(1, 100), st.randoms(use_true_random=False))
def test_the_index_finds_what_one_by_one_comparison_finds(
    listed: list[str], name: str, least: int, random: Random
) -> None:
    entries = [entry(f"{number:02d}", value) for number, value in enumerate(listed)]
    scores = [(-similarity(name, one.value), one.entry_id) for one in entries if similarity(name, one.value) >= least]
    expected = min(scores)[1] if scores else None
    random.shuffle(entries)
    watch_list = WatchList(entries, least)
    assert found(watch_list, name=name) == expected
    assert found(watch_list, name=name) == expected  # from the cache
