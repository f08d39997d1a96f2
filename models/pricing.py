"""What a change of policy costs and brings: warnings gained and lost, hours, missed deadlines, precision, recall.

Works on the frames of warnings that `models.oracle.warnings` gives for two policies over one history.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Set
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush

import polars as pl
from msgspec import Struct

from models.policy import Policy, Rule
from models.response.deadlines import measure_due, task_dues

HOUR = Decimal(3600)


class DetectorChange(Struct, frozen=True, kw_only=True):
    """One detector under both policies. `a_day`: warnings a day of the history, to two places."""

    detector: str
    before: int
    after: int
    gained: int
    lost: int
    graver: int
    milder: int
    before_a_day: Decimal
    after_a_day: Decimal


class Workload(Struct, frozen=True, kw_only=True):
    """What one department owes under one policy.

    Args:
        tasks: one a warning that is sent to it; joining warnings of a subject in one case makes them fewer.
        hours: of all its measures, by their `effort`.
        capacity: hours it has on the working days of the history.
        missed: tasks or measures that are finished after they are due when the department works off what is due
            first, at the policy's capacity; those still open at the end count once they are past due.
        open: tasks not finished at the end of the history.
    """

    department: str
    tasks: int
    hours: Decimal
    capacity: Decimal
    missed: int
    open: int


class Quality(Struct, frozen=True, kw_only=True):
    """A detector against labelled customers; None where nothing can be divided."""

    detector: str
    flagged: int
    right: int
    precision: Decimal | None
    recall: Decimal | None


class Price(Struct, frozen=True, kw_only=True):
    """The whole comparison. `gained` and `lost` are warning ids by detector."""

    before: str
    after: str
    days: int
    detectors: list[DetectorChange]
    workload_before: list[Workload]
    workload_after: list[Workload]
    quality_before: list[Quality]
    quality_after: list[Quality]
    gained: dict[str, list[str]]
    lost: dict[str, list[str]]


def price(
    before: tuple[Policy, pl.DataFrame], after: tuple[Policy, pl.DataFrame], span: tuple[date, date], labels: Set[str]
) -> Price:
    """Compare two policies on one history.

    Args:
        before, after: each policy with the warnings it gives (as of `models.oracle.warnings`).
        span: the first and the last day of the history.
        labels: ids of the customers that are known to be cases; empty where nothing is known.
    """
    days = (span[1] - span[0]).days + 1
    old, new = (dict(zip(frame["warning_id"], frame["detector"], strict=True)) for _, frame in (before, after))
    gained, lost = _by_detector(new, new.keys() - old.keys()), _by_detector(old, old.keys() - new.keys())
    return Price(
        before=before[0].version,
        after=after[0].version,
        days=days,
        detectors=list(_changes(before[1], after[1], gained, lost, days)),
        workload_before=workload(*before, span),
        workload_after=workload(*after, span),
        quality_before=quality(before[1], labels),
        quality_after=quality(after[1], labels),
        gained=gained,
        lost=lost,
    )


def _by_detector(detectors: dict[str, str], ids: Set[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in sorted(ids):
        found[detectors[one]].append(one)
    return dict(sorted(found.items()))


def _changes(
    old: pl.DataFrame, new: pl.DataFrame, gained: dict[str, list[str]], lost: dict[str, list[str]], days: int
) -> Iterator[DetectorChange]:
    counts = [Counter(frame["detector"]) for frame in (old, new)]
    rank = pl.col("severity").cast(pl.Enum(["low", "medium", "high", "critical"])).to_physical().cast(pl.Int8)
    ranks = [frame.select("warning_id", "detector", rank.alias("rank")) for frame in (old, new)]
    both = ranks[0].join(ranks[1], on=["warning_id", "detector"], suffix="_new")
    for name in sorted(counts[0] | counts[1]):
        mine = both.filter(pl.col("detector") == name)
        yield DetectorChange(
            detector=name,
            before=counts[0][name],
            after=counts[1][name],
            gained=len(gained.get(name, ())),
            lost=len(lost.get(name, ())),
            graver=mine.filter(pl.col("rank_new") > pl.col("rank")).height,
            milder=mine.filter(pl.col("rank_new") < pl.col("rank")).height,
            before_a_day=_two_places(counts[0][name], days),
            after_a_day=_two_places(counts[1][name], days),
        )


def _two_places(count: int, of: int) -> Decimal:
    return (Decimal(count) / of).quantize(Decimal("0.01"))


# ------------------------------------------------------------------------- work


class _Task(Struct, order=True):
    """Work in a department's queue; what is due first is done first."""

    due_at: datetime
    arrived_at: datetime
    warning_id: str
    seconds: Decimal


