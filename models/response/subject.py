"""The cases of one subject, and how warnings and actions find theirs.

Warnings and actions are two topics: an action may be read before the warning whose case it is about, and where
all is read again from the start, long before. So an action on a case that is still to come waits here, and is
let go in order of event time: as far as the subject's warnings have come, or when the broker has no more of them.
"""

from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from models.events import Action
from models.links import CaseLink
from models.policy import PolicyHistory
from models.proofs import Proved
from models.response.case import Case, CaseMode
from models.response.confidential import CONFINING, confine, confined
from models.response.deadlines import next_due, settle
from models.response.joining import join, open_case, record, reopen
from models.response.linking import (
    LINKING,
    against,
    led,
    not_taken,
    noted_only,
    only_followers,
    relink,
    turned_down,
)
from models.response.moves import act, reopens
from models.response.proving import answers, is_past, take_proof
from models.response.suspension import in_force, spans
from models.risk_warning import RiskWarning
from models.stage import Refused

KEEP_CLOSED = 20  # resolved cases of a subject kept at hand, to be reopened; all stay on the topic `cases`
MAX_WAITING = 100  # actions of one subject that wait for their case
MAX_EARLY = 500  # answers on proofs that wait for what asks for them


class Waiting(Struct, frozen=True, kw_only=True):
    """An action whose case is still to come, and where it stood in its topic."""

    action: Action
    topic: str
    partition: int
    offset: int
    ingest_time: datetime
    since: datetime  # the partition's clock when it came in


