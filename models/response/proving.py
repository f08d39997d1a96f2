"""Measures that the stream proves: what is asked of it, what it answers, and when that completes them.

A measure with a proof is completed at the later of two times: the department's word, and the proof. Which of them
came in first makes no difference. What was done before the measure was asked for, or before a branch said that it has
put things right, proves nothing: every answer names the `since` that it counts from.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from msgspec.structs import replace

from models.policy import Policy
from models.policy import Proof as ProofKind
from models.proofs import ProofAsk, Proved
from models.response.case import (
    SYSTEM,
    Case,
    Countersign,
    Entry,
    Part,
    Task,
    TaskMeasure,
    concluded,
    noted,
    with_task,
    withdrawn,
)
from models.response.suspension import can_suspend

OF_LOANS: frozenset[ProofKind] = frozenset({"loans_reviewed", "reclassified"})


def can_prove(kind: ProofKind, subject: str) -> bool:
    """Whether the stream shows of this subject that such a measure is done, so that the word alone is not enough.

    >>> can_prove("loans_reviewed", "industry:B1:K"), can_prove("reclassified", "book:B1")
    (True, False)
    >>> can_prove("clean_resample", "branch:0731"), can_prove("clean_resample", "customer:C42")
    (True, False)
    """
    match kind:
        case "loans_reviewed" | "reclassified":
            return can_suspend(subject)
        case "clean_resample":
            return subject.startswith("branch:")
        case "no_approvals":
            return False  # it is kept, not done: `models.response.suspension`


def proof_of(code: str, subject: str, policy: Policy) -> ProofKind | None:
    """What completes a measure on a subject, beside the department's word; None where that is enough."""
    measure = policy.response.measures.get(code)
    if measure is None or measure.proof is None or not can_prove(measure.proof, subject):
        return None
    return measure.proof


def awaits_proof(one: TaskMeasure) -> bool:
    """Done, as the department says, and not proved."""
    return one.completed_at is None and one.claimed is not None


def progress(one: TaskMeasure) -> tuple[int, int] | None:
    """How many loans are left to be reviewed, of how many, in the partitions that have answered; None: not known."""
    if one.proof != "loans_reviewed" or not one.parts:
        return None
    return sum(part.left for part in one.parts), sum(part.listed for part in one.parts)


def wanted(one: TaskMeasure) -> str:
    """What is to be seen in the stream before the measure is completed, with how far it has come."""
    # In UTC, as stores give it back: the history is the same before a restart and after it.
    since = "" if one.proof_since is None else f" from {one.proof_since.astimezone(UTC).isoformat()} on"
    match one.proof:
        case "loans_reviewed":
            known = progress(one)
            so_far = "" if known is None else f" ({known[0]} of {known[1]} {_loans(known[1])} left)"
            return f"a review of every loan in it{since}{so_far}"
        case "reclassified":
            return f"a loan in it that is reclassified{since}"
        case _:
            return "a sample of the branch's large transactions after it, with every control"


def _loans(count: int) -> str:
    return "loan" if count == 1 else "loans"


# --- the department's word ---


def told_done(one: TaskMeasure, who: str, at: datetime, second: str | None = None) -> TaskMeasure:
    """A measure after its department's word: completed, or only claimed while its proof is still to come.

    Args:
        who, second: who says that it is done, and who has approved that, where it takes two.
        at: of the word that counts, the second one's where it takes two.
    """
    word = replace(one, proposal=None, countersigned_by=second)
    if one.proof is None or one.proved_at is not None:
        return replace(word, completed_at=max(at, one.proved_at or at), completed_by=who)
    claimed = replace(word, claimed=Countersign(employee_id=who, at=at))
    return claimed if one.proof in OF_LOANS else replace(claimed, proof_since=at, parts=())


def taken_back(task: Task, codes: Collection[str] | None = None) -> tuple[Task, list[str]]:
    """The task without what was said of these measures (None: of all) and holds no longer, and whose that was.

    That is what waits to be countersigned, and what waits for its proof.
    """
    task, gone = withdrawn(task, codes)
    claims = [one.code for one in task.measures if awaits_proof(one) and (codes is None or one.code in codes)]
    if not claims:
        return task, gone
    measures = tuple(_unclaimed(one) if one.code in claims else one for one in task.measures)
    return replace(task, measures=measures), gone + claims


def _unclaimed(one: TaskMeasure) -> TaskMeasure:
    if not awaits_proof(one):
        return one
    owed = replace(one, claimed=None, countersigned_by=None)
    return owed if one.proof in OF_LOANS else replace(owed, proof_since=None, parts=())


# --- what is asked ---


def asks_of(case: Case) -> dict[str, ProofAsk]:
    """What the case waits for, by the keys of the asks."""
    found: dict[str, ProofAsk] = {}
    for _, one in _waiting(case):
        if one.proof is not None and one.proof_since is not None:
            ask = ProofAsk(
                case_id=case.case_id,
                subject=case.subject,
                measure=one.code,
                kind=one.proof,
                since=one.proof_since,
                revision=case.revision,
            )
            found.setdefault(ask.key, ask)  # two departments that owe one measure: the later one is asked for after
    return found


def told_anew(before: dict[str, ProofAsk], after: dict[str, ProofAsk], revision: int) -> Iterator[ProofAsk]:
    """The asks that make others who know what was asked before know what is asked now.

    Args:
        before, after: as `asks_of` gave them.
        revision: of the case by now.
    """
    for key, ask in before.items():
        if key not in after:
            yield replace(ask, open=False, revision=revision)
    for key, ask in after.items():
        if key not in before or before[key].since != ask.since:
            yield ask


