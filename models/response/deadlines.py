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


def remind_time(policy: Policy, due: datetime, start: datetime) -> datetime | None:
    """When the owner of what is due is reminded: the policy's working hours before, and not before `start`; in UTC.

    Of several instants with as much working time left the last one: at opening, not at closing before. None where
    the policy reminds nobody.
    """
    ahead = policy.response.remind_before
    return None if ahead is None else max(start.astimezone(UTC), _before(policy, due, working_hours(ahead)))


def _before(policy: Policy, due: datetime, span: timedelta) -> datetime:
    """The last instant from which `span` of working time passes until `due`."""
    calendar = policy.bank_calendar
    day, end, left = calendar.day_of(due), due.astimezone(UTC), span
    while True:
        if calendar.is_working_day(day):
            opens, closes = (
                datetime.combine(day, hour, calendar.zone).astimezone(UTC)
                for hour in (calendar.config.opens, calendar.config.closes)
            )
            room = min(end, closes) - opens
            if room > timedelta():
                if left <= room:
                    return opens + room - left
                left -= room
        day -= timedelta(days=1)


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


def _reminded(
    remind: datetime | None, met: datetime | None, marked: datetime | None, clock: datetime
) -> datetime | None:
    """A reminder that was sent stays one; none is sent of what was done by then."""
    if remind is None or marked is not None:
        return marked
    return remind if _missed(remind, met, False, clock) else None


def settle_task(task: Task, clock: datetime) -> Task:
    """The task with every deadline before `clock` judged. Marks made by an earlier, later-running clock stay.

    Level by level: each missed deadline and each further `escalate_every` goes up one, to the ladder's top.
    """
    measures = tuple(_settle_measure(task, one, clock) for one in task.measures)
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
        acknowledge_reminded_at=_reminded(
            task.acknowledge_remind_at, task.acknowledged_at, task.acknowledge_reminded_at, clock
        ),
        reminded_at=_reminded(task.remind_at, task.done_at, task.reminded_at, clock),
        escalation_level=len(reached),
        escalated_at=tuple(reached),
        escalated_to=task.ladder[: len(reached)],
    )


def _settle_measure(task: Task, one: TaskMeasure, clock: datetime) -> TaskMeasure:
    met = _met(task, one)
    breached = one.due_at if _missed(one.due_at, met, one.breached_at is not None, clock) else None
    reminded = _reminded(one.remind_at, met, one.reminded_at, clock)
    if (breached, reminded) == (one.breached_at, one.reminded_at):
        return one
    return replace(one, breached_at=breached, reminded_at=reminded)


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


def _reminders(task: Task) -> Iterator[tuple[datetime, str | None, str, datetime]]:
    if task.acknowledge_reminded_at is not None:
        yield task.acknowledge_reminded_at, None, "acknowledgement", task.acknowledge_due_at
    for measure in task.measures:
        if measure.reminded_at is not None:
            yield measure.reminded_at, measure.code, "measure", measure.due_at
    if task.reminded_at is not None:
        yield task.reminded_at, None, "completion", task.due_at


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
    for at, measure, what, due in set(_reminders(new)) - set(_reminders(old)):
        tell(at, "reminded", f"{new.owner}: {what} is due at {due.isoformat()}", measure)
    for level, (at, who) in enumerate(zip(new.escalated_at, new.escalated_to, strict=True), 1):
        if at not in old.escalated_at:
            tell(at, "escalated", f"level {level}: {who}")
    for level, (at, who) in enumerate(zip(old.escalated_at, old.escalated_to, strict=True), 1):
        if at not in new.escalated_at:
            tell(at, "escalation_withdrawn", f"level {level}: {who}")
    return sorted(entries, key=lambda entry: (entry.at, entry.kind, entry.measure or "", entry.detail))


def _still(at: datetime | None, marked: datetime | None) -> list[datetime]:
    return [at] if at is not None and marked is None else []


def next_due(case: Case) -> datetime | None:
    """The next instant after which the clock alone changes the case; None when nothing runs."""
    instants: list[datetime] = []
    for task in case.tasks:
        if not task.active:
            continue
        if task.acknowledged_at is None:
            instants += _still(task.acknowledge_remind_at, task.acknowledge_reminded_at)
            instants += _still(task.acknowledge_due_at, task.acknowledge_breached_at)
        for one in task.measures:
            if one.completed_at is None:
                instants += _still(one.remind_at, one.reminded_at) + _still(one.due_at, one.breached_at)
        instants += _still(task.remind_at, task.reminded_at) + _still(task.due_at, task.breached_at)
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
