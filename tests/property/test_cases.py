"""Cases under any sequence of warnings, actions, ticks and restarts: nothing illegal, nothing lost, nothing moved."""

import random
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from models.events import Action, ActionKind
from models.messages import Suspensions
from models.response.case import ACTIVE, Case, Task
from models.response.moves import TASK_MOVES
from models.response.suspension import spans
from models.risk_warning import SEVERITIES, RiskWarning
from tests.response import DAY, HOUR, INDUSTRY, MONDAY, Desk, action, on_industry, unreminded, warning

SUBJECTS = ("customer:C1", "industry:B1:K")
DEPARTMENTS = ("operations", "risk", "credit")
MEASURES = ("investigate_transactions", "verify_identity", "file_large_transaction_report", "suspend_approvals")
KINDS = get_args(ActionKind)
FAR = MONDAY + 400 * DAY

asked = st.fixed_dictionaries(
    {
        "subject": st.sampled_from(SUBJECTS),
        "warning_id": st.sampled_from(("w1", "w2", "w3")),
        "revision": st.integers(1, 4),
        "severity": st.sampled_from(SEVERITIES),
        "departments": st.lists(st.sampled_from(DEPARTMENTS), min_size=1, unique=True).map(tuple),
        "measures": st.lists(st.sampled_from(MEASURES), unique=True).map(tuple),
        "notify": st.booleans(),
    }
)
modes = st.sampled_from(("live", "live", "live", "drill", "shadow"))
deeds = st.fixed_dictionaries(
    {
        "kind": st.sampled_from((*KINDS, "acknowledge", "complete", "complete", "approve")),
        "department": st.sampled_from(DEPARTMENTS),
        "who": st.sampled_from(("ling", "mei")),
        "measure": st.sampled_from((None, None, *MEASURES)),
    }
)
minutes = st.integers(1, 60 * 30)
hours = st.integers(0, 9)
Frozen = tuple[Any, ...]


def frozen(task: Task) -> Frozen:
    """What no later event may change."""
    return (
        task.created_at,
        task.due_severity,
        task.policy_version,
        task.acknowledge_due_at,
        task.due_at,
        task.acknowledge_steps,
        task.steps,
        task.ladder,
        task.acknowledge_remind_at,
        task.remind_at,
    )


def check_case(case: Case) -> None:
    """What holds for a case at any time."""
    active = [task.department for task in case.tasks if task.active]
    assert len(active) == len(set(active))
    assert case.state == ("open" if active else "resolved")
    assert (case.resolved_at is None) == (case.state == "open")
    for task in case.tasks:
        assert task.state in TASK_MOVES
        asked = None if task.proposal is None else task.proposal.kind
        assert (asked == "dismiss") == (task.state == "dismiss_proposed")
        assert asked != "reopen" or task.state in ("completed", "dismissed")
        assert task.active or not any(one.proposal for one in task.measures)
        assert (task.done_at is None) == (task.state in ACTIVE)
        assert task.state != "completed" or all(one.completed_at for one in task.measures)
        assert task.acknowledged_at is not None or task.state == "open"
        pending = [one.code for one in task.measures if one.completed_at is None]
        assert len(pending) == len(set(pending))
        assert task.escalation_level == len(task.escalated_at) == len(task.escalated_to) <= len(task.ladder)
    for entry in case.history:
        if entry.kind in ("approve", "lifted", "countersigned"):
            proposer = entry.detail.split("proposed by ")[1].split(",")[0]
            assert proposer != entry.actor


def check_suspensions(cases: dict[int, Case], told: dict[str, Suspensions]) -> None:
    """One suspension of a subject and mode at a time, and what others were told is what the case says."""
    holders = [case.mode for case in cases.values() for one in case.suspensions if one.lifted_at is None]
    assert len(holders) == len(set(holders))
    for case in cases.values():
        for before, after in pairwise(case.suspensions):
            assert before.started_at <= before.lifted_at <= after.started_at  # type: ignore[operator]
        if case.mode == "live" and case.suspensions:
            assert told[case.case_id].spans == spans(case)
        else:
            assert case.case_id not in told


