"""The stage `cases`: warnings and actions in, cases out, time passing by stream and by wall clock."""

import base64
from datetime import timedelta

import msgspec
import pytest

from models.events import Action
from models.pipeline import MemoryStates
from models.response.case import Case
from models.response.subject import KEEP_CLOSED, MAX_WAITING
from models.stage import Answered, Owed
from tests.response import DAY, HOUR, MONDAY, SUBJECT, Desk, action, unreminded, warning

OTHER = "customer:C7"


def answered(desk: Desk, number: int, start: timedelta) -> None:
    """Acknowledge and complete a case."""
    case_id = f"{SUBJECT}#{number}"
    desk.take(action("acknowledge", MONDAY + start, case_id=case_id))
    desk.take(action("complete", MONDAY + start + HOUR, case_id=case_id))


def test_a_warning_opens_a_case_and_the_next_joins_it() -> None:
    desk = Desk()
    emits = desk.take(warning())
    assert [(emit.topic, emit.key, emit.route) for emit in emits] == [("cases", f"{SUBJECT}#1", SUBJECT)]
    desk.take(warning(MONDAY + HOUR, warning_id="w2"))
    assert [ref.warning_id for ref in desk.cases[f"{SUBJECT}#1"].warnings] == ["w1", "w2"]
    assert desk.cases[f"{SUBJECT}#1"].revision == 2


def test_a_batch_emits_a_case_once() -> None:
    emits = Desk().take(warning(), warning(revision=2), action("start", MONDAY + HOUR))
    assert len(emits) == 1
    assert emits[0].value.tasks[0].state == "in_progress"
    assert emits[0].value.revision == 3


def test_duplicates_change_nothing() -> None:
    desk = Desk()
    start = action("start", MONDAY + HOUR)
    desk.take(warning(), start)
    before = desk.case()
    assert desk.take(warning(), start, warning(revision=1, severity="critical")) == []
    assert desk.case() == before
    assert desk.refused == []


def test_shadow_warnings_open_nothing_and_drills_stand_apart() -> None:
    desk = Desk()
    assert desk.take(warning(mode="shadow")) == []
    assert desk.states.values == {}
    desk.take(warning(), warning(mode="drill"), warning(MONDAY + HOUR, warning_id="w2", mode="drill"))
    live, drill = desk.case(1), desk.case(2)
    assert (live.mode, [ref.warning_id for ref in live.warnings]) == ("live", ["w1"])
    assert (drill.mode, [ref.warning_id for ref in drill.warnings]) == ("drill", ["w1", "w2"])
    desk.take(warning(MONDAY + 2 * HOUR, warning_id="w3"))
    assert [ref.warning_id for ref in desk.case(1).warnings] == ["w1", "w3"]


def test_after_a_case_is_resolved_the_next_one_is_numbered_on() -> None:
    desk = Desk()
    desk.take(warning())
    answered(desk, 1, HOUR)
    desk.take(warning(MONDAY + 3 * HOUR, revision=2, notify=False))  # nobody was told: noted, nothing owed
    assert (desk.case(1).state, desk.case(1).warnings[0].revision) == ("resolved", 2)
    desk.take(warning(MONDAY + 4 * HOUR, revision=3))
    assert (desk.case(2).state, desk.case(2).warnings[0].revision) == ("open", 3)
    desk.take(warning(MONDAY + 4 * HOUR, revision=2), warning(MONDAY, revision=3))  # both known by now
    assert sorted(desk.subject().cases) == [1, 2]
    assert len(desk.case(2).warnings) == 1


def test_a_revision_that_opens_an_older_case_again_is_known_there() -> None:
    desk = Desk()
    desk.take(warning(warning_id="w1"))
    answered(desk, 1, HOUR)
    desk.take(warning(MONDAY + 3 * HOUR, warning_id="w2"))
    answered(desk, 2, 4 * HOUR)
    disproof = warning(MONDAY + 6 * HOUR, warning_id="w2", revision=2, disproves=f"{SUBJECT}#1")
    desk.take(disproof)
    assert (desk.case(1).state, desk.case(2).state) == ("open", "resolved")
    revisions = {number: case.revision for number, case in desk.subject().cases.items()}
    desk.take(disproof)
    assert {number: case.revision for number, case in desk.subject().cases.items()} == revisions