class SubjectCases(Struct, kw_only=True):
    """State of one subject: bounded by `KEEP_CLOSED` and `MAX_WAITING` beside the open cases.

    Args:
        cases: by number; the open ones, those that hold a suspension in force (one a mode), the last closed ones.
        open: number of the open case by mode.
        acted_until: newest event time of an action, the subject's own watermark.
        early: by key, what the stream says of proofs that no measure asks for yet.
        stream_time, arrived_at: event time and arrival of the subject's newest record. The newest of a partition's
            subjects make the partition's clock.
    """

    stream_time: datetime
    arrived_at: datetime
    next_number: int = 1
    open: dict[CaseMode, int] = field(default_factory=dict)
    cases: dict[int, Case] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    acted_until: datetime | None = None
    early: dict[str, Proved] = field(default_factory=dict)

    def next_due(self) -> datetime | None:
        """When the clock alone next changes one of the open cases."""
        dues = [due for number in self.open.values() if (due := next_due(self.cases[number])) is not None]
        return min(dues, default=None)

    def put(self, case: Case, clock: datetime, recorded_at: datetime) -> Case:
        """Keep a changed case, judged by the clock and with its next revision."""
        case = settle(self._with_early(case, clock, recorded_at), clock, recorded_at)
        before = self.cases.get(case.number)
        case = replace(case, revision=case.revision + 1)
        if spans(case) != (spans(before) if before is not None else ()):
            case = replace(case, suspended_revision=case.revision)
        self.cases[case.number] = case
        if case.state == "open":
            self.open[case.mode] = case.number
        elif self.open.get(case.mode) == case.number:
            del self.open[case.mode]
        return case

    def settle(self, clock: datetime, recorded_at: datetime) -> list[Case]:
        """Judge the open cases by the clock; those that changed."""
        changed = []
        for number in list(self.open.values()):
            case = self.cases[number]
            if settle(case, clock, recorded_at) is not case:
                changed.append(self.put(case, clock, recorded_at))
        return changed

    # --- warnings ---

    def holder(self, warning_id: str, mode: CaseMode) -> Case | None:
        """The case of this mode that holds the warning's newest revision; of several that do the newest.

        A revision may stand in an older case than the one before it: where it shows a measure there not to be kept.
        """
        held = [
            (ref.revision, number)
            for number, case in self.cases.items()
            if case.mode == mode and (ref := case.warning(warning_id)) is not None
        ]
        return self.cases[max(held)[1]] if held else None

    def take_warning(
        self, warning: RiskWarning, mode: CaseMode, policies: PolicyHistory, clock: datetime, recorded_at: datetime
    ) -> list[Case]:
        """Work a warning in; the cases that changed.

        It joins the open case or opens one. A quiet revision of what a closed case holds is noted there: the
        departments were not told anew, so nothing new is owed. Where no case is open, one that shows the measure
        of a closed case not to be kept opens that one again, quiet or not.
        """
        holder = self.holder(warning.warning_id, mode)
        known = holder.warning(warning.warning_id) if holder else None
        if known is not None and warning.revision <= known.revision:
            return []
        policy = policies.at(warning.event_time)
        disproved = self.disproved(warning, mode)
        if disproved is not None:
            case = confined(reopen(disproved, warning, policy, recorded_at), warning, policy, recorded_at)
            return [self.put(case, clock, recorded_at)]
        if holder is not None and holder.state == "resolved" and not warning.notify:
            return [self.put(record(holder, warning, recorded_at), clock, recorded_at)]
        if mode in self.open:
            case = join(self.cases[self.open[mode]], warning, policy, recorded_at)
        else:
            case = open_case(self.next_number, mode, warning, policy, recorded_at)
            self.next_number += 1
            closed = sorted(
                number
                for number, one in self.cases.items()
                if number not in self.open.values() and in_force(one) is None
            )
            for number in closed[: max(0, len(closed) - KEEP_CLOSED)]:
                del self.cases[number]
        return [self.put(confined(case, warning, policy, recorded_at), clock, recorded_at)]

    def disproved(self, warning: RiskWarning, mode: CaseMode) -> Case | None:
        """The closed case that a warning opens again; None where it has none to open, or another is open."""
        if warning.disproves is None or mode in self.open:
            return None
        return next((one for one in self.cases.values() if one.case_id == warning.disproves and one.mode == mode), None)

    # --- proofs ---

    def take_proof(self, proved: Proved, clock: datetime, recorded_at: datetime) -> list[Case]:
        """Work in what the stream says of a measure's proof; the case that changed.

        The answer may be read before what asks for it, where a worker died after it had asked and reads that again.
        Then it waits here; what nothing will ask for any more is dropped.
        """
        number = int(proved.case_id.rpartition("#")[2])
        case = self.cases.get(number)
        if case is not None and answers(case, proved):
            changed = take_proof(case, proved, clock, recorded_at)
            return [] if changed is case else [self.put(changed, clock, recorded_at)]
        if number >= self.next_number if case is None else not is_past(case, proved):
            self._wait_early(proved)
        return []

    def _wait_early(self, proved: Proved) -> None:
        known = self.early.get(proved.key)
        if known is None or (proved.since, proved.revision) > (known.since, known.revision):
            self.early[proved.key] = proved
        if len(self.early) > MAX_EARLY:
            del self.early[min(self.early, key=lambda key: (self.early[key].since, key))]

    def _with_early(self, case: Case, clock: datetime, recorded_at: datetime) -> Case:
        """The case with the answers that came before what it asks by now."""
        for key, proved in list(self.early.items()):
            if proved.case_id != case.case_id:
                continue
            if answers(case, proved):
                case = take_proof(case, proved, clock, recorded_at)
                del self.early[key]
            elif is_past(case, proved):
                del self.early[key]
        return case

    # --- links ---

    def take_link(
        self, link: CaseLink, policies: PolicyHistory, clock: datetime, recorded_at: datetime
    ) -> tuple[list[Case], str | None]:
        """Work in what another case says.

        Returns:
            the case that changed, and why it may not lead the one that wants to follow it.
        """
        case = self.cases.get(int(link.to.rpartition("#")[2]))
        if link.kind == "follow" and (why := against(case, link)) is not None:
            return [], why
        if case is None:
            return [], None
        if link.kind == "act":
            after = self._followed(case, link, policies, recorded_at)
        elif link.kind == "refuse":
            after = turned_down(case, link, recorded_at)
        else:
            after = led(case, link, recorded_at)
        return ([self.put(after, clock, recorded_at)] if after is not case else []), None

    def _followed(self, case: Case, link: CaseLink, policies: PolicyHistory, recorded_at: datetime) -> Case:
        """A follower after an action on its leader; the same object where it has taken it, or follows no more."""
        if link.action is None or case.follows != link.from_ or case.applied(link.action.action_id):
            return case
        own = replace(link.action, case_id=case.case_id)
        task = case.task(own.actor.department)
        try:
            if own.kind == "complete" and task is not None and task.state == "open":
                # On the leader it had been acknowledged before that; here it is by the same word.
                seen = replace(own, kind="acknowledge", measure=None, action_id=f"{own.action_id}/acknowledge")
                case = self.moved(seen, policies, recorded_at)
                return act(case, own, policies.at(own.event_time), recorded_at, self._others(case))
            return self.moved(own, policies, recorded_at)
        except Refused as refusal:
            return not_taken(case, own, refusal, recorded_at)

    def _others(self, case: Case) -> list[Case]:
        return [one for one in self.cases.values() if one.mode == case.mode and one.number != case.number]

    # --- actions ---

    def check_action(self, action: Action) -> int:
        """The number of the case that an action is about.

        Raises:
            Refused: `unknown_case`.
        """
        number = int(action.case_id.rpartition("#")[2])
        written = f"{action.subject}#{number}" == action.case_id
        if written and (number in self.cases or number in self.expected()):
            return number
        if written and 0 < number < self.next_number:
            why = f"{action.case_id} was resolved more than {KEEP_CLOSED} cases ago"
        else:
            why = f"{action.subject} has no such case; its next one will be {action.subject}#{self.next_number}"
        raise Refused("unknown_case", "case_id", why)

    def expected(self) -> range:
        """Numbers of cases still to come on which an action may wait.

        A case has a successor only once actions have resolved it, but a live one and a drill may be open side by
        side: so at most one case without an action can lie between the last one waited for and the next.
        """
        awaited = max((_number(one.action) for one in self.waiting), default=0)
        return range(self.next_number, max(self.next_number, awaited + 1) + 2)

    def must_wait(self, number: int) -> bool:
        """The case is still to come, or an earlier action on one of the subject's cases that are there still waits.

        On any of them: what one case suspends, or that it is open, decides what may be done on another.
        """
        return number not in self.cases or any(_number(one.action) in self.cases for one in self.waiting)

    def known(self, action: Action, number: int) -> bool:
        """This action was taken already."""
        case = self.cases.get(number)
        waits = any(
            one.action.action_id == action.action_id and one.action.case_id == action.case_id for one in self.waiting
        )
        return waits or (case is not None and case.applied(action.action_id))

    def moved(self, action: Action, policies: PolicyHistory, recorded_at: datetime) -> Case:
        """The case as the action would leave it; nothing is kept.

        Raises:
            Refused: as `models.response.moves.act`, and `illegal_move` to reopen beside an open case.
        """
        case, policy = self.cases[_number(action)], policies.at(action.event_time)
        if action.kind in LINKING:
            return relink(case, action, policy, recorded_at)
        if action.kind in CONFINING:
            return confine(case, action, policy, recorded_at)
        if only_followers(case, action):
            return noted_only(case, action, recorded_at)
        beside = self.open.get(case.mode)
        if reopens(case, action) and beside not in (None, case.number):
            raise Refused(
                "illegal_move",
                "kind",
                f"{action.subject}#{beside} is open: act there; {case.case_id} is not reopened beside it",
            )
        return act(case, action, policy, recorded_at, self._others(case))

    def release(
        self, until: datetime | None, policies: PolicyHistory, clock: datetime
    ) -> tuple[list[tuple[Case, Action]], list[tuple[Waiting, Refused]]]:
        """Let waiting actions go whose case is there, in the order they came.

        Args:
            until: event time up to which the warnings are known; None: all of them.

        Returns:
            the cases that changed with the action that changed each, and the actions that were refused after all.
        """
        changed: list[tuple[Case, Action]] = []
        refused: list[tuple[Waiting, Refused]] = []
        held: list[Waiting] = []
        for one in self.waiting:
            number = _number(one.action)
            behind = any(_number(other.action) in self.cases for other in held)
            if number not in self.cases or behind or (until is not None and one.action.event_time > until):
                held.append(one)
                continue
            if self.cases[number].applied(one.action.action_id):
                continue
            try:
                case = self.moved(one.action, policies, one.ingest_time)
            except Refused as refusal:
                refused.append((one, refusal))
            else:
                changed.append((self.put(case, clock, one.ingest_time), one.action))
        self.waiting = held
        return changed, refused

    def expire(self, policies: PolicyHistory, clock: datetime) -> list[tuple[Waiting, Refused]]:
        """Give up waiting for cases that did not come within the policy's lateness."""
        refused: list[tuple[Waiting, Refused]] = []
        held: list[Waiting] = []
        for one in self.waiting:
            lateness = policies.at(one.action.event_time).lateness
            if _number(one.action) not in self.cases and clock > one.since + lateness:
                why = f"{one.action.case_id} did not come to be within {lateness.days} days"
                refused.append((one, Refused("unknown_case", "case_id", why)))
            else:
                held.append(one)
        self.waiting = held
        return refused


def _number(action: Action) -> int:
    return int(action.case_id.rpartition("#")[2])
