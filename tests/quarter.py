"""A quarter of a bank's linked work: events, warnings on them, and what departments did about these."""

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from msgspec import Struct

from models.events import Action, LoanEvent, PostReport, Reporter, Transaction
from models.policy import Policy
from models.response.case import Task
from models.risk_warning import RiskWarning, Window
from tests.make import loan, report, transaction
from tests.response import Desk, action, warning

BRANCHES = (None, "B1", "B2", "B3")
SUBJECTS = (*(f"customer:C{n}" for n in range(40)), "branch:B1", "branch:B9", "industry:BANK1:K", "borrower:BANK1:L1")
DETECTORS = ("structuring", "teller_report", "missing_control", "industry_concentration", "complaint")
DEPARTMENTS = ("operations", "risk", "credit", "it")
MEASURES = ("investigate_transactions", "verify_identity", "restore_system", "adjust_classification")
KINDS = ("complaint", "complaint", "referral", "system_fault", "abnormal_transaction")
POSTS = tuple(f"P{number:02}" for number in range(40))  # who report, and who act
HOUR, DAY, INSTANT = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
Event = Transaction | PostReport | LoanEvent


class Played(Struct):
    """What came to pass.

    Attributes:
        events: with the time of their arrival, in its order; some were sent twice.
        sent: warnings (all revisions) and actions, each with its arrival, as a desk was shown them.
        desk: with the cases that came of it.
    """

    events: list[tuple[Event, datetime]]
    sent: list[tuple[RiskWarning | Action, datetime]]
    desk: Desk

    @property
    def warnings(self) -> list[RiskWarning]:
        return [one for one, _ in self.sent if isinstance(one, RiskWarning)]


def play(policy: Policy, months: Iterable[tuple[datetime, datetime]], seed: int) -> Played:
    """The months (their first instant and that of the next) one after the other.

    Args:
        seed: of all that is left to chance: the same at every call.
    """
    return _Play(policy, list(months), Random(seed)).played()  # noqa: S311 - a game, no secret


def again(sent: Iterable[tuple[RiskWarning | Action, datetime]], *policies: Policy) -> Desk:
    """A new desk that is shown warnings and actions, each with its arrival."""
    desk = Desk(*policies)
    for one, arrived in sent:
        desk.take(one, ingest=arrived)
    return desk


