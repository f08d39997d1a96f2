"""Rates, versions and mutes as they travel, and the history that takes them: what it refuses, what changes when."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.codec import Codec, decode, encode
from connectors.references import NOT_AGAIN, VersionConflict, first_day, letter_of, made, refusal_of, said, take
from connectors.refusals import Undecodable
from models.events import Counterparty
from models.money import InvalidField
from models.mutes import Mutes
from models.policy import PolicyError, PolicyHistory, parse_policy, published_policy
from models.reference import Mute, PolicyVersion, Rate, digest_of, same_person
from models.risk_warning import SEVERITIES
from models.watch_list import WatchEntry
from tests.data import ROOT
from tests.make import at

TEXT = (ROOT / "deploy" / "policy" / "cn.toml").read_text(encoding="utf-8")
FIRST = parse_policy(TEXT)
CALENDAR = FIRST.bank_calendar
NOON = at("2026-03-02 12:00")
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def text_of(name: str = "cn-2026.2", day: str = "2026-06-01", *changes: tuple[str, str]) -> str:
    text = TEXT.replace("cn-2026.1", name).replace("2026-01-01T00", f"{day}T00")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def published(text: str, /, **fields: Any) -> PolicyVersion:
    """The version in a text, approved by whom it names, unless told otherwise."""
    head = parse_policy(text).policy
    values: dict[str, Any] = {
        "policy_id": head.id,
        "version": head.version,
        "valid_from": head.valid_from,
        "text": text,
        "digest": digest_of(text),
        "proposed_by": head.proposed_by,
        "proposed_at": NOON,
        "approved_by": head.approved_by,
        "approved_at": NOON,
    }
    return PolicyVersion(**values | fields)


PROPOSED: dict[str, Any] = {"approved_by": None, "approved_at": None}
REJECTED = PROPOSED | {"rejected_by": "head-of-risk", "rejected_at": NOON}


def mute(**fields: Any) -> Mute:
    """An approved mute of C1's structuring on 2 and 3 March 2026, up to medium, unless told otherwise."""
    values: dict[str, Any] = {
        "mute_id": "m1",
        "subject": "customer:C1",
        "detector": "structuring",
        "starts_at": at("2026-03-02 00:00"),
        "ends_at": at("2026-03-04 00:00"),
        "up_to": "medium",
        "reason": "known",
        "proposed_by": "ling",
        "proposed_at": NOON - DAY,
        "approved_by": "wang",
        "approved_at": NOON,
    }
    return Mute(**values | fields)


def rate(currency: str = "SEK", day: date = date(2026, 3, 2), value: str = "0.75") -> Rate:
    return Rate(currency=currency, as_of=day, rate=Decimal(value), source="bank")


def listed(entry_id: str = "1", first: date = date(2026, 3, 2), **fields: Any) -> WatchEntry:
    values: dict[str, Any] = {"kind": "name", "value": "Zhang Weiming", "source": "test", "valid_from": first}
    return WatchEntry(entry_id=entry_id, **values | fields)


# --- what cannot be made ---


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_rate_is_a_number_above_zero(value: str) -> None:
    with pytest.raises(InvalidField, match="must be a finite number above zero"):
        rate(value=value)


def test_keys_are_ids() -> None:
    assert rate().key == rate().event_id == "SEK@2026-03-02"
    assert published(text_of()).key == "cn@cn-2026.2"
    assert mute().key == "m1"


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"digest": "0" * 64}, "digest", "mismatch"),
        ({"approved_at": None}, "approved_by", "contradictory"),
        ({"approved_by": None}, "approved_by", "contradictory"),
        ({"rejected_by": "x"}, "rejected_by", "contradictory"),
        ({"rejected_by": "x", "rejected_at": NOON}, "rejected_by", "contradictory"),
        ({"approved_by": " Risk-Policy-Officer"}, "approved_by", "four_eyes"),
    ],
)
def test_a_version_that_contradicts_itself(fields: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidField) as refused:
        published(text_of(), **fields)
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"ends_at": at("2026-03-02 00:00")}, "ends_at", "contradictory"),
        ({"approved_at": None}, "approved_by", "contradictory"),
        ({"approved_by": "LING "}, "approved_by", "four_eyes"),
        ({"lift_proposed_by": "wang"}, "lift_proposed_by", "contradictory"),
        ({"lifted_by": "wang", "lifted_at": NOON}, "lifted_by", "contradictory"),
        (
            {"lift_proposed_by": "wang", "lift_proposed_at": NOON, "lifted_by": "Wang", "lifted_at": NOON},
            "lifted_by",
            "four_eyes",
        ),
        (
            PROPOSED | {"lift_proposed_by": "wang", "lift_proposed_at": NOON, "lifted_by": "ling", "lifted_at": NOON},
            "lifted_by",
            "contradictory",
        ),
    ],
)
def test_a_mute_that_contradicts_itself(fields: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidField) as refused:
        mute(**fields)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_one_person_however_typed() -> None:
    assert same_person(" Ling", "LING ")
    assert not same_person("ling", "ling2")
    assert not same_person("ling", None)