def _waiting(case: Case) -> Iterator[tuple[Task, TaskMeasure]]:
    for task in case.tasks:
        if task.active:
            yield from ((task, one) for one in task.measures if one.completed_at is None and one.proof is not None)


# --- what is answered ---


def answers(case: Case, proved: Proved) -> bool:
    """A measure that is still owed waits for this answer."""
    return _asked(case, proved) is not None


def is_past(case: Case, proved: Proved) -> bool:
    """What this answers is completed, was dismissed, or is claimed no more."""
    carries = any(
        one.code == proved.measure and one.proof_since == proved.since for task in case.tasks for one in task.measures
    )
    # A claim that was taken back leaves no trace in its measure, but one in the history.
    said = any(
        entry.kind in ("claimed", "countersigned") and entry.measure == proved.measure and entry.at == proved.since
        for entry in case.history
    )
    return (carries or said) and not answers(case, proved)


def take_proof(case: Case, proved: Proved, clock: datetime, recorded_at: datetime) -> Case:
    """The case after an answer of the stream's.

    Args:
        clock: the partition's time, for what has no event time of its own: that something is not proved.

    Returns:
        the same object where nothing waits for this answer, or a newer one of its partition is known.
    """
    found = _asked(case, proved)
    if found is None:
        return case
    task, one = found
    known = next((part for part in one.parts if part.partition == proved.partition), None)
    if known is not None and proved.revision <= known.revision:
        return case
    judge = _failed if proved.failed else _proved
    new, entry = judge(task, one, proved, clock, recorded_at)
    task = closed(replace(task, measures=tuple(new if old is one else old for old in task.measures)))
    case = with_task(case, task)
    return concluded(case if entry is None else noted(case, entry), recorded_at)


def closed(task: Task) -> Task:
    """The task completed where proofs have completed all that it owed, unless a second employee is to decide on it."""
    times = [one.completed_at for one in task.measures if one.completed_at is not None]
    if not times or len(times) < len(task.measures) or not task.active or task.proposal is not None:
        return task
    return replace(task, state="completed", completed_at=max(times))


def _asked(case: Case, proved: Proved) -> tuple[Task, TaskMeasure] | None:
    pairs = _waiting(case)
    return next((pair for pair in pairs if (pair[1].code, pair[1].proof_since) == (proved.measure, proved.since)), None)


def _failed(
    task: Task, one: TaskMeasure, proved: Proved, clock: datetime, recorded_at: datetime
) -> tuple[TaskMeasure, Entry | None]:
    new = replace(_unclaimed(one), proof_since=None, parts=(), failed=proved.failed)
    count = len(proved.failed)
    what = "transaction after it still lacks a control" if count == 1 else "transactions after it still lack a control"
    said = "" if one.claimed is None else f", as {one.claimed.employee_id} said,"
    detail = f"{one.code}: not done{said} for {count} {what}; it is owed as before"
    return new, _entry(task, one, "not_proved", clock, recorded_at, detail, proved.failed)


def _proved(
    task: Task, one: TaskMeasure, proved: Proved, clock: datetime, recorded_at: datetime
) -> tuple[TaskMeasure, Entry | None]:
    part = Part(
        partition=proved.partition,
        partitions=proved.partitions,
        listed=proved.listed,
        left=proved.left,
        done_at=proved.done_at,
        evidence=proved.evidence,
        revision=proved.revision,
    )
    others = [other for other in one.parts if other.partition != part.partition]
    parts = sorted((*others, part), key=lambda other: other.partition)
    at = _proved_at(one.proof, parts)
    new = replace(one, parts=tuple(parts), proved_at=at)
    if at == one.proved_at:
        return new, None
    if at is None:
        detail = f"{one.code}: proved no longer; it takes {wanted(new)}"
        return new, _entry(task, one, "not_proved", clock, recorded_at, detail)
    detail = f"{one.code}: {_seen(new)}"
    if one.claimed is None:
        detail += "; completed once the department says that it is done"
    else:
        who = one.claimed.employee_id
        new = replace(new, completed_at=max(one.claimed.at, at), completed_by=who, claimed=None)
        detail += f"; done, as {who} said"
    return new, _entry(task, one, "proved", at, recorded_at, detail, proved.evidence)


def _proved_at(kind: ProofKind | None, parts: Iterable[Part]) -> datetime | None:
    """When it was proved: a list is worked off once that is so in every partition, all else once it is in one."""
    parts = tuple(parts)
    done = [part.done_at for part in parts if part.done_at is not None]
    if kind != "loans_reviewed":
        return min(done, default=None)
    everywhere = set(range(max(part.partitions for part in parts)))
    missing = everywhere - {part.partition for part in parts if part.done_at is not None}
    return None if missing else max(done)


def _seen(one: TaskMeasure) -> str:
    """What the stream has shown."""
    match one.proof:
        case "loans_reviewed":
            count = sum(part.listed for part in one.parts)
            return f"no loan of {count} is left to be reviewed" if count else "there was no loan to be reviewed"
        case "reclassified":
            return "a loan was reclassified"
        case _ if any(part.evidence for part in one.parts):
            return "every control was there in the sample after it"
        case _:
            return "nothing large was done after it"


def _entry(
    task: Task,
    one: TaskMeasure,
    kind: str,
    at: datetime,
    recorded_at: datetime,
    detail: str,
    evidence: tuple[str, ...] = (),
) -> Entry:
    return Entry(
        at=at,
        recorded_at=recorded_at,
        actor=SYSTEM,
        kind=kind,
        detail=detail,
        department=task.department,
        measure=one.code,
        evidence=evidence,
    )