class _Play:
    def __init__(self, policy: Policy, months: list[tuple[datetime, datetime]], dice: Random) -> None:
        self._desk, self._dice, self._policy = Desk(policy), dice, policy
        self._start, self._end = months[0][0], months[-1][1]
        # The first and the last instants of months.
        edges = [at for start, _ in months for at in (start - INSTANT, start)]
        self._edges = [*edges, self._end - INSTANT, self._end]
        made = [self._event(number) for number in range(300)]
        twice = [(event, arrived + HOUR) for event, arrived in made if self._dice.random() < 0.1]
        self._events = sorted(made + twice, key=lambda one: one[1])
        self._arrivals = [arrived for _, arrived in self._events]
        self._sent: list[tuple[RiskWarning | Action, datetime]] = []

    def played(self) -> Played:
        now, told = self._start - 2 * DAY, 0
        while now < self._end + 3 * DAY:
            now += self._dice.choice((INSTANT, HOUR / 4, HOUR / 2, HOUR, 4 * HOUR))
            edge = next((one for one in self._edges if now - 3 * HOUR < one < now), None)
            if edge is not None and self._dice.random() < 0.5:
                self._deed(edge, now)
            chance = self._dice.random()
            if chance < 0.12:
                told += 1
                self._warn(f"w{told}", now)
            elif chance < 0.9:
                self._deed(now - self._dice.choice((0, 0, 0, 1, 5)) * HOUR, now)
            else:
                self._desk.tick(now)
        self._desk.tick(now + 30 * DAY)
        return Played(self._events, self._sent, self._desk)

    def _event(self, number: int) -> tuple[Event, datetime]:
        dice = self._dice
        at = self._start - 3 * DAY + dice.random() * (self._end - self._start + 6 * DAY)
        if dice.random() < 0.1:
            at = dice.choice(self._edges)
        branch = dice.choice(BRANCHES)
        event: Event
        kind = dice.random()
        if kind < 0.6:
            origin = dice.choice(("customer", "customer", "customer", "bank"))
            event = transaction(f"t{number}", at, "10", branch_id=branch, origin=origin)
        elif kind < 0.8:
            who = Reporter(employee_id=dice.choice(POSTS), post="teller", branch_id=branch or "B2")
            event = report(f"r{number}", at, kind=dice.choice(KINDS), reporter=who)
        else:
            entity = dice.choice(("BANK1", "BANK2"))
            event = loan(f"l{number}", at, "10", loan_id=f"L{dice.randrange(8)}", branch_id=branch, entity=entity)
        return event, at + dice.choice((INSTANT, HOUR / 60, HOUR, 30 * HOUR)) * dice.random()

    def _send(self, one: RiskWarning | Action, arrived: datetime) -> None:
        self._sent.append((one, arrived))
        self._desk.take(one, ingest=arrived)

    def _warn(self, name: str, now: datetime) -> None:
        """On some of the newest events; at times once more, graver and on others besides."""
        dice = self._dice
        known = self._events[: bisect_right(self._arrivals, now)][-8:]
        if not known:
            return
        fields: dict[str, Any] = {
            "warning_id": name,
            "subject": dice.choice(SUBJECTS),
            "detector": dice.choice(DETECTORS),
            "policy_version": self._policy.version,
            "mode": dice.choice(("live",) * 8 + ("shadow", "drill")),
        }
        for revision in range(1, dice.choice((1, 1, 1, 2)) + 1):
            behind = sorted(dice.sample(known, dice.randint(1, min(4, len(known)))), key=lambda one: one[0].event_time)
            newest = behind[-1][0].event_time
            departments = dice.sample(DEPARTMENTS, dice.choice((1, 1, 2, 3)))
            fields |= {
                "revision": revision,
                "severity": dice.choice(("low", "medium", "high", "critical")),
                "departments": tuple(departments),
                "measures": tuple(dice.sample(MEASURES, dice.choice((0, 1, 2)))),
                "event_ids": tuple(dict.fromkeys(event_id(event) for event, _ in behind)),
                "event_count": len(behind),
                "window": Window(newest, newest),
                "detected_at": now + dice.random() * HOUR / 60,
                "notify": revision == 1 or dice.random() < 0.7,
                "disproves": self._kept(fields["subject"]),
            }
            self._send(warning(newest, **fields), now)

    def _kept(self, subject: str) -> str | None:
        """A case of the subject which a warning shows not to be over, at times."""
        cases = [one.case_id for one in self._desk.cases.values() if one.subject == subject]
        return self._dice.choice(cases) if cases and self._dice.random() < 0.1 else None

    def _deed(self, at: datetime, now: datetime) -> None:
        """What is next on some task, rightly or not: some of it is refused."""
        pairs = [(case, task) for case in self._desk.cases.values() for task in case.tasks]
        active = [one for one in pairs if one[1].active or one[1].proposal is not None]
        if not pairs:
            return
        case, task = self._dice.choice(active if active and self._dice.random() < 0.9 else pairs)
        kind, measure = self._next(task)
        who = self._dice.choice(POSTS)
        fields: dict[str, Any] = {"case_id": case.case_id, "department": task.department, "measure": measure}
        one = action(kind, at, who=who, role="supervisor", action_id=f"a{len(self._sent)}", **fields)
        self._send(one, now)

    def _next(self, task: Task) -> tuple[str, str | None]:
        if task.proposal is not None:
            return self._dice.choice((("approve", None),) * 3 + (("reject", None),))
        match task.state:
            case "open":
                return self._dice.choice((("acknowledge", None), ("start", None), ("dismiss", None)))
            case "completed" | "dismissed" | "reopened":
                return "reopen", None
        if any(one.proposal is not None for one in task.measures):
            return "approve", next(one.code for one in task.measures if one.proposal is not None)
        return self._dice.choice((("complete", None),) * 3 + (("dismiss", None),))


def event_id(event: Event) -> str:
    return event.report_id if isinstance(event, PostReport) else event.event_id