def test_the_state_of_a_version() -> None:
    text = text_of()
    assert [published(text, **fields).state for fields in ({}, PROPOSED, REJECTED)] == [
        "approved",
        "proposed",
        "rejected",
    ]


# --- mutes ---


def test_a_mute_holds_from_its_start_until_before_its_end() -> None:
    one = mute()
    start, end = one.starts_at, one.ends_at
    assert [one.covers("low", moment) for moment in (start - MICROSECOND, start, end - MICROSECOND, end)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_mute_covers_up_to_its_severity_and_only_once_approved() -> None:
    for number, up_to in enumerate(SEVERITIES):
        covered = [mute(up_to=up_to).covers(severity, NOON) for severity in SEVERITIES]  # type: ignore[arg-type]
        assert covered == [rank <= number for rank in range(len(SEVERITIES))]
    assert not mute(**PROPOSED).covers("low", NOON)


def test_a_lifted_mute_ends_where_it_was_lifted_but_never_later_than_agreed() -> None:
    proposed = {"lift_proposed_by": "wang", "lift_proposed_at": NOON}
    assert mute(**proposed).ends == mute().ends_at
    lifted = mute(**proposed, lifted_by="ling", lifted_at=NOON)
    assert lifted.ends == NOON
    assert lifted.covers("low", NOON - MICROSECOND)
    assert not lifted.covers("low", NOON)
    assert mute(**proposed, lifted_by="ling", lifted_at=NOON + 9 * DAY).ends == mute().ends_at


def test_of_several_mutes_the_one_that_ends_last_is_named() -> None:
    mutes = Mutes()
    longer = mute(mute_id="m2", ends_at=at("2026-03-05 00:00"))
    assert [mutes.take(one) for one in (longer, mute(), mute())] == [True, True, False]
    assert mutes.muting("customer:C1", "structuring", "low", NOON) == longer
    assert mutes.muting("customer:C1", "structuring", "high", NOON) is None
    assert mutes.muting("customer:C1", "teller_report", "low", NOON) is None
    assert mutes.muting("customer:C2", "structuring", "low", NOON) is None


def test_a_later_record_of_a_mute_replaces_it_whomever_it_was_of() -> None:
    mutes = Mutes()
    mutes.take(mute())
    assert mutes.take(mute(subject="customer:C2"))
    assert mutes.muting("customer:C1", "structuring", "low", NOON) is None
    assert mutes.muting("customer:C2", "structuring", "low", NOON) is not None
    assert mutes.take(mute(subject="customer:C2", **PROPOSED))
    assert mutes.muting("customer:C2", "structuring", "low", NOON) is None


# --- the history ---


def test_an_approved_version_holds_from_its_day_on_and_only_then() -> None:
    policies = PolicyHistory(FIRST)
    assert policies.on(date(2026, 6, 1)) is FIRST
    assert not policies.take(published(text_of(), **PROPOSED))
    assert not policies.take(published(text_of(), **REJECTED))
    assert policies.on(date(2026, 6, 1)) is FIRST
    assert policies.take(published(text_of()))
    assert not policies.take(published(text_of()))
    assert [policies.on(date(2026, month, day)).version for month, day in ((5, 31), (6, 1))] == [
        "cn-2026.1",
        "cn-2026.2",
    ]
    assert policies.latest.version == "cn-2026.2"
    assert len(policies.spans()) == 2


def test_what_is_taken_one_by_one_is_what_is_taken_at_once() -> None:
    items: list[Any] = [
        listed("1", valid_until=date(2026, 5, 1)),
        rate(),
        published(text_of()),
        rate(day=date(2026, 7, 1), value="0.8"),
        listed("2", date(2026, 4, 1), value="Ivan Petrov"),
    ]
    one_by_one = PolicyHistory(FIRST)
    for item in items:
        assert one_by_one.take(item)
        assert one_by_one.on(date(2026, 6, 15)) is not None  # made in between, and made anew after the next
        assert not one_by_one.take(item)
    at_once = PolicyHistory(FIRST, parse_policy(text_of()), rates=[items[1], items[3]], watch_list=[items[0], items[4]])
    mine, theirs = one_by_one.spans(), at_once.spans()
    assert [(first, end) for _, first, end in mine] == [(first, end) for _, first, end in theirs]
    for (here, _, _), (there, _, _) in zip(mine, theirs, strict=True):
        assert (here.version, here.rates, here.watch_list.entries) == (
            there.version,
            there.rates,
            there.watch_list.entries,
        )


def test_the_same_entries_are_one_list_on_all_days() -> None:
    policies = PolicyHistory(FIRST, watch_list=[listed(first=date(2026, 1, 1))])
    before = policies.on(date(2026, 3, 1)).watch_list
    for day in range(1, 20):
        policies.take(rate(day=date(2026, 3, day), value=f"0.7{day}"))
    assert {id(policies.on(date(2026, 3, day)).watch_list) for day in range(1, 20)} == {id(before)}
    policies.take(listed("2", value="Ivan Petrov"))
    found = policies.on(date(2026, 3, 2)).watch_list.match(Counterparty(name="Ivan Petrov"))
    assert found is not None
    assert policies.on(date(2026, 3, 1)).watch_list.match(Counterparty(name="Ivan Petrov")) is None


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (rate("CNY"), "a rate is given for CNY, which is money.base and so worth 1"),
        (published(text_of("cn-2026.1", "2026-06-01")), "there are two policies called cn-2026.1"),
        (published(text_of("other", "2026-01-01")), "hold from the same instant"),
        (published(text_of("perth", "2026-06-01", ("Asia/Shanghai", "Australia/Perth"))), "calendar.timezone"),
        (published(text_of(), approved_by="zhao"), "policy.approved_by is head-of-risk in its text, but it was zhao"),
        (published(text_of(), proposed_by="zhao"), "policy.proposed_by is risk-policy-officer in its text"),
        (published(text_of(), version="cn-2026.9"), "policy.version is cn-2026.2 in its text, cn-2026.9 where it was"),
        (published(text_of(), policy_id="us"), "policy.id is cn in its text, us where it was proposed"),
        (published(text_of(), valid_from=NOON), "policy.valid_from is"),
        (published(text_of(), text="x = 1", digest=digest_of("x = 1")), "cn@cn-2026.2: "),
    ],
)
def test_what_must_not_be_taken_leaves_all_as_it_was(item: Any, message: str) -> None:
    policies = PolicyHistory(FIRST)
    with pytest.raises(PolicyError, match=message):
        policies.take(item)
    assert policies.latest is FIRST
    assert policies.versions == (FIRST,)