def test_illegal_actions_are_refused_before_anything_changes() -> None:
    desk = Desk()
    desk.take(warning())
    desk.take(
        action("approve", MONDAY + 90 * DAY),
        action("start", MONDAY + HOUR, department="credit"),
        action("start", MONDAY + HOUR, measure="nothing_known"),
        action("comment", MONDAY + HOUR, case_id=f"{SUBJECT}#7"),
        action("comment", MONDAY + HOUR, case_id=f"{SUBJECT}#01"),
        action("comment", MONDAY + HOUR, case_id=f"{SUBJECT}#0"),
    )
    assert [(refused.reason, refused.field) for refused in desk.refused] == [
        ("illegal_move", "kind"),
        ("no_task", "actor.department"),
        ("unknown_measure", "measure"),
        ("unknown_case", "case_id"),
        ("unknown_case", "case_id"),
        ("unknown_case", "case_id"),
    ]
    assert desk.case().revision == 1
    desk.tick(MONDAY + HOUR)
    assert not desk.case().tasks[0].breached  # a refused action moves no clock


def test_an_action_from_the_future_is_refused() -> None:
    desk = Desk()
    desk.take(warning())
    desk.take(action("start", MONDAY + HOUR), ingest=MONDAY + 54 / 60 * HOUR)
    assert [(refused.reason, refused.field) for refused in desk.refused] == [("in_the_future", "event_time")]
    desk.take(action("start", MONDAY + HOUR), ingest=MONDAY + 55 / 60 * HOUR)
    assert desk.case().tasks[0].state == "in_progress"


def test_an_action_beyond_the_lateness_is_refused() -> None:
    desk = Desk()
    desk.take(warning(), action("start", MONDAY + 5 * DAY))
    desk.take(action("comment", MONDAY + 2 * DAY), action("comment", MONDAY + 2 * DAY - HOUR))
    assert [(refused.reason, refused.field) for refused in desk.refused] == [("too_late", "event_time")]


def test_a_warning_stamped_ahead_makes_nothing_overdue() -> None:
    desk = Desk()
    desk.take(warning())
    desk.take(warning(MONDAY + 90 * DAY, subject=OTHER), ingest=MONDAY + HOUR)
    assert not desk.case().tasks[0].breached
    assert desk.case(1, OTHER).opened_at == MONDAY + 90 * DAY


def test_reopening() -> None:
    desk = Desk()
    desk.take(warning())
    answered(desk, 1, HOUR)
    desk.take(action("reopen", MONDAY + 2 * HOUR), warning(MONDAY + 3 * HOUR, warning_id="w2"))
    desk.take(action("approve", MONDAY + 4 * HOUR, who="mei"))
    assert [(refused.reason, refused.field) for refused in desk.refused] == [("illegal_move", "kind")]
    assert f"{SUBJECT}#2" in desk.refused[0].detail
    answered(desk, 2, 5 * HOUR)
    assert desk.case(1).state == "resolved"
    desk.take(action("approve", MONDAY + 7 * HOUR, who="mei"))
    assert (desk.case(1).state, desk.subject().open) == ("open", {"live": 1})
    desk.take(warning(MONDAY + 8 * HOUR, warning_id="w3"))
    assert [ref.warning_id for ref in desk.case(1).warnings] == ["w1", "w3"]


def test_no_reopening_is_proposed_beside_an_open_case() -> None:
    desk = Desk()
    desk.take(warning())
    answered(desk, 1, HOUR)
    desk.take(warning(MONDAY + 3 * HOUR, warning_id="w2"), action("reopen", MONDAY + 4 * HOUR))
    assert [(refused.reason, refused.field) for refused in desk.refused] == [("illegal_move", "kind")]
    assert f"{SUBJECT}#2 is open: act there" in desk.refused[0].detail


def test_closed_cases_are_kept_up_to_a_number() -> None:
    desk = Desk()
    for n in range(1, KEEP_CLOSED + 3):
        desk.take(warning(MONDAY + n * DAY, warning_id=f"w{n}"))
        answered(desk, n, n * DAY + HOUR)
    desk.take(warning(MONDAY + 99 * DAY, warning_id="last"))
    assert sorted(desk.subject().cases) == list(range(3, KEEP_CLOSED + 4))
    desk.take(action("reopen", MONDAY + 100 * DAY))
    assert desk.refused[0].reason == "unknown_case"
    assert "was resolved" in desk.refused[0].detail
    assert len(desk.cases) == KEEP_CLOSED + 3


