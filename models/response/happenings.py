"""What happened in some months, gathered for their indicators: cases, warnings, and the events that are counted."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime

from models.calendar import BankCalendar
from models.drill import drill_of
from models.events import LoanEvent, PostReport, Transaction
from models.response.case import Case
from models.response.period import Period
from models.risk_warning import RiskWarning

NO_BRANCH = "unknown"


class Happenings:
    """Cases and warnings as they stand, and counts of events by month. Drills are left out.

    Args:
        cases: each as it stands.
        warnings: all revisions, or the first of each: what departments were told first is what counts.
        months: to count.
        calendar: of the bank; a month begins at midnight in its zone.

    Attributes:
        warnings: by id, the first revision.
        arrived: when the broker took the events behind warnings, by event_id.
        transactions: customers' own, by month and branch; what a bank books by itself is nobody's behaviour.
        complaints: branch by report_id, by month.
        loans: (entity, loan_id) of the loans with a step, by month.
    """

    def __init__(
        self, cases: Iterable[Case], warnings: Iterable[RiskWarning], months: Iterable[Period], calendar: BankCalendar
    ) -> None:
        self.cases = [case for case in cases if case.mode == "live"]
        self.calendar = calendar
        self.warnings: dict[str, RiskWarning] = {}
        for warning in warnings:
            known = self.warnings.get(warning.warning_id)
            if warning.mode == "live" and (known is None or warning.revision < known.revision):
                self.warnings[warning.warning_id] = warning
        self.arrived: dict[str, datetime] = {}
        self.transactions: dict[Period, Counter[str]] = defaultdict(Counter)
        self.complaints: dict[Period, dict[str, str]] = defaultdict(dict)
        self.loans: dict[Period, set[tuple[str, str]]] = defaultdict(set)
        self._months = {(one.year, one.month): one for one in months}
        self._evidence = {event_id for one in self.warnings.values() for event_id in one.event_ids}
        self._branches: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()

    def take(self, event: Transaction | PostReport | LoanEvent, ingest_time: datetime) -> None:
        """Count an event. One that was sent twice counts once, with its first arrival; one of a drill does not."""
        if drill_of(event.key) is not None:
            return
        branch = event.reporter.branch_id if isinstance(event, PostReport) else event.branch_id or NO_BRANCH
        if event.event_id in self._evidence:
            self.arrived[event.event_id] = min(ingest_time, self.arrived.get(event.event_id, ingest_time))
            self._branches.setdefault(event.event_id, branch)
        day = self.calendar.day_of(event.event_time)
        month = self._months.get((day.year, day.month))
        if month is None:
            return
        if isinstance(event, LoanEvent):
            self.loans[month].add((event.entity, event.loan_id))
        elif isinstance(event, PostReport):
            if event.kind == "complaint":
                self.complaints[month].setdefault(event.report_id, branch)
        elif event.origin == "customer" and (name := (event.customer_id, event.event_id)) not in self._seen:
            self._seen.add(name)
            self.transactions[month][branch] += 1

    def branch_of(self, case: Case) -> str:
        """Where it happened: the branch that its subject names, else that of most of the events behind it."""
        kind, _, name = case.subject.partition(":")
        if kind == "branch":
            return name
        warnings = (self.warnings.get(ref.warning_id) for ref in case.warnings)
        events = {event_id for one in warnings if one is not None for event_id in one.event_ids}
        found = Counter(self._branches[one] for one in events if self._branches.get(one, NO_BRANCH) != NO_BRANCH)
        return min(found, key=lambda branch: (-found[branch], branch)) if found else NO_BRANCH