def test_every_difference_in_kind_is_named_at_once() -> None:
    euro = (
        ('foreign = "USD"', 'foreign = "EUR"'),
        ("USD = ", "EUR = "),
        ('EUR = { value = "7.10"', 'USD = { value = "7.10"'),
        ("Asia/Shanghai", "Asia/Hong_Kong"),
    )
    with pytest.raises(PolicyError) as refused:
        PolicyHistory(FIRST, parse_policy(text_of("hk", "2026-01-01", *euro)))
    for what in ("same instant", "calendar.timezone Asia/Hong_Kong", "money.foreign EUR"):
        assert what in str(refused.value)


def test_a_published_policy_is_its_text() -> None:
    assert published_policy(published(text_of(), approved_by="Head-of-Risk ")) == parse_policy(text_of())


# --- taking records ---


def test_another_text_under_a_name_in_use_stops() -> None:
    policies = PolicyHistory(FIRST)
    with pytest.raises(
        VersionConflict, match=r"other figures than the cn-2026\.1 in use here.*immutable.*show cn-2026"
    ):
        take(policies, published(text_of("cn-2026.1", "2026-06-01")), {})
    approved: dict[str, PolicyVersion] = {}
    assert not take(policies, published(TEXT), approved)  # the file's own text, published
    assert list(approved) == ["cn@cn-2026.1"]
    assert not take(policies, published(text_of("cn-2026.1", "2026-06-01"), **PROPOSED), {})