# --- time ---


def test_another_subjects_record_moves_the_clock_of_the_partition() -> None:
    desk = Desk()
    desk.take(warning())
    emits = desk.take(warning(MONDAY + 4 * HOUR, subject=OTHER))
    assert {emit.key for emit in emits} == {f"{SUBJECT}#1", f"{OTHER}#1"}
    assert desk.case().history[-1].kind == "reminded"  # at the deadline exactly: an hour after its reminder
    emits = desk.take(warning(MONDAY + 4 * HOUR + timedelta(seconds=1), subject=OTHER, revision=2))
    assert {emit.key for emit in emits} == {f"{SUBJECT}#1", f"{OTHER}#1"}
    task = desk.cases[f"{SUBJECT}#1"].tasks[0]
    assert (task.acknowledge_breached_at, task.escalated_to) == (MONDAY + 4 * HOUR, ("linkage_office",))


def test_the_wall_clock_carries_the_stream_on() -> None:
    """A replay of an old day arrives now: nothing is overdue at once, and all is when its own time is up."""
    desk = Desk()
    arrival = MONDAY + 28 * 365 * DAY
    desk.take(warning(), ingest=arrival)
    assert desk.tick(arrival) == []
    assert desk.tick(arrival + 3 * HOUR) == []
    assert len(desk.tick(arrival + 4 * HOUR)) == 1  # reminded
    assert len(desk.tick(arrival + 4 * HOUR + timedelta(seconds=1))) == 1
    assert desk.tick(arrival + 4 * HOUR + timedelta(seconds=2)) == []
    assert desk.case().tasks[0].acknowledge_breached_at == MONDAY + 4 * HOUR


def test_a_clock_set_back_stops_time_and_no_more() -> None:
    desk = Desk()
    desk.take(warning())
    assert desk.tick(MONDAY - 9 * DAY) == []
    assert desk.case().tasks[0].escalation_level == 0


def test_after_a_pause_or_a_restart_it_is_the_present() -> None:
    desk = Desk()
    desk.take(warning(), warning(MONDAY + HOUR, subject=OTHER))
    desk.restart()
    desk.tick(MONDAY + 30 * DAY)
    for subject in (SUBJECT, OTHER):
        task = desk.case(1, subject).tasks[0]
        assert task.breached_at == task.due_at
        assert task.escalation_level == 2
    before = desk.case()
    desk.restart()
    assert desk.tick(MONDAY + 31 * DAY) == []
    assert desk.case() == before


def test_a_partition_that_was_elsewhere_meanwhile_is_read_again() -> None:
    here, elsewhere = Desk(), Desk()
    here.take(warning())
    for desk in (elsewhere, here):  # the partition goes to another worker, which takes a warning, and comes back
        other = here if desk is elsewhere else elsewhere
        other.states.through_bytes()
        desk.states = MemoryStates()
        desk.states.values = dict(other.states.values)
        if desk is elsewhere:
            desk.take(warning(MONDAY + HOUR, subject=OTHER))
    assert {emit.key for emit in here.tick(MONDAY + 9 * DAY)} == {f"{SUBJECT}#1", f"{OTHER}#1"}


def test_nothing_is_due_before_the_first_record() -> None:
    assert list(Desk().tick(MONDAY)) == []


def test_many_breaches_at_once_are_marked_over_several_ticks() -> None:
    desk = Desk()
    for n in range(1201):
        desk.take(warning(subject=f"customer:{n}"))
    counts = [len(desk.tick(MONDAY + 30 * DAY)) for _ in range(4)]
    assert counts == [500, 500, 201, 0]


def test_an_action_that_was_in_time_and_came_late_withdraws_the_breach() -> None:
    desk = Desk()
    desk.take(warning())
    desk.tick(MONDAY + 5 * HOUR)
    assert desk.case().tasks[0].breached
    desk.take(action("acknowledge", MONDAY + 3 * HOUR), ingest=MONDAY + 5 * HOUR)
    task = desk.case().tasks[0]
    assert (task.breached, task.escalation_level, task.acknowledged_at) == (False, 0, MONDAY + 3 * HOUR)
    assert "breach_withdrawn" in [entry.kind for entry in desk.case().history]


# --- actions before their warning ---


def outcome(case: Case) -> tuple[object, ...]:
    return case.state, [unreminded(task) for task in case.tasks], case.warnings, case.resolved_at


