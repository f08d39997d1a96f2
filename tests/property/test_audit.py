"""The chain of a case's history: whatever is changed, left out, put in or moved is found."""

from datetime import timedelta, timezone
from typing import Any

import hypothesis.strategies as st
import msgspec
from hypothesis import assume, given, settings
from msgspec.structs import replace

from models.response.audit import broken_link, chain_begins
from models.response.case import Case, Entry, noted
from tests.response import DAY, HOUR, MONDAY, Desk, action, warning

FIELDS: dict[str, Any] = {
    "at": MONDAY + timedelta(microseconds=1),
    "recorded_at": MONDAY - HOUR,
    "actor": "nobody",
    "kind": "lifted",
    "detail": "nothing to see",
    "department": "it",
    "measure": "none",
    "action_id": "forged",
    "warning_id": "forged",
    "note": "it was always like this",
    "evidence": ("forged",),
    "hash": "0" * 32,
}


def lived() -> Case:
    """A case with a history of every kind of hand in it."""
    desk = Desk()
    desk.take(warning(departments=("operations", "risk")))
    for hours, kind in enumerate(("acknowledge", "start", "comment", "complete"), 1):
        desk.take(action(kind, MONDAY + hours * HOUR, note="注", evidence=("doc-1",)))
    desk.tick(MONDAY + 30 * DAY)
    assert desk.refused == []
    return desk.case()


CASE = lived()
OLD = replace(CASE, history=tuple(replace(entry, hash="") for entry in CASE.history), head="")
LATER = noted(OLD, *(replace(entry, hash="") for entry in CASE.history[:4]))
index = st.integers(0, len(CASE.history) - 1)


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from((CASE, LATER)), name=st.sampled_from(sorted(FIELDS)), at=index, forged=st.booleans())
def test_what_is_changed_is_found(case: Case, name: str, at: int, forged: bool) -> None:
    """Also where the one entry's hash was made to fit it: the next entry, or the head, does not follow."""
    history = list(case.history)
    changed = replace(history[at], **{name: FIELDS[name]})
    assume(changed != history[at])
    if forged and name != "hash":
        own = noted(replace(case, history=tuple(history[:at]), head=""), changed)
        changed = own.history[-1] if history[at].hash else changed
    history[at] = changed
    found = broken_link(replace(case, history=tuple(history)))
    assert found is not None
    begins = chain_begins(case)
    assert begins is not None
    assert at <= found <= max(at + 1, begins)


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from((CASE, LATER)), at=index, count=st.integers(1, 3))
def test_what_is_left_out_is_found(case: Case, at: int, count: int) -> None:
    assume(count < len(case.history))
    history = case.history[:at] + case.history[at + count :]
    assert broken_link(replace(case, history=history)) is not None


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from((CASE, LATER)), at=st.integers(0, len(CASE.history)), twin=index, hashed=st.booleans())
def test_what_is_put_in_is_found(case: Case, at: int, twin: int, hashed: bool) -> None:
    entry = replace(case.history[twin], note="put in") if twin % 2 else case.history[twin]
    if not hashed:
        entry = replace(entry, hash="")
    history = (*case.history[:at], entry, *case.history[at:])
    assert broken_link(replace(case, history=history)) is not None


@settings(max_examples=60, deadline=None)
@given(case=st.sampled_from((CASE, LATER)), order=st.permutations(range(len(CASE.history))))
def test_what_is_moved_is_found(case: Case, order: list[int]) -> None:
    history = tuple(case.history[at] for at in order) + case.history[len(order) :]
    assume(history != case.history)
    assert broken_link(replace(case, history=history)) is not None


def test_a_whole_chain_is_whole_in_every_form_it_is_stored() -> None:
    for form in (msgspec.json, msgspec.msgpack):
        stored = form.decode(form.encode(CASE), type=Case)
        assert broken_link(stored) is None
        assert broken_link(noted(stored, *CASE.history[:1])) is None
    assert (chain_begins(CASE), CASE.head) == (0, CASE.history[-1].hash)
    assert all(len(entry.hash) == 32 for entry in CASE.history)


def test_the_time_of_another_zone_is_the_same_time() -> None:
    zone = timezone(8 * HOUR)
    entry = Entry(at=MONDAY, recorded_at=MONDAY, actor="ling", kind="comment")
    there = replace(entry, at=MONDAY.astimezone(zone), recorded_at=MONDAY.astimezone(zone))
    empty = replace(CASE, history=(), head="")
    assert noted(empty, entry).head == noted(empty, there).head


def test_a_history_from_before_there_was_a_chain() -> None:
    assert (broken_link(OLD), chain_begins(OLD)) == (None, None)
    assert (broken_link(LATER), chain_begins(LATER)) == (None, len(OLD.history))
    gone = replace(CASE, history=OLD.history)
    assert broken_link(gone) == len(gone.history)  # the head still says that there was one
    bare = replace(CASE, history=(replace(CASE.history[0], hash=""), *CASE.history[1:]))
    assert broken_link(bare) == 1


def test_a_case_is_not_another() -> None:
    assert broken_link(replace(CASE, case_id="customer:C43#1")) == 0
    assert broken_link(replace(LATER, case_id="customer:C43#1")) == len(OLD.history)


def test_the_first_hash_is_pinned() -> None:
    """SHA-256 of the case id and the entry's JSON with sorted keys, worked out by hand."""
    entry = Entry(at=MONDAY, recorded_at=MONDAY, actor="ling", kind="comment", note="x")
    case = noted(replace(CASE, history=(), head=""), entry, entry)
    assert [one.hash for one in case.history] == [
        "04f4dade727615448c0e62c2228db736",
        "38b65f40ef152f1fbcbe1384b8b48fe2",
    ]
