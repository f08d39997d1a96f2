"""The tools and the cast of the scripted day: whose accounts, which clock, and how a step is written down."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.sources.simulator.agenda import Event
from connectors.sources.simulator.dice import money
from connectors.sources.simulator.disturb import topic_of
from connectors.sources.simulator.script import Step
from models.calendar import BankCalendar
from models.events import Action, ActionKind, Actor, Controls, Counterparty, Transaction
from models.policy import Policy
from models.risk_warning import Department

ENTITY = "LIANDONG-BANK"
BRANCH, TELLER = "B001", "T0013"
SUSPECT = "C-1042"  # whose transfers are the day's case
PERSONS = ("C-1001", "C-1002", "C-1003", "C-1004", "C-1005", "C-1006")
FIRMS = ("E-2001", "E-2002", "E-2003")
SHOPS = ("家乐超市", "百味餐厅", "城东药房", "新知书店", "顺达加油站")
SUPPLIERS = ("恒信物流有限公司", "瑞丰包装有限公司", "金桥电子有限公司")
OFFICER, SUPERVISOR = 7, 2  # numbers of each department's employees
# The day is told in minutes of an eight-hour day; a bank with other hours gets it stretched to fit.
TOLD_MINUTES = 480


class Clock:
    """Moments of a bank's working day, told by how far it has come."""

    def __init__(self, calendar: BankCalendar) -> None:
        self.calendar = calendar

    def at(self, day: date, minutes: float) -> datetime:
        """`minutes` out of 480 after opening; below 0 and above 480 are before and after hours."""
        start = datetime.combine(day, self.calendar.config.opens, self.calendar.zone)
        return start + minutes / TOLD_MINUTES * self.calendar.hours_a_day


class Notebook:
    """Collects steps in any order; `steps` gives them in that of their times."""

    def __init__(self, policy: Policy, day: date) -> None:
        self.policy = policy
        self.currency = policy.money.base
        # Ordinary amounts are thought of in CNY; the reporting threshold tells what money is worth elsewhere.
        amounts = policy.detectors.large_transaction.person_domestic.amounts
        self.scale = float(amounts[self.currency]) / 500_000
        self._begins = policy.bank_calendar.day_window(day)[0]
        self._steps: list[Step] = []
        self._count = 0

    def number(self) -> int:
        self._count += 1
        return self._count

    def add(self, at: datetime, event: Event, note_en: str = "", note_zh: str = "") -> None:
        self.raw(at, topic_of(event), event.key, event, note_en, note_zh)

    def raw(
        self, at: datetime, topic: str, key: str, event: Event | Action | bytes, note_en: str = "", note_zh: str = ""
    ) -> None:
        self._steps.append(
            Step(
                at=at,
                topic=topic,
                key=key,
                event=event,
                note_en=note_en,
                note_zh=note_zh,
                history=at < self._begins,
                settled=topic == "actions",
            )
        )

    def action(
        self,
        at: datetime,
        case_id: str,
        department: Department,
        kind: ActionKind,
        note_en: str,
        note_zh: str,
        measure: str | None = None,
        who: int = OFFICER,
    ) -> None:
        """A department's move on a case, by the employee of this number."""
        action = Action(
            action_id=f"day-a{self.number():04d}",
            event_time=at,
            case_id=case_id,
            actor=Actor(
                employee_id=f"{department}-{who:04d}",
                department=department,
                role="supervisor" if who == SUPERVISOR else "officer",
            ),
            kind=kind,
            measure=measure,
            note=note_zh,
        )
        self.raw(at, "actions", action.key, action, note_en, note_zh)

    def completes(
        self, at: datetime, case_id: str, department: Department, note_en: str, note_zh: str, measure: str
    ) -> datetime:
        """An officer completes a measure, and its supervisor countersigns where it takes two; when it is done."""
        self.action(at, case_id, department, "complete", note_en, note_zh, measure)
        if not self.policy.response.measures[measure].countersign:
            return at
        at = self.policy.bank_calendar.add_working_time(at, minutes(5))
        said = f"Countersigned: {note_en}", f"复核通过：{note_zh}"
        self.action(at, case_id, department, "approve", *said, measure, SUPERVISOR)
        return at

    def amount(self, value: float) -> Decimal:
        """So much in the thinking of CNY, in the policy's base currency."""
        return money(value * self.scale, self.currency)

    def transaction(self, at: datetime, customer: str, direction: str, amount: Decimal, **more: Any) -> Transaction:
        """A transaction of one of the cast, not yet added: domestic transfer in base currency unless told otherwise."""
        fields: dict[str, Any] = {
            "event_id": f"day-t{self.number():04d}",
            "event_time": at,
            "customer_id": customer,
            "customer_kind": "entity" if customer.startswith("E") else "person",
            "account_id": f"A{customer}",
            "direction": direction,
            "amount": amount,
            "currency": self.currency,
            "method": "transfer",
            "channel": "online",
            "branch_id": BRANCH,
            **more,
        }
        if fields["channel"] == "counter":
            fields["teller_id"] = TELLER
            fields["controls"] = Controls(identity_verified=True, approved_by=("M-B001",))
        return Transaction(**fields)

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(sorted(self._steps, key=lambda step: step.at))


def shop(number: int) -> Counterparty:
    """One of the shops that everybody goes to."""
    name = SHOPS[number % len(SHOPS)]
    return Counterparty(account_id=f"62220000{number % len(SHOPS):04d}", name=name, bank="ICBC")


def supplier(number: int) -> Counterparty:
    """One of the firms' suppliers."""
    name = SUPPLIERS[number % len(SUPPLIERS)]
    return Counterparty(account_id=f"62270000{number % len(SUPPLIERS):04d}", name=name, bank="CCB")


def earlier(calendar: BankCalendar, day: date, count: int) -> list[date]:
    """The `count` working days before a day, oldest first."""
    days: list[date] = []
    while len(days) < count:
        day = calendar.previous_working_day(day)
        days.append(day)
    return days[::-1]


def minutes(value: float) -> timedelta:
    return timedelta(minutes=value)
