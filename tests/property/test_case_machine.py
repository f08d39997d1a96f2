"""Several people of several roles on one subject, as a state machine.

Whatever they and the warnings do, in whatever order, with restarts and duplicates between: no illegal state, nothing
closed without its second pair of eyes or without its proof, no task lost, no deadline moved, the history's chain
whole, and a refusal changes nothing.
"""

from base64 import b64decode
from collections import Counter
from datetime import datetime, timedelta
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from models.events import Action, ActionKind
from models.policy import Policy, parse_policy
from models.proofs import ProofAsk, Proved
from models.response.audit import broken_link, chain_begins
from models.response.case import Case, Task, TaskMeasure
from models.response.proving import asks_of
from models.risk_warning import SEVERITIES, RiskWarning
from tests.property.test_cases import Frozen, check_case, check_suspensions, frozen
from tests.response import DAY, HOUR, INDUSTRY, MONDAY, TEXT, Desk, action, on_industry

ROLES = {"ling": "officer", "mei": "supervisor", "hao": "manager", "wu": "trainee"}
DEPARTMENTS = ("credit", "credit", "credit", "risk")
CODES = (
    "suspend_approvals",
    "review_granted_loans",
    "strengthen_post_loan_care",
    "adjust_classification",
    "check_feed",
)
ORDER = ("check_feed", *CODES[:4])  # in which nothing has to wait
# What follows what, and who sees it, is tested elsewhere.
KINDS = [kind for kind in get_args(ActionKind) if kind not in ("merge", "split", "restrict", "release")]
FAR = MONDAY + 400 * DAY
PARTITIONS = 2  # of the loans


def strict(text: str = TEXT) -> Policy:
    """The policy; the suspension takes two as well, and reclassifying comes after another department.

    That department's findings, and some of credit's own, ask for measures that are to be proved.
    """
    for code, line in (
        ("suspend_approvals", "countersign = true"),
        ("adjust_classification", 'after = ["check_feed"]'),
        ("check_feed", 'rectified_by = "review_granted_loans"'),
        ("strengthen_post_loan_care", 'rectified_by = "adjust_classification"'),
    ):
        head = f"[response.measures.{code}]\n"
        text = text.replace(head, f"{head}{line}\n")
    return parse_policy(text)


asked = st.fixed_dictionaries(
    {
        "warning_id": st.sampled_from(("w1", "w2", "w3")),
        "revision": st.integers(1, 4),
        "severity": st.sampled_from(SEVERITIES),
        "departments": st.sampled_from((("credit",), ("credit", "risk"))),
        "measures": st.lists(st.sampled_from(CODES), unique=True).map(tuple),
        "notify": st.booleans(),
        "mode": st.sampled_from(("live", "live", "live", "drill", "shadow")),
        "disproves": st.sampled_from((None, None, 1, 2)),
    }
)
people = st.fixed_dictionaries(
    {
        "who": st.sampled_from(("ling", "ling", "mei", "mei", "hao", "wu")),
        "department": st.sampled_from(DEPARTMENTS),
        "measure": st.sampled_from((None, None, *CODES)),
    }
)
minutes = st.integers(1, 60 * 12)


def measures(case: Case) -> dict[tuple[str, int, int], TaskMeasure]:
    return {(task.department, task.round, place): one for task in case.tasks for place, one in enumerate(task.measures)}