def check_breaches(case: Case) -> None:
    """With all time gone by: a deadline is marked exactly where no deed is in time. Event times alone decide."""
    for task in case.tasks:
        late = task.acknowledged_at is None or task.acknowledged_at > task.acknowledge_due_at
        assert task.acknowledge_breached_at == (task.acknowledge_due_at if late else None)
        late = task.done_at is None or task.done_at > task.due_at
        assert task.breached_at == (task.due_at if late else None)
        for one in task.measures:
            met = one.completed_at or task.done_at
            assert one.breached_at == (one.due_at if met is None or met > one.due_at else None)


class Cases(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.now = MONDAY
        self.taken: list[Action | RiskWarning] = []
        self.seen: dict[tuple[str, str, int], Frozen] = {}
        self.measures: dict[tuple[str, str, int], list[tuple[Any, ...]]] = {}
        self.histories: dict[str, tuple[Any, ...]] = {}

    def send(self, event: Action | RiskWarning) -> None:
        refused = len(self.desk.refused)
        self.desk.take(event, ingest=max(self.now, event.event_time))
        if len(self.desk.refused) == refused:
            self.taken.append(event)

    @rule(fields=asked, mode=modes, after=minutes)
    def warn(self, fields: dict[str, Any], mode: str, after: int) -> None:
        self.now += timedelta(minutes=after)
        self.send(warning(self.now, mode=mode, **fields))

    @rule(
        fields=deeds, subject=st.sampled_from(SUBJECTS), back=st.integers(0, 3), after=minutes, late=st.integers(0, 9)
    )
    def do(self, fields: dict[str, Any], subject: str, back: int, after: int, late: int) -> None:
        self.now += timedelta(minutes=after)
        state = self.desk.states.values.get(subject)
        number = max(1, getattr(state, "next_number", 2) - back)
        kind = fields["kind"]
        others = {key: value for key, value in fields.items() if key != "kind"} | {"action_id": f"a{len(self.taken)}"}
        self.send(action(kind, self.now - late * HOUR, case_id=f"{subject}#{number}", **others))

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.taken))
        if isinstance(event, RiskWarning) and event.mode == "shadow":
            return
        before = {key: case.revision for key, case in self.desk.cases.items()}
        refused = len(self.desk.refused), len(self.desk.letters)
        # Not by way of `send`: a dead letter's action may be sent again for good.
        emits = self.desk.take(event, ingest=max(self.now, event.event_time))
        assert all(emit.key in before for emit in emits), "a duplicate opened a case"
        mine = [emit.value for emit in emits if emit.topic == "cases" and emit.value.subject == event.key]
        news = [entry for case in mine for entry in case.history[len(self.histories.get(case.case_id, ())) :]]
        was_refused = any(msgspec.json.decode(b64decode(one.raw), type=Action) == event for one in self.desk.letters)
        if not was_refused:
            assert {entry.kind for entry in news} <= {"breached", "escalated", "reminded"}
            assert len(self.desk.refused) == refused[0]

    @rule(after=st.integers(0, 60 * 100), caught_up=st.booleans())
    def wait(self, after: int, caught_up: bool) -> None:
        self.now += timedelta(minutes=after)
        self.desk.tick(self.now, caught_up)

    @rule()
    def restart(self) -> None:
        before = {key: state for key, state in self.desk.states.values.items()}
        self.desk.restart()
        assert self.desk.states.values == before

    @invariant()
    def nothing_illegal_lost_or_moved(self) -> None:
        for subject in self.desk.states.values:
            state = self.desk.subject(subject)
            opened = {case.mode: case.number for case in state.cases.values() if case.state == "open"}
            assert opened == state.open
            assert sorted(state.cases) == list(range(1, state.next_number))
            check_suspensions(state.cases, self.desk.suspensions)
            for case in state.cases.values():
                assert self.desk.cases[case.case_id] == case
                check_case(case)
                self.compare(case)

    def compare(self, case: Case) -> None:
        tasks = {(case.case_id, task.department, task.round): task for task in case.tasks}
        known = {key for key in self.seen if key[0] == case.case_id}
        assert known <= tasks.keys(), "a task was lost"
        for key, task in tasks.items():
            assert self.seen.setdefault(key, frozen(task)) == frozen(task)
            lines = [(one.code, one.asked_at, one.due_at, one.remind_at) for one in task.measures]
            before = self.measures.get(key, [])
            assert lines[: len(before)] == before
            self.measures[key] = lines
        history = self.histories.get(case.case_id, ())
        assert case.history[: len(history)] == history
        self.histories[case.case_id] = case.history

    def teardown(self) -> None:
        self.desk.tick(FAR)
        self.desk.tick(FAR)
        for subject in self.desk.states.values:
            state = self.desk.subject(subject)
            assert state.waiting == []
            for case in state.cases.values():
                if case.state == "open":
                    check_breaches(case)
        super().teardown()


