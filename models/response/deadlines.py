"""Deadlines: computed once in the bank's working time, and what their passing does to a task.

Nothing here knows when it is called: whether a deadline was missed depends on event times alone. The clock only
says which deadlines without a deed have passed; what it marked is taken back where the deed turns out to have
been in time and merely arrived late.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from models.policy import Figure, Policy
from models.response.case import SYSTEM, Case, Entry, Task, TaskMeasure, noted, with_task
from models.risk_warning import Severity


class Dues(Struct, frozen=True):
    """The times a new task is given."""

    acknowledge_due_at: datetime
    due_at: datetime
    acknowledge_steps: tuple[datetime, ...]
    steps: tuple[datetime, ...]


def working_hours(figure: Figure) -> timedelta:
    """A figure in working hours as a span."""
    return timedelta(seconds=int(figure.value * 3600))


def task_dues(policy: Policy, severity: Severity, start: datetime) -> Dues:
    """The deadlines of a task asked for at `start`, with the steps of its escalation, all in UTC."""
    deadlines = policy.response.deadlines[severity]
    acknowledge = _after(policy, start, working_hours(deadlines.acknowledge))
    complete = _after(policy, start, working_hours(deadlines.complete))
    return Dues(acknowledge, complete, _ladder(policy, acknowledge), _ladder(policy, complete))


def measure_due(policy: Policy, code: str, severity: Severity, start: datetime) -> datetime:
    """When a measure asked for at `start` is due.

    Returns:
        where the policy gives the measure its own days: closing time of the last of them, counted from the day of
        `start` (calendar days run on over days off, as the law that gives them does); else what the severity gives
        a task. In UTC.
    """
    measure = policy.response.measures.get(code)
    if measure is None or measure.due is None:
        return _after(policy, start, working_hours(policy.response.deadlines[severity].complete))
    calendar = policy.bank_calendar
    day = calendar.day_of(start)
    if measure.due.unit == "calendar days":
        day += timedelta(days=measure.due.whole)
    else:
        day = calendar.add_working_days(day, measure.due.whole)
    return datetime.combine(day, calendar.config.closes, calendar.zone).astimezone(UTC)


def _after(policy: Policy, start: datetime, span: timedelta) -> datetime:
    # UTC, because two times of one zone are compared by their wall clocks, wrongly when these are set back.
    return policy.bank_calendar.add_working_time(start, span).astimezone(UTC)


def _ladder(policy: Policy, due: datetime) -> tuple[datetime, ...]:
    every = working_hours(policy.response.escalate_every)
    return tuple(_after(policy, due, every * rung) if rung else due for rung in range(len(policy.response.escalation)))


def _missed(due: datetime, met: datetime | None, marked: bool, clock: datetime) -> bool:
    """A deed at its due time exactly is in time."""
    return met > due if met is not None else marked or due < clock


def _met(task: Task, measure: TaskMeasure) -> datetime | None:
    return measure.completed_at or task.done_at


def _steps(task: Task) -> list[tuple[datetime, datetime | None]]:
    """Instants at which the ladder goes up, with the deed that would have prevented it; each instant once.

    A measure counts here where it is due before the task: from then on the task's own ladder runs.
    """
    deeds = [(at, task.acknowledged_at) for at in task.acknowledge_steps]
    deeds += [(measure.due_at, _met(task, measure)) for measure in task.measures if measure.due_at < task.due_at]
    deeds += [(at, task.done_at) for at in task.steps]
    steps: dict[datetime, datetime | None] = {}
    for at, met in deeds:
        known = steps.get(at, met)
        steps[at] = None if known is None or met is None else max(known, met)  # the last deed of those due together
    return sorted(steps.items(), key=lambda step: step[0])


def settle_task(task: Task, clock: datetime) -> Task:
    """The task with every deadline before `clock` judged. Marks made by an earlier, later-running clock stay.

    Level by level: each missed deadline and each further `escalate_every` goes up one, to the ladder's top.
    """
    measures = tuple(
        replace(one, breached_at=one.due_at if missed else None)
        if (missed := _missed(one.due_at, _met(task, one), one.breached_at is not None, clock))
        != (one.breached_at is not None)
        else one
        for one in task.measures
    )
    acknowledge = _missed(
        task.acknowledge_due_at, task.acknowledged_at, task.acknowledge_breached_at is not None, clock
    )
    complete = _missed(task.due_at, task.done_at, task.breached_at is not None, clock)
    reached = [at for at, met in _steps(task) if _missed(at, met, at in task.escalated_at, clock)][: len(task.ladder)]
    return replace(
        task,
        measures=measures,
        acknowledge_breached_at=task.acknowledge_due_at if acknowledge else None,
        breached_at=task.due_at if complete else None,
        escalation_level=len(reached),
        escalated_at=tuple(reached),
        escalated_to=task.ladder[: len(reached)],
    )


def settle(case: Case, clock: datetime, recorded_at: datetime) -> Case:
    """The case with every deadline before `clock` judged and what changed in its history.

    Returns:
        the same object where nothing changed. The revision is the caller's to raise.
    """
    for task in case.tasks:
        settled = settle_task(task, clock)
        if settled != task:
            case = noted(with_task(case, settled), *_news(task, settled, recorded_at))
    return case


def _breaches(task: Task) -> Iterator[tuple[datetime, str | None, str]]:
    if task.acknowledge_breached_at is not None:
        yield task.acknowledge_breached_at, None, "acknowledgement"
    for measure in task.measures:
        if measure.breached_at is not None:
            yield measure.breached_at, measure.code, "measure"
    if task.breached_at is not None:
        yield task.breached_at, None, "completion"


def _news(old: Task, new: Task, recorded_at: datetime) -> list[Entry]:
    """What the clock, or a deed that came in late, changed; in order of time."""
    entries: list[Entry] = []

    def tell(at: datetime, kind: str, detail: str, measure: str | None = None) -> None:
        entries.append(
            Entry(
                at=at,
                recorded_at=recorded_at,
                actor=SYSTEM,
                kind=kind,
                detail=detail,
                department=new.department,
                measure=measure,
            )
        )

    before, after = set(_breaches(old)), set(_breaches(new))
    for at, measure, what in after - before:
        tell(at, "breached", f"{what} was due", measure)
    for at, measure, what in before - after:
        tell(at, "breach_withdrawn", f"{what} was in time and arrived late", measure)
    for level, (at, who) in enumerate(zip(new.escalated_at, new.escalated_to, strict=True), 1):
        if at not in old.escalated_at:
            tell(at, "escalated", f"level {level}: {who}")
    for level, (at, who) in enumerate(zip(old.escalated_at, old.escalated_to, strict=True), 1):
        if at not in new.escalated_at:
            tell(at, "escalation_withdrawn", f"level {level}: {who}")
    return sorted(entries, key=lambda entry: (entry.at, entry.kind, entry.measure or "", entry.detail))


def next_due(case: Case) -> datetime | None:
    """The next instant after which the clock alone changes the case; None when nothing runs."""
    instants: list[datetime] = []
    for task in case.tasks:
        if not task.active:
            continue
        if task.acknowledged_at is None and task.acknowledge_breached_at is None:
            instants.append(task.acknowledge_due_at)
        if task.breached_at is None:
            instants.append(task.due_at)
        instants += [one.due_at for one in task.measures if one.completed_at is None and one.breached_at is None]
        if task.escalation_level < len(task.ladder):
            instants += [at for at, met in _steps(task) if met is None and at not in task.escalated_at]
    return min(instants, default=None)


class Late(Struct, frozen=True, kw_only=True):
    """A deadline that was missed: by whom, which, and when it was met after all (None: not yet)."""

    department: str
    owner: str
    round: int
    what: str  # "acknowledge", "complete", or the code of a measure
    due_at: datetime
    met_at: datetime | None
    escalated_to: tuple[str, ...]


def late_tasks(case: Case, now: datetime) -> tuple[Late, ...]:
    """Who was or is late on a case as of `now`, in order of the due times. Pure: needs no timer to have run."""
    late: list[Late] = []
    for task in case.tasks:
        clocks = [("acknowledge", task.acknowledge_due_at, task.acknowledged_at)]
        clocks += [(one.code, one.due_at, _met(task, one)) for one in task.measures if one.due_at != task.due_at]
        clocks.append(("complete", task.due_at, task.done_at))
        late += [
            Late(
                department=task.department,
                owner=task.owner,
                round=task.round,
                what=what,
                due_at=due,
                met_at=met,
                escalated_to=task.escalated_to,
            )
            for what, due, met in clocks
            if _missed(due, met, False, now)
        ]
    return tuple(sorted(late, key=lambda one: one.due_at))