def test_actions_that_come_before_their_warning_wait_for_it() -> None:
    acts = [
        action("acknowledge", MONDAY + HOUR),
        action("complete", MONDAY + 2 * HOUR),
        action("acknowledge", MONDAY + 9 * HOUR, case_id=f"{SUBJECT}#2"),
    ]
    first, second = warning(), warning(MONDAY + 8 * HOUR, warning_id="w2")
    ordered, ahead = Desk(), Desk()
    ordered.take(first, *acts[:2], second, acts[2])
    ahead.take(*acts, *acts)
    ahead.restart()
    ahead.take(first, second)
    ahead.tick(MONDAY + 9 * HOUR)
    for desk in (ordered, ahead):
        desk.tick(MONDAY + 60 * DAY)
        assert desk.refused == []
        assert desk.letters == []
    assert [outcome(ahead.case(n)) for n in (1, 2)] == [outcome(ordered.case(n)) for n in (1, 2)]
    assert ahead.subject().waiting == []


def test_what_still_waits_goes_on_when_all_warnings_are_in() -> None:
    desk = Desk()
    desk.take(action("acknowledge", MONDAY + HOUR), warning())
    assert desk.case().tasks[0].state == "open"  # another warning of before 11:00 may be on its way
    desk.take(action("start", MONDAY + 2 * HOUR))
    desk.tick(MONDAY + 2 * HOUR, caught_up=False)
    assert desk.case().tasks[0].state == "open"
    desk.tick(MONDAY + 2 * HOUR, caught_up=True)
    assert desk.case().tasks[0].state == "in_progress"
    assert desk.case().tasks[0].acknowledged_at == MONDAY + HOUR


def test_what_waits_goes_in_the_order_it_came_over_all_cases_of_a_subject() -> None:
    second = f"{SUBJECT}#2"
    desk = Desk()
    desk.take(action("acknowledge", MONDAY + HOUR), action("complete", MONDAY + 2 * HOUR))
    desk.take(action("acknowledge", MONDAY + 9 * HOUR, case_id=second))
    desk.take(action("complete", MONDAY + 9 * HOUR, case_id=second), action("reopen", MONDAY + 7 * HOUR))
    desk.take(action("approve", MONDAY + 8 * HOUR, who="mei"))
    desk.take(warning(), warning(MONDAY + 3 * HOUR, warning_id="w2"), warning(MONDAY + 8.5 * HOUR, warning_id="w3"))
    assert desk.case(2).state == "open"
    desk.tick(MONDAY + 9 * HOUR)
    assert desk.letters == []
    assert (desk.case(1).state, desk.case(2).state) == ("open", "resolved")


def test_an_action_whose_case_does_not_come_is_a_dead_letter_in_the_end() -> None:
    desk = Desk()
    orphan = action("acknowledge", MONDAY)
    desk.take(orphan)
    desk.tick(MONDAY + 3 * DAY)
    desk.tick(MONDAY + 4 * DAY, caught_up=False)
    assert desk.letters == []
    emits = desk.tick(MONDAY + 3 * DAY + HOUR)
    assert [(emit.topic, emit.key) for emit in emits] == [("dead-letters", SUBJECT)]
    letter = desk.letters[0]
    assert (letter.reason, letter.field, letter.source_topic, letter.dead_letter_id) == (
        "unknown_case",
        "case_id",
        "actions",
        "actions/0/1",
    )
    assert msgspec.json.decode(base64.b64decode(letter.raw), type=Action) == orphan
    assert desk.tick(MONDAY + 5 * DAY) == []
    desk.take(orphan)  # sent again, it may wait again
    assert len(desk.subject().waiting) == 1


def test_a_waiting_action_that_turns_out_illegal_is_a_dead_letter() -> None:
    desk = Desk()
    desk.take(action("approve", MONDAY + HOUR), action("start", MONDAY + 2 * HOUR), warning())
    desk.tick(MONDAY + 2 * HOUR)
    assert [letter.reason for letter in desk.letters] == ["illegal_move"]
    assert desk.case().tasks[0].state == "in_progress"


def test_waiting_is_bounded() -> None:
    desk = Desk()
    desk.take(*(action("comment", MONDAY) for _ in range(MAX_WAITING + 1)))
    assert [refused.reason for refused in desk.refused] == ["too_many_waiting"]
    assert len(desk.subject().waiting) == MAX_WAITING