TestCases = Cases.TestCase
TestCases.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


# --- order ---

Days = Callable[[int, Desk], list[Action | RiskWarning]]


def day(seed: int, desk: Desk) -> list[Action | RiskWarning]:
    """Two days of warnings and actions, as the departments would act: on cases that are there. In order of time."""
    dice = random.Random(seed)  # noqa: S311
    now, events = MONDAY, []
    for n in range(dice.randrange(5, 30)):
        now += timedelta(minutes=dice.randrange(1, 90))
        subject = dice.choice(SUBJECTS)
        state = desk.states.values.get(subject)
        if state is None or dice.random() < 0.3:
            event: Action | RiskWarning = warning(
                now,
                subject=subject,
                warning_id=f"w{dice.randrange(8)}",
                revision=n + 1,
                severity=dice.choice(SEVERITIES),
                departments=tuple(dice.sample(DEPARTMENTS, dice.randrange(1, 3))),
                measures=tuple(dice.sample(MEASURES, dice.randrange(3))),
                notify=dice.random() < 0.5,
                mode="drill" if dice.random() < 0.1 else "live",
            )
        else:
            number = dice.choice(sorted(desk.subject(subject).cases)[-2:])
            event = action(
                dice.choice((*KINDS, "start", "complete", "complete")),
                now,
                case_id=f"{subject}#{number}",
                department=dice.choice(DEPARTMENTS),
                who=dice.choice(("ling", "mei")),
                measure=dice.choice((None, None, "suspend_approvals")),
            )
        desk.take(event)
        events.append(event)
    return events


SUSPEND = "suspend_approvals"
ABOUT_SUSPENSIONS: tuple[tuple[str, str | None], ...] = (
    *(("acknowledge", None), ("start", None), ("start", SUSPEND), ("complete", SUSPEND), ("reopen", None)),
    *[("complete", None)] * 6,
    *(("dismiss", None), ("approve", None), ("reject", None)),
    *(("lift", None), ("lift", SUSPEND), ("reject", SUSPEND)),
    *[("approve", SUSPEND)] * 4,
)


def lending(seed: int, desk: Desk) -> list[Action | RiskWarning]:
    """Some days on one industry, whose cases suspend approvals and are shown that they do not. In order of time."""
    dice = random.Random(seed)  # noqa: S311
    now, events = MONDAY, []
    for n in range(dice.randrange(5, 50)):
        now += timedelta(minutes=dice.randrange(1, 90))
        state = desk.states.values.get(INDUSTRY)
        if state is None or dice.random() < 0.2:
            event: Action | RiskWarning = on_industry(
                now,
                warning_id=f"w{dice.randrange(8)}",
                revision=n + 1,
                departments=("credit", "risk") if dice.random() < 0.1 else ("credit",),
                measures=dice.choice(((SUSPEND,), (SUSPEND, "review_granted_loans"))),
                notify=dice.random() < 0.5,
                mode="drill" if dice.random() < 0.1 else "live",
                disproves=f"{INDUSTRY}#{dice.randrange(1, 4)}" if dice.random() < 0.5 else None,
            )
        else:
            kind, measure = dice.choice(ABOUT_SUSPENSIONS)
            event = action(
                kind,
                now,
                case_id=f"{INDUSTRY}#{dice.choice(sorted(desk.subject(INDUSTRY).cases)[-3:])}",
                department=dice.choice(("credit", "credit", "credit", "risk")),
                who=dice.choice(("ling", "mei")),
                measure=measure,
            )
        desk.take(event)
        events.append(event)
    return events


