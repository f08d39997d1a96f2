"""What the simulated bank will do on each day, before it has happened: drafts that become events when due."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from msgspec import Struct

from connectors.sources.simulator.bank import Branch, Customer
from connectors.sources.simulator.dice import Dice
from models.calendar import BankCalendar
from models.events import CapitalPosition, Controls, Counterparty, LoanEvent, PostReport, Reporter, Transaction
from models.risk_warning import Window

Event = Transaction | PostReport | LoanEvent | CapitalPosition
SECOND = 1000
HOUR = 3600 * SECOND


class Label(Struct, frozen=True, kw_only=True):
    """What the simulator planted, so that a detector can be judged by it.

    Args:
        scenario: one of `SCENARIOS`.
        subject: as a warning's subject, e.g. `customer:C100042`.
        event_ids: the planted events, in time order.
        window: from the midnight before the first of them to the midnight after the last.
    """

    scenario: str
    subject: str
    event_ids: tuple[str, ...]
    window: Window


@dataclass(slots=True)
class Plan:
    """A scenario that is being played: complete when all its `expected` events have come."""

    scenario: str
    subject: str
    expected: int = 0
    event_ids: list[str] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    complete: bool = False


@dataclass(slots=True)
class Draft:
    ms: int  # milliseconds after the bank's midnight, by the clock on its wall
    order: int
    kind: type[Event]
    fields: dict[str, Any]
    plan: Plan | None
    about: Plan | None  # a report is on the transactions that this plan has brought so far


class Agenda:
    """Drafts by day. `add` plans one; `play` turns a day's into events, numbered in time order."""

    def __init__(self, prefix: str, calendar: BankCalendar, home: str) -> None:
        self._prefix = prefix
        self._home = home
        self._calendar = calendar
        self._drafts: dict[date, list[Draft]] = {}
        self._numbers: dict[type[Event], int] = {Transaction: 0, PostReport: 0, LoanEvent: 0}
        self._order = 0
        self.opens, self.closes = (
            one.hour * HOUR + one.minute * 60 * SECOND for one in (calendar.config.opens, calendar.config.closes)
        )

    def add(
        self,
        day: date,
        ms: int,
        kind: type[Event],
        fields: dict[str, Any],
        plan: Plan | None = None,
        about: Plan | None = None,
    ) -> None:
        """Plan an event; times of day and ids are filled in when it is due."""
        self._order += 1
        self._drafts.setdefault(day, []).append(Draft(ms, self._order, kind, fields, plan, about))
        if plan is not None:
            plan.expected += 1

    def transaction(
        self,
        day: date,
        ms: int,
        customer: Customer,
        direction: str,
        amount: Any,
        currency: str,
        channel: str,
        *,
        other: Counterparty | None = None,
        plan: Plan | None = None,
        **more: Any,
    ) -> None:
        """Plan a transaction of a customer: cash where the channel hands it out, else a transfer.

        At the counter it bears its teller, the identity check and an approver.
        """
        fields: dict[str, Any] = {
            "customer_id": customer.id,
            "customer_kind": customer.kind,
            "account_id": customer.account,
            "direction": direction,
            "amount": amount,
            "currency": currency,
            "method": "transfer",
            "channel": channel,
            "branch_id": customer.branch.id,
            **more,
        }
        if other is not None:
            fields["counterparty"] = other
            fields.setdefault("cross_border", other.country not in (None, self._home))
        if channel == "counter":
            tellers = customer.branch.tellers
            fields.setdefault("teller_id", tellers[self._order % len(tellers)])
            fields.setdefault("controls", Controls(identity_verified=True, approved_by=(f"M-{customer.branch.id}",)))
        self.add(day, ms, Transaction, fields, plan)

    def report(
        self, day: date, ms: int, branch: Branch, kind: str, narrative: str, plan: Plan | None = None, **more: Any
    ) -> None:
        """Plan a teller's report; with a plan, it is on the plan's transactions so far and belongs to it."""
        reporter = Reporter(employee_id=branch.tellers[0], post="teller", branch_id=branch.id)
        self.add(day, ms, PostReport, {"reporter": reporter, "kind": kind, "narrative": narrative, **more}, plan, plan)

    def working_ms(self, dice: Dice) -> int:
        """A moment inside the bank's hours."""
        return dice.between(self.opens + 60 * SECOND, self.closes - 60 * SECOND)

    def days_before(self, start: date) -> list[date]:
        """Days with drafts that lie before the simulation begins, oldest first."""
        return sorted(day for day in self._drafts if day < start)

    def play(self, day: date) -> Iterator[tuple[Event, Plan | None]]:
        """The day's events in time order, each with the plan it belongs to."""
        midnight = datetime.combine(day, time(), self._calendar.zone)
        for draft in sorted(self._drafts.pop(day, ()), key=lambda one: (one.ms, one.order)):
            # Adding to a zoned time moves the clock on the wall: opening hours hold on days of clock changes, too.
            event = self._event(draft, midnight + timedelta(milliseconds=draft.ms))
            if draft.plan is not None and not isinstance(event, CapitalPosition):
                draft.plan.event_ids.append(event.event_id)
                draft.plan.days.append(day)
                draft.plan.complete = len(draft.plan.event_ids) == draft.plan.expected
            yield event, draft.plan

    def _event(self, draft: Draft, at: datetime) -> Event:
        if draft.kind is CapitalPosition:
            return CapitalPosition(**draft.fields)
        self._numbers[draft.kind] += 1
        number = self._numbers[draft.kind]
        if draft.kind is Transaction:
            return Transaction(event_id=f"{self._prefix}-t{number:06d}", event_time=at, **draft.fields)
        if draft.kind is LoanEvent:
            return LoanEvent(event_id=f"{self._prefix}-l{number:06d}", event_time=at, **draft.fields)
        about = tuple(draft.about.event_ids) if draft.about else ()
        return PostReport(
            report_id=f"{self._prefix}-r{number:06d}", event_time=at, transaction_ids=about, **draft.fields
        )