def test_only_the_next_cases_can_be_waited_for() -> None:
    desk = Desk()
    numbers = (3, 2, 4, 7)
    desk.take(*(action("comment", MONDAY, case_id=f"{SUBJECT}#{n}") for n in numbers))
    assert [refused.reason for refused in desk.refused] == ["unknown_case", "unknown_case"]
    assert [one.action.case_id for one in desk.subject().waiting] == [f"{SUBJECT}#2", f"{SUBJECT}#4"]


# --- what it is made of ---


def test_a_case_survives_its_wire_format() -> None:
    desk = Desk()
    desk.take(warning(), action("start", MONDAY + HOUR, note="looking", evidence=("doc-1",)))
    desk.tick(MONDAY + 30 * DAY)
    case = desk.case()
    assert msgspec.json.decode(msgspec.json.encode(case), type=Case) == case


def test_other_events_are_a_mistake_of_the_programmer() -> None:
    with pytest.raises(TypeError):
        Desk().take(MONDAY_EVENT)


class _Odd(msgspec.Struct):
    event_time = MONDAY


MONDAY_EVENT = _Odd()


def test_a_warning_needs_a_subject() -> None:
    desk = Desk()
    desk.take(warning(subject=""))
    assert [(refused.reason, refused.field) for refused in desk.refused] == [("missing", "subject")]


def test_long_numbers_are_refused_not_failed() -> None:
    desk = Desk()
    desk.take(action("comment", MONDAY, case_id=f"{SUBJECT}#{'9' * 150}"))
    assert [refused.reason for refused in desk.refused] == ["unknown_case"]


def test_stage_names_what_it_reads() -> None:
    desk = Desk()
    assert (desk.stage.name, desk.stage.state_version) == ("cases", 1)
    assert {"warnings", "actions", "proofs"} <= set(desk.stage.topics)


def test_time_waits_for_no_batch() -> None:
    """The agenda is planned anew with every change: what was answered is not found due."""
    desk = Desk()
    desk.take(warning())
    for n in range(50):
        desk.take(action("assign", MONDAY + n * timedelta(minutes=1), note=f"e{n}"))
    desk.take(action("start", MONDAY + HOUR), action("complete", MONDAY + 2 * HOUR))
    assert desk.tick(MONDAY + 99 * DAY) == []
    assert desk.case().tasks[0].escalation_level == 0


def test_what_is_owed_is_counted_as_it_stands() -> None:
    desk = Desk()
    desk.take(warning(), warning(warning_id="w2", subject="customer:D", mode="drill"))
    assert dict(desk.stage.owed(desk.states)) == {Owed("operations", "medium", overdue=False, acknowledged=False): 1}
    desk.take(action("acknowledge", MONDAY + HOUR))
    desk.tick(MONDAY + 20 * DAY)
    late = {Owed("operations", "medium", overdue=True, acknowledged=True): 1}
    assert dict(desk.stage.owed(desk.states)) == late
    desk.restart()
    assert dict(desk.stage.owed(desk.states)) == late
    desk.take(action("complete", MONDAY + 21 * DAY))
    assert dict(desk.stage.owed(desk.states)) == {}


def test_how_long_departments_took_is_told_once() -> None:
    desk = Desk()
    desk.take(warning(), warning(warning_id="d1", mode="drill", subject="customer:D1"))
    assert list(desk.stage.answered()) == []
    desk.take(action("acknowledge", MONDAY + HOUR), action("acknowledge", MONDAY + HOUR, case_id="customer:D1#1"))
    desk.take(action("acknowledge", MONDAY + HOUR))  # the same once more
    assert list(desk.stage.answered()) == [Answered("acknowledged", "operations", 3600.0)]
    desk.take(action("complete", MONDAY + 3 * HOUR))
    assert list(desk.stage.answered()) == [Answered("done", "operations", 7200.0)]
    assert list(desk.stage.answered()) == []


def test_an_answer_that_waited_for_its_warning_counts_when_it_is_taken() -> None:
    desk = Desk()
    desk.take(action("acknowledge", MONDAY + HOUR))
    assert list(desk.stage.answered()) == []
    desk.take(warning())
    desk.tick(MONDAY + 2 * HOUR)
    assert list(desk.stage.answered()) == [Answered("acknowledged", "operations", 3600.0)]