def outcomes(desk: Desk) -> dict[str, Any]:
    """What is to be the same whatever the order of arrival."""
    desk.tick(FAR)
    desk.tick(FAR)
    found: dict[str, Any] = {}
    for subject in desk.states.values:
        for case in desk.subject(subject).cases.values():
            acts = [entry.action_id for entry in case.history if entry.action_id]
            found[case.case_id] = (
                case.state,
                case.resolved_at,
                case.severity,
                [unreminded(task) for task in case.tasks],
                case.warnings,
                case.suspensions,
                acts,
            )
    told = {
        key: [(one.started_at, one.lifted_at) for one in message.spans] for key, message in desk.suspensions.items()
    }
    return found | {"told": told}


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    days=st.sampled_from((day, lending)),
    ahead=st.integers(0, 30),
    batch=st.integers(1, 7),
    ticks=st.booleans(),
)
def test_actions_may_run_ahead_of_the_warnings(seed: int, days: Days, ahead: int, batch: int, ticks: bool) -> None:
    """The topic `actions` is read some way before the first warning: the cases become the same."""
    ordered = Desk()
    events = days(seed, ordered)
    first = [event for event in events if isinstance(event, Action)][:ahead]
    order = first + [event for event in events if event not in first]
    other = Desk()
    for start in range(0, len(order), batch):
        other.take(*order[start : start + batch], ingest=MONDAY + 3 * DAY)
        if ticks:
            other.tick(MONDAY + 3 * DAY + start * HOUR, caught_up=False)
            other.restart()
    assert outcomes(other) == outcomes(ordered)
    refusals = [*ordered.refused, *ordered.letters], [*other.refused, *other.letters]
    assert len(refusals[0]) == len(refusals[1])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), shuffle=st.randoms(use_true_random=False))
def test_subjects_do_not_touch_one_another(seed: int, shuffle: random.Random) -> None:
    """However the records of different subjects interleave, and whenever the timer runs."""
    ordered = Desk()
    events = day(seed, ordered)
    queues = [[event for event in events if event.key == subject] for subject in SUBJECTS]
    other = Desk()
    while any(queues):
        queue = shuffle.choice([queue for queue in queues if queue])
        other.take(queue.pop(0), ingest=MONDAY + 3 * DAY)
        if shuffle.random() < 0.3:
            other.tick(MONDAY + 3 * DAY + shuffle.randrange(200) * HOUR)
    assert outcomes(other) == outcomes(ordered)


# --- suspensions ---


class Reading:
    """Suspensions as a person with a list of what was done would write them down, knowing nothing of tasks.

    One book for real cases and one for drills; each says which case suspends since when, and who wants it lifted.
    """

    def __init__(self) -> None:
        self.spans: dict[str, list[tuple[datetime, datetime | None]]] = {}
        self.holder: dict[str, str] = {}
        self.proposer: dict[str, str] = {}

    def takes(self, mode: str, deed: Action) -> bool:
        """Whether an action about a lift is legal."""
        proposer = self.proposer.get(mode)
        if self.holder.get(mode) != deed.case_id:
            return False
        if deed.kind == "lift":
            return proposer is None and deed.actor.department == "credit"
        return proposer is not None and (deed.kind == "reject" or proposer != deed.actor.employee_id)

    def lifts(self, mode: str, deed: Action) -> None:
        if deed.kind == "lift":
            self.proposer[mode] = deed.actor.employee_id
            return
        del self.proposer[mode]
        if deed.kind == "approve":
            spans = self.spans[self.holder.pop(mode)]
            spans[-1] = (spans[-1][0], deed.event_time)

    def begins(self, mode: str, deed: Action) -> None:
        if mode not in self.holder:
            self.holder[mode] = deed.case_id
            self.spans.setdefault(deed.case_id, []).append((deed.event_time, None))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_suspensions_are_what_a_naive_reading_finds(seed: int) -> None:
    events, desk, reading = lending(seed, Desk()), Desk(), Reading()
    for event in events:
        refused = len(desk.refused)
        desk.take(event)
        taken = len(desk.refused) == refused
        if not isinstance(event, Action):
            continue
        case = desk.cases[event.case_id]
        if event.kind == "lift" or (event.measure and event.kind in ("approve", "reject")):
            assert taken == reading.takes(case.mode, event)
            if taken:
                reading.lifts(case.mode, event)
        elif taken and event.actor.department == "credit":
            done = [one.completed_at for task in case.tasks for one in task.measures if one.code == SUSPEND]
            if (event.kind, event.measure) == ("start", SUSPEND) or event.event_time in done:
                reading.begins(case.mode, event)
    told = {
        key: [(one.started_at, one.lifted_at) for one in message.spans] for key, message in desk.suspensions.items()
    }
    assert told == {key: found for key, found in reading.spans.items() if desk.cases[key].mode == "live"}
    assert {key for key, case in desk.cases.items() if case.suspensions} == reading.spans.keys()