def workload(policy: Policy, warnings: pl.DataFrame, span: tuple[date, date]) -> list[Workload]:
    """What each department owes, and what it misses at the policy's capacity.

    A department works on working days from opening to closing, on what is due first among what has come in, and
    its capacity is spread evenly over the day.
    """
    tasks = _tasks(policy, warnings)
    calendar = policy.bank_calendar
    days = [span[0] + timedelta(days=n) for n in range((span[1] - span[0]).days + 1)]
    worked = [day for day in days if calendar.is_working_day(day)]
    result = []
    for department, queue in sorted(tasks.items()):
        capacity = policy.response.capacity.get(department)  # type: ignore[call-overload]
        hours = Decimal(0) if capacity is None else capacity.value
        total = sum((task.seconds for task in queue), Decimal(0)) / HOUR
        missed, still = _worked_off(policy, sorted(queue, key=lambda task: task.arrived_at), worked, hours)
        result.append(
            Workload(
                department=department,
                tasks=len(queue),
                hours=total,
                capacity=hours * len(worked),
                missed=missed,
                open=still,
            )
        )
    return result


def _tasks(policy: Policy, warnings: pl.DataFrame) -> dict[str, list[_Task]]:
    tasks: dict[str, list[_Task]] = defaultdict(list)
    measures = policy.response.measures
    columns = warnings.select("warning_id", "detector", "severity", "event_time")
    for warning_id, detector, severity, start in columns.iter_rows():
        rule: Rule = getattr(policy.detectors, detector)
        if rule.mode != "live":
            continue
        due = task_dues(policy, severity, start).due_at
        for department in rule.departments:
            own = [code for code in rule.measures if measures[code].department == department]
            effort = sum((measures[code].effort.value for code in own), Decimal(0)) * HOUR
            first = min([due, *(measure_due(policy, code, severity, start) for code in own)])
            tasks[department].append(_Task(first, start, warning_id, effort))
    return tasks


def _worked_off(policy: Policy, queue: list[_Task], days: list[date], hours: Decimal) -> tuple[int, int]:
    """(missed, still open) after the days."""
    calendar = policy.bank_calendar
    waiting: list[_Task] = []
    missed = position = 0
    end = datetime.min.replace(tzinfo=UTC)
    for day in days:
        opens, closes = (
            datetime.combine(day, at, calendar.zone).astimezone(UTC)
            for at in (calendar.config.opens, calendar.config.closes)
        )
        length = Decimal((closes - opens) / timedelta(seconds=1))
        speed = hours * HOUR / length if length else Decimal(0)  # seconds of work a second of the day
        now, end = opens, closes
        while now < closes:
            while position < len(queue) and queue[position].arrived_at <= now:
                heappush(waiting, queue[position])
                position += 1
            if not waiting:
                if position == len(queue) or queue[position].arrived_at >= closes:
                    break
                now = queue[position].arrived_at
                continue
            if not speed:
                break
            task = waiting[0]
            needed = timedelta(seconds=float(task.seconds / speed))
            if now + needed > closes:
                task.seconds -= Decimal((closes - now) / timedelta(seconds=1)) * speed
                break
            heappop(waiting)
            now += needed
            missed += now > task.due_at
    rest = waiting + queue[position:]
    return missed + sum(task.due_at < end for task in rest), len(rest)


# ---------------------------------------------------------------------- quality


def quality(warnings: pl.DataFrame, labels: Set[str]) -> list[Quality]:
    """Precision and recall of each detector, and of all together (`any`), against labelled customers.

    A customer is flagged once, however many warnings it has. Empty without labels.
    """
    if not labels:
        return []
    customers = warnings.filter(pl.col("subject").str.starts_with("customer:"))
    flagged: dict[str, set[str]] = defaultdict(set)
    for detector, subject in customers.select("detector", "subject").unique().iter_rows():
        flagged[detector].add(subject.removeprefix("customer:"))
    flagged["any"] = set().union(*flagged.values())
    return [_quality(name, flagged[name], labels) for name in sorted(flagged)]


def _quality(name: str, flagged: Set[str], labels: Set[str]) -> Quality:
    right = len(flagged & labels)
    four = Decimal("0.0001")
    return Quality(
        detector=name,
        flagged=len(flagged),
        right=right,
        precision=(Decimal(right) / len(flagged)).quantize(four) if flagged else None,
        recall=(Decimal(right) / len(labels)).quantize(four),
    )
