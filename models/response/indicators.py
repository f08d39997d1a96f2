"""The indicators of a month (`models.response.kpi`), counted from what happened."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from models.response.case import Case, Task
from models.response.happenings import Happenings
from models.response.kpi import PER_TRANSACTIONS, Figures, Key, Kpi, Ratio, Spread
from models.response.period import Period


def task_id(case: Case, task: Task) -> str:
    """What a task is called in a report: its case and department and, from the second on, its round."""
    again = f"/{task.round}" if task.round > 1 else ""
    return f"{case.case_id}/{task.department}{again}"


def indicators(happened: Happenings, month: Period, until: datetime | None = None) -> Figures:
    """All figures of a month, by key. A key without anything to count has no entry.

    Args:
        until: of a month that is not over, the time up to which it has come: what falls due later is not due yet.

    - `completion`: tasks whose frozen `due_at` is in the month; those finished by it. A dismissal by four eyes
      finishes a task; one that is opened again later had been finished.
    - `joint_completion`: cases of several departments whose last `due_at` is in the month, as far as tasks were asked
      for by its end; those of which every task was finished by its own.
    - `timeliness`: tasks whose time to acknowledge ran out in the month; those acknowledged by then.
    - `risk_events`, `false_positives`: cases decided in the month, each time anew. Confirmed is what is not dismissed
      in all its tasks. By detector a case counts for each that warned; by the department credit, risk events are
      held against loans with a step in the month.
    - `arrival`, `detection`: of live warnings on events of the month: from the newest event behind one to the last
      arrival of any of them, and from there to the warning.
    - `acknowledgement`, `handling`, `resolution`: of tasks acknowledged, and finished, in the month.

    Whose branch and detectors a case counts for follows from the case as it stands: a warning that joins it later
    may move it, also in months that are past. Without a branch it counts for `unknown`.
    """
    return _Month(happened, month, until).figures()


class _Month:
    def __init__(self, happened: Happenings, month: Period, until: datetime | None) -> None:
        self._happened = happened
        self._month = month
        self._start, end = month.bounds(happened.calendar)
        self._end = end if until is None else min(end, until)
        self._parts: dict[Key, set[str]] = {}
        self._wholes: dict[Key, set[str]] = {}
        self._spans: dict[Key, dict[str, timedelta]] = {}
        self._rates: dict[Key, Ratio] = {}

    def figures(self) -> Figures:
        confirmed: list[tuple[str, Case, str]] = []
        for case in self._happened.cases:
            branch = self._happened.branch_of(case)
            detectors = sorted({ref.detector for ref in case.warnings})
            for task in case.tasks:
                self._task(case, task, branch, detectors)
            self._joint(case)
            confirmed += self._decisions(case, branch, detectors)
        self._per_transactions(confirmed)
        self._warnings()
        found: dict[Key, Ratio | Spread] = dict(self._rates)
        for key, whole in self._wholes.items():
            found[key] = Ratio(frozenset(self._parts.get(key, ())), frozenset(whole))
        found |= {key: Spread(spans) for key, spans in self._spans.items()}
        return dict(sorted(found.items()))

    def _holds(self, at: datetime | None) -> bool:
        return at is not None and self._start <= at < self._end

    def _share(self, kpi: Kpi, one: str, counts: bool, over: Iterable[Key]) -> None:
        for key in (Key(kpi), *over):
            self._wholes.setdefault(key, set()).add(one)
            if counts:
                self._parts.setdefault(key, set()).add(one)

    def _clock(self, kpi: Kpi, one: str, span: timedelta, over: Iterable[Key] = ()) -> None:
        for key in (Key(kpi), *over):
            self._spans.setdefault(key, {})[one] = span

    def _task(self, case: Case, task: Task, branch: str, detectors: list[str]) -> None:
        name = task_id(case, task)

        def over(kpi: Kpi) -> Iterator[Key]:
            yield Key(kpi, "department", task.department)
            yield Key(kpi, "branch", branch)
            yield from (Key(kpi, "detector", one) for one in detectors)

        if self._holds(task.due_at):
            in_time = task.done_at is not None and task.done_at <= task.due_at
            self._share("completion", name, in_time, over("completion"))
        if self._holds(task.acknowledge_due_at):
            in_time = task.acknowledged_at is not None and task.acknowledged_at <= task.acknowledge_due_at
            self._share("timeliness", name, in_time, over("timeliness"))
        if task.acknowledged_at is not None and self._holds(task.acknowledged_at):
            self._clock("acknowledgement", name, task.acknowledged_at - task.created_at, over("acknowledgement"))
        if task.done_at is not None and self._holds(task.done_at):
            self._clock("resolution", name, task.done_at - task.created_at, over("resolution"))
            if task.acknowledged_at is not None:
                self._clock("handling", name, task.done_at - task.acknowledged_at, over("handling"))

    def _joint(self, case: Case) -> None:
        tasks = [task for task in case.tasks if task.created_at < self._end]
        if len({task.department for task in tasks}) < 2:
            return
        last = max(task.due_at for task in tasks)
        if self._holds(last):
            in_time = all(task.done_at is not None and task.done_at <= task.due_at for task in tasks)
            name = f"{case.case_id}@{self._happened.calendar.day_of(last)}"
            self._share("joint_completion", name, in_time, ())

    def _decisions(self, case: Case, branch: str, detectors: list[str]) -> Iterator[tuple[str, Case, str]]:
        """(id, case, branch) of each time that it was decided, in the month, that something was behind the case."""
        for entry in case.history:
            if entry.kind != "resolved" or not self._holds(entry.at):
                continue
            name = f"{case.case_id}@{entry.at.isoformat()}"
            done = [task for task in case.tasks if task.done_at is not None and task.done_at <= entry.at]
            dismissed = all(task.dismissed_at is not None for task in done)
            over = [Key("false_positives", "branch", branch)]
            over += [Key("false_positives", "detector", one) for one in detectors]
            self._share("false_positives", name, dismissed, over)
            if not dismissed:
                yield name, case, branch

    def _per_transactions(self, confirmed: list[tuple[str, Case, str]]) -> None:
        by_branch = self._happened.transactions.get(self._month, Counter())
        complaints = self._happened.complaints.get(self._month, {})
        events = {name: branch for name, _, branch in confirmed}
        of_credit = {name for name, case, _ in confirmed if case.task("credit") is not None}
        kinds: tuple[tuple[Kpi, dict[str, str]], ...] = (("risk_events", events), ("complaints", complaints))
        for kpi, found in kinds:
            self._rates[Key(kpi)] = Ratio(frozenset(found), sum(by_branch.values()), PER_TRANSACTIONS)
            for branch in {*by_branch, *found.values()}:
                here = frozenset(one for one, where in found.items() if where == branch)
                self._rates[Key(kpi, "branch", branch)] = Ratio(here, by_branch.get(branch, 0), PER_TRANSACTIONS)
        loans = len(self._happened.loans.get(self._month, ()))
        if loans or of_credit:
            self._rates[Key("risk_events", "department", "credit")] = Ratio(frozenset(of_credit), loans)

    def _warnings(self) -> None:
        for name, warning in self._happened.warnings.items():
            arrivals = [self._happened.arrived[one] for one in warning.event_ids if one in self._happened.arrived]
            if not arrivals or not self._holds(warning.event_time):
                continue
            over = Key("arrival", "detector", warning.detector), Key("detection", "detector", warning.detector)
            self._clock("arrival", name, max(arrivals) - warning.event_time, over[:1])
            self._clock("detection", name, warning.detected_at - max(arrivals), over[1:])