class CaseMachine(RuleBasedStateMachine):
    """On an industry, where loans prove measures."""

    subject = INDUSTRY
    policy = strict()

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.policy, partitions=PARTITIONS)
        self.measures = self.policy.response.measures
        self.now = MONDAY
        self.sent: list[Action | RiskWarning] = []
        self.answers: dict[tuple[str, datetime, int], list[Proved]] = {}
        self.seen: dict[str, Case] = {}
        self.frozen: dict[tuple[str, str, int], Frozen] = {}

    def bytes(self) -> bytes:
        return msgspec.msgpack.encode(self.desk.states.values)

    def send(self, event: Action | RiskWarning | Proved) -> None:
        refused, before = len(self.desk.refused), self.bytes()
        at = self.now if isinstance(event, Proved) else max(self.now, event.event_time)
        emits = self.desk.take(event, ingest=at)
        if len(self.desk.refused) > refused:
            assert (emits, self.bytes()) == ([], before), "a refusal changed something"
        elif not isinstance(event, Proved):
            self.sent.append(event)

    @rule(fields=asked, after=minutes)
    def warn(self, fields: dict[str, Any], after: int) -> None:
        self.now += timedelta(minutes=after)
        disproves = fields["disproves"]
        fields = fields | {"disproves": f"{self.subject}#{disproves}" if disproves else None, "subject": self.subject}
        self.send(on_industry(self.now, **fields))

    def act(self, kind: str, number: int, late: int, fields: dict[str, Any]) -> None:
        self.send(
            action(
                kind,
                self.now - late * HOUR,
                case_id=f"{self.subject}#{number}",
                action_id=f"a{len(self.sent)}",
                evidence=("e1",) if kind == "find" else (),
                role=ROLES[fields["who"]],
                **fields,
            )
        )

    @rule(kind=st.sampled_from(KINDS), fields=people, number=st.integers(1, 3), after=minutes, late=st.integers(0, 4))
    def do_anything(self, kind: str, fields: dict[str, Any], number: int, after: int, late: int) -> None:
        self.now += timedelta(minutes=after)
        self.act(kind, number, late, fields)

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), who=st.sampled_from(("ling", "mei", "hao")), after=minutes)
    def do_what_is_next(self, data: st.DataObject, who: str, after: int) -> None:
        """What a department would do on a task as it stands, so that the work gets somewhere."""
        self.now += timedelta(minutes=after)
        case = self.seen[data.draw(st.sampled_from(sorted(self.seen)))]
        task: Task = data.draw(st.sampled_from(case.tasks))
        open_ones = [one for one in task.measures if one.completed_at is None]
        waits = [one.code for one in open_ones if one.proposal is not None]
        moves: list[tuple[str, str | None]] = [("approve", None)] if task.proposal is not None else []
        match task.state:
            case "open":
                moves += [("acknowledge", None), ("dismiss", None), ("start", "suspend_approvals")]
            case "completed" | "dismissed":
                moves += [("reopen", None), ("lift", None), ("approve", "suspend_approvals")]
            case _:
                moves += [("approve", code) for code in waits]
                moves += [("complete", one.code) for one in open_ones] + [("complete", None)]
                moves += [("find", one.code) for one in task.measures]
        kind, measure = data.draw(st.sampled_from(moves))
        self.act(kind, case.number, 0, {"who": who, "department": task.department, "measure": measure})

    @precondition(lambda self: self.seen)
    @rule(data=st.data(), first=st.sampled_from(("ling", "mei")), second=st.sampled_from(("mei", "hao")))
    def finish(self, data: st.DataObject, first: str, second: str) -> None:
        """All that a department owes, by two who may be one; then, at times, they want to do it again."""
        case = self.seen[data.draw(st.sampled_from(sorted(self.seen)))]
        task = case.task(data.draw(st.sampled_from(sorted({task.department for task in case.tasks}))))
        assert task is not None
        codes = [code for code in ORDER if any(one.code == code for one in task.measures)]
        steps: list[tuple[str, str, str | None]] = [(first, "start", None)]
        for code in codes:
            steps += [(first, "complete", code), (second, "approve", code)]
        if data.draw(st.integers(0, 3)) == 0:
            at = data.draw(st.integers(0, len(steps)))
            steps[at:] = [(first, "complete", None), (first, "dismiss", None), ("hao", "approve", None)]
        steps += [(first, "complete", None), (second, "approve", None)]
        if not task.active or data.draw(st.booleans()):
            steps += [(first, "reopen", data.draw(st.sampled_from((None, *codes)))), (second, "approve", None)]
        for who, kind, measure in steps[: data.draw(st.integers(1, len(steps)))]:
            self.now += timedelta(minutes=1)
            self.act(kind, case.number, 0, {"who": who, "department": task.department, "measure": measure})
            self.all_is_in_order()

    @precondition(lambda self: self.desk.asks)
    @rule(data=st.data(), partition=st.integers(0, PARTITIONS - 1), done=st.booleans(), after=minutes)
    def answer(self, data: st.DataObject, partition: int, done: bool, after: int) -> None:
        """To what is asked, or was: rightly, twice, or for the second time what was said before."""
        self.now += timedelta(minutes=after)
        asked = self.desk.asks[data.draw(st.sampled_from(sorted(self.desk.asks)))]
        said = self.answers.setdefault((asked.key, asked.since, partition), [])
        if said and data.draw(st.integers(0, 3)) == 0:
            self.send(data.draw(st.sampled_from(said)))
        else:
            fails = asked.kind == "clean_resample" and data.draw(st.booleans())
            self.reply(asked, partition, data.draw(st.integers(0, 9)) if done and not fails else None, fails)

    @precondition(lambda self: any(asked.open for asked in self.desk.asks.values()))
    @rule(after=minutes)
    def prove_all(self, after: int) -> None:
        self.now += timedelta(minutes=after)
        for asked in [asked for asked in self.desk.asks.values() if asked.open]:
            for partition in range(PARTITIONS):
                self.reply(asked, partition, 0)
                self.all_is_in_order()

    def reply(self, asked: ProofAsk, partition: int, hours: int | None, fails: bool = False) -> None:
        """Proved so many hours ago, but not before it was asked for."""
        said = self.answers.setdefault((asked.key, asked.since, partition), [])
        at = None if hours is None else max(asked.since, self.now - hours * HOUR)
        answer = Proved(
            case_id=asked.case_id,
            subject=asked.subject,
            measure=asked.measure,
            since=asked.since,
            partition=partition,
            partitions=PARTITIONS,
            listed=3,
            left=0 if at is not None else 1,
            done_at=at,
            failed=("t1",) if fails else (),
            revision=len(said) + 1,
        )
        said.append(answer)
        self.send(answer)
        before = self.bytes()
        assert self.desk.take(answer, ingest=self.now) == []
        assert self.bytes() == before

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.sent))
        before = {key: len(case.history) for key, case in self.desk.cases.items()}
        self.desk.take(event, ingest=max(self.now, event.event_time))
        if any(b64decode(letter.raw) == msgspec.json.encode(event) for letter in self.desk.letters):
            return  # a dead letter's action may be sent again for good
        for key, case in self.desk.cases.items():
            assert key in before, "a duplicate opened a case"
            kinds = {entry.kind for entry in case.history[before[key] :]}
            assert kinds <= {"breached", "escalated", "reminded"}

    @rule(after=st.integers(0, 60 * 60), caught_up=st.booleans())
    def wait(self, after: int, caught_up: bool) -> None:
        self.now += timedelta(minutes=after)
        self.desk.tick(self.now, caught_up)

    @rule()
    def restart(self) -> None:
        before = self.bytes()
        self.desk.restart()
        assert self.bytes() == before

    @invariant()
    def all_is_in_order(self) -> None:
        if self.subject not in self.desk.states.values:
            return
        cases = self.desk.subject(self.subject).cases
        check_suspensions(cases, self.desk.suspensions)
        assert self.seen.keys() <= {case.case_id for case in cases.values()}, "a case was lost"
        for case in cases.values():
            assert self.desk.cases[case.case_id] == case
            check_case(case)
            self.check_eyes(case)
            self.check_proofs(case)
            self.check_history(case)
            if (before := self.seen.get(case.case_id)) is not None:
                self.check_what_was(before, case)
            for task in case.tasks:
                name = (case.case_id, task.department, task.round)
                assert self.frozen.setdefault(name, frozen(task)) == frozen(task), "a deadline was moved"
            self.seen[case.case_id] = case
        waits = {key: asked.since for case in cases.values() for key, asked in asks_of(case).items()}
        assert {key: asked.since for key, asked in self.desk.asks.items() if asked.open} == waits

    def check_eyes(self, case: Case) -> None:
        """Nothing is closed, or opened again, by one employee; and by none whose role may not."""
        for task in case.tasks:
            own = [entry for entry in case.history if entry.department == task.department]
            for one in task.measures:
                signed, takes_two = one.countersigned_by is not None, self.measures[one.code].countersign
                said_by = one.claimed.employee_id if one.claimed is not None else one.completed_by
                assert signed == (said_by is not None and takes_two)
                assert one.countersigned_by != said_by or not signed
                assert one.proposal is None or (one.completed_at is None and one.claimed is None and takes_two)
            for at, kind in ((task.dismissed_at, "dismissal"), (task.reopened_at, "reopening")):
                approvals = [one for one in own if one.kind == "approve" and one.detail.startswith(kind)]
                assert at is None or at in [one.at for one in approvals]
        roles = {kind: set(names) for kind, names in self.policy.response.roles.items()}
        for entry in case.history:
            kind = "approve" if entry.kind in ("countersigned", "lifted") else entry.kind
            if kind in roles:
                assert ROLES[entry.actor] in roles[kind]

    def check_proofs(self, case: Case) -> None:
        """Nothing is completed that wants a proof without one, and nothing proved without the department's word."""
        for task in case.tasks:
            for one in task.measures:
                kind = self.measures[one.code].proof
                assert one.proof == (kind if kind != "no_approvals" else None)
                if one.proof is None:
                    assert (one.proof_since, one.parts, one.claimed, one.proved_at) == (None, (), None, None)
                    continue
                for part in one.parts:
                    assert one.proof_since is not None
                    given = self.answers[f"{case.case_id}|{one.code}", one.proof_since, part.partition]
                    assert given[part.revision - 1].done_at == part.done_at
                done = [part.done_at for part in one.parts if part.done_at is not None]
                whole = one.proof != "loans_reviewed" or len(done) == PARTITIONS
                at = (max(done) if one.proof == "loans_reviewed" else min(done)) if done and whole else None
                assert one.proved_at == at
                assert one.claimed is None or (one.completed_at, at) == (None, None)
                if one.completed_at is not None:
                    said = ("complete", "claimed", "countersigned")
                    words = [entry.at for entry in case.history if entry.kind in said]
                    assert at is not None
                    assert one.completed_at == at or (one.completed_at > at and one.completed_at in words)

    def check_history(self, case: Case) -> None:
        assert (broken_link(case), chain_begins(case)) == (None, 0)
        reminded = Counter(
            (entry.at, entry.department, entry.measure, entry.detail.partition(": ")[2])
            for entry in case.history
            if entry.kind == "reminded"
        )
        rounds = Counter(
            (at, task.department, code, f"{what} is due at {due.isoformat()}")
            for task in case.tasks
            for at, code, what, due in _reminders(task)
        )
        assert reminded == rounds

    def check_what_was(self, before: Case, case: Case) -> None:
        """Against the case as it stood a step ago."""
        assert case.history[: len(before.history)] == before.history
        assert case.revision > before.revision or case == before
        old, new = measures(before), measures(case)
        assert old.keys() <= new.keys(), "a measure was lost"
        still = {
            one.code
            for task in case.tasks
            if task.active
            for place, one in enumerate(task.measures)
            if one.completed_at is None and (task.department, task.round, place) in old
        }
        for key, one in old.items():
            if one.completed_at is not None:
                assert new[key].completed_at == one.completed_at
            elif one.claimed is None and (new[key].completed_at is not None or new[key].claimed is not None):
                assert still.isdisjoint(self.measures[one.code].after), "done before what it comes after"

    def teardown(self) -> None:
        self.desk.tick(FAR)
        self.desk.tick(FAR)
        if self.subject in self.desk.states.values:
            assert self.desk.subject(self.subject).waiting == []
            assert self.desk.subject(self.subject).early == {}
            self.all_is_in_order()
        super().teardown()


def _reminders(task: Task) -> list[tuple[datetime, str | None, str, datetime]]:
    """What a task says it was reminded of."""
    found: list[tuple[datetime | None, str | None, str, datetime]] = [
        (task.acknowledge_reminded_at, None, "acknowledgement", task.acknowledge_due_at),
        (task.reminded_at, None, "completion", task.due_at),
        *((one.reminded_at, one.code, "measure", one.due_at) for one in task.measures),
    ]
    return [(at, code, what, due) for at, code, what, due in found if at is not None]


class BranchMachine(CaseMachine):
    """On a branch, where new samples of its large transactions prove the same measures, and may not."""

    subject = "branch:B1"
    policy = strict(
        TEXT.replace('proof = "loans_reviewed"', 'proof = "clean_resample"').replace(
            'proof = "reclassified"', 'proof = "clean_resample"'
        )
    )


TestCaseMachine = CaseMachine.TestCase
TestBranchMachine = BranchMachine.TestCase
TestCaseMachine.settings = TestBranchMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