def test_an_approval_that_is_withdrawn_stops() -> None:
    policies, approved = PolicyHistory(FIRST), dict[str, PolicyVersion]()
    assert not take(policies, published(text_of(), **REJECTED), approved)
    assert take(policies, published(text_of()), approved)
    with pytest.raises(VersionConflict, match=r"cn-2026\.2 was approved and is rejected now: start all workers again"):
        take(policies, published(text_of(), **REJECTED), approved)


def test_a_policy_of_many_lines_travels_and_a_changed_one_does_not() -> None:
    codec = Codec()
    item = published(text_of())
    value, headers = codec.encode("policy", item)
    assert codec.decode("policy", item.key.encode(), value, headers) == item
    with pytest.raises(Undecodable, match="mismatch: digest"):
        codec.decode("policy", item.key.encode(), value.replace(b"50000", b"90000"), headers)


def test_items_are_made_as_the_workers_read_them() -> None:
    fields = {"currency": "SEK", "as_of": date(2026, 3, 2), "rate": "0.75", "source": "bank"}
    assert made("rates", fields) == rate()
    for name, value in (("rate", "1_0"), ("currency", "sek"), ("as_of", "2 March"), ("rate", "-1")):
        with pytest.raises(Exception, match=f"^{name}: "):
            made("rates", fields | {name: value})


def record(key: bytes | None, value: bytes | None) -> Any:
    """What both Kafka clients give, as far as it is looked at."""
    return SimpleNamespace(
        topic="rates", partition=3, offset=7, timestamp=1_772_424_000_123, headers=(), key=key, value=value
    )


def test_a_dead_letter_is_the_same_from_every_worker() -> None:
    refusal = refusal_of(rate("CNY"), PolicyError("no"))
    letter = letter_of(record(b"CNY@2026-03-02", b"{}"), refusal)
    assert letter == letter_of(record(b"CNY@2026-03-02", b"{}"), refusal)
    assert (letter.dead_letter_id, letter.reason, letter.field) == ("rates/3/7", "bad_rate", "currency")
    assert letter.refused_at == datetime(2026, 3, 2, 4, 0, 0, 123_000, tzinfo=UTC)
    assert (letter_of(record(None, None), refusal).source_key, letter_of(record(None, None), refusal).raw) == (
        None,
        None,
    )
    assert letter_of(record(b"\xff", b""), refusal).source_key == "base64:/w=="
    for key in (b"C\x00", b"\x00", b""):
        # Whatever the key was, the letter can be read: one that could not would be refused messages lost in silence.
        written = letter_of(record(key, b"{}"), refusal)
        assert decode("dead-letters", written.key.encode(), encode("dead-letters", written)[0]) == written
    assert refusal_of(published(text_of()), PolicyError("no")).reason == "bad_policy"


# --- what is said of a change ---


def lines() -> Iterator[tuple[Any, WatchEntry | None, date | None, str]]:
    ended = listed(valid_until=date(2026, 5, 1))
    yield published(text_of()), None, date(2026, 6, 1), "policy cn-2026.2 holds from 2026-06-01"
    yield rate(), None, date(2026, 3, 2), "rate SEK 0.75 holds from 2026-03-02"
    yield listed(), None, date(2026, 3, 2), "watch-list entry 1 holds from 2026-03-02"
    yield ended, listed(), date(2026, 5, 1), "watch-list entry 1 holds from 2026-03-02 until 2026-05-01"
    yield listed(), ended, date(2026, 5, 1), "watch-list entry 1 holds from 2026-03-02"
    yield listed(first=date(2026, 2, 1)), listed(), date(2026, 2, 1), "watch-list entry 1 holds from 2026-02-01"
    text = "mute m1 of structuring (approved) holds from 2026-03-02T00:00:00+08:00 until 2026-03-04T00:00:00+08:00"
    yield mute(), None, None, text


@pytest.mark.parametrize(("item", "since", "day", "text"), list(lines()))
def test_a_change_is_said_in_a_line_and_a_late_one_says_so(
    item: Any, since: WatchEntry | None, day: date | None, text: str
) -> None:
    assert first_day(item, CALENDAR, since) == day
    if day is None:
        assert said(item, date(2030, 1, 1), CALENDAR, since) == text
    else:
        assert said(item, day - DAY, CALENDAR, since) == text
        assert said(item, day, CALENDAR, since) == f"{text}; {NOT_AGAIN}"
