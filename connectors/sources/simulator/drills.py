"""Drills: scripted scenarios that are played through the live pipeline, to see who answers and how soon.

Every id carries the drill's name (`models.drill`), amounts come from the policy in force, and times end at the present:
what makes a rule warn is the last thing that happens.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from connectors.sources.simulator.agenda import Event
from connectors.sources.simulator.bank import INDUSTRIES, REAL_ESTATE, Industry, home_of, outsider, person_name
from connectors.sources.simulator.dice import Dice, money
from connectors.sources.simulator.stage_directions import Clock, earlier
from models.credit.industry import industry_member
from models.drill import drill_of, in_drill
from models.events import Controls, Counterparty, LoanEvent, PostReport, Reporter, ReportKind, Transaction
from models.policy import Policy, Rule
from models.response.drill_score import Expected

CLERK, BRANCH, BANK = "T1", "B1", "BANK"
RING = ("C1", "C2", "C3")
# Just below what must be reported: near it by any policy that looks for that.
NEAR = 0.95
PACE = timedelta(minutes=5)  # between two events of a day, where the day is old enough
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Scenario(Struct, frozen=True, kw_only=True):
    """A script, and what must come of it.

    Args:
        zh, en: what it teaches.
        act: plays it.
        sees: (detector, subject) of the warnings that must come; the subject without the drill's name, `{member}` for
            the industry that is lent to.
        then: plays what follows, on the loans that the drill has brought so far; None where nothing does.
        then_zh, then_en: what follows.
    """

    name: str
    zh: str
    en: str
    act: Callable[["Cast"], None]
    sees: tuple[tuple[str, str], ...]
    then: Callable[["Cast", Sequence[LoanEvent]], None] | None = None
    then_zh: str = ""
    then_en: str = ""


class Cast:
    """The people, the branch and the book of one drill; what they do is in `events`, oldest first.

    Args:
        now: with a zone; nothing happens after it.
        count: how many events the drill has brought before.
    """

    def __init__(self, scenario: str, drill: str, policy: Policy, now: datetime, count: int = 0) -> None:
        self.policy, self.now = policy, now
        self.dice = Dice(0, f"{drill}/{count}")
        self.currency = policy.money.base
        self._scenario, self._drill, self._count = scenario, drill, count
        self._events: list[tuple[datetime, int, Event]] = []

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(event for _, _, event in sorted(self._events, key=lambda one: one[:2]))

    def named(self, name: str) -> str:
        return in_drill(name, self._drill)

    def moments(self, count: int, after: datetime | None = None) -> list[datetime]:
        """So many instants up to now, all on the bank's present day, and none before `after`."""
        midnight = self.policy.bank_calendar.day_window(self.policy.bank_calendar.day_of(self.now))[0]
        step = min(PACE, (self.now - max(midnight, after or midnight)) / count)
        return [self.now - step * left for left in reversed(range(count))]

    def days_before(self, count: int) -> list[datetime]:
        """Late in the morning of the working days before today, oldest first."""
        calendar = self.policy.bank_calendar
        days = earlier(calendar, calendar.day_of(self.now), count)
        return [Clock(calendar).at(day, 120) for day in days]

    def transact(self, at: datetime, customer: str, amount: Decimal, **fields: Any) -> str:
        """A transaction of a person at the branch, with all its controls; its id."""
        values: dict[str, Any] = {
            "event_id": self._next(),
            "event_time": at,
            "customer_id": self.named(customer),
            "customer_kind": "person",
            "account_id": self.named(f"A-{customer}"),
            "direction": "out",
            "amount": amount,
            "currency": self.currency,
            "method": "transfer",
            "channel": "counter",
            "branch_id": self.named(BRANCH),
            "teller_id": self.named(CLERK),
            "controls": Controls(identity_verified=True, approved_by=(self.named("M1"),)),
        }
        event = Transaction(**values | fields)
        self._add(at, event)
        return event.event_id

    def stranger(self, country: str | None = None) -> Counterparty:
        return outsider(self.dice, person_name(self.dice), country)

    def report(
        self,
        at: datetime,
        kind: ReportKind,
        narrative: str,
        customer: str | None = None,
        transaction_ids: tuple[str, ...] = (),
    ) -> None:
        """The teller reports something, on a customer or on the branch."""
        event = PostReport(
            report_id=self._next(),
            event_time=at,
            reporter=Reporter(employee_id=self.named(CLERK), post="teller", branch_id=self.named(BRANCH)),
            kind=kind,
            narrative=narrative,
            customer_id=self.named(customer) if customer is not None else None,
            transaction_ids=transaction_ids,
        )
        self._add(at, event)

    def lend(self, at: datetime, kind: str, industry: Industry, amount: Decimal | None, **fields: Any) -> None:
        """A step of a new loan to a firm of the industry, in the drill's own book."""
        number = self._count + 1
        values: dict[str, Any] = {
            "event_id": self._next(),
            "event_time": at,
            "entity": self.named(BANK),
            "loan_id": self.named(f"L{number:03d}"),
            "borrower_id": self.named(f"E-{industry.section}"),
            "kind": kind,
            "industry": industry.code(self.policy.detectors.industry_concentration.scheme),
            "amount": amount,
            "currency": self.currency,
            "branch_id": self.named(BRANCH),
        }
        self._add(at, LoanEvent(**values | fields))

    def _next(self) -> str:
        self._count += 1
        return self.named(f"{self._scenario}~{self._count:04d}")

    def _add(self, at: datetime, event: Event) -> None:
        self._events.append((at, self._count, event))


def linked_teller_and_machine(cast: Cast) -> None:
    """As many large transfers as are frequent, each to somebody new, in a high-risk country if the policy names any;
    the teller who saw them reports it."""
    rule, large = cast.policy.detectors.frequent_large_transfers, cast.policy.detectors.large_transaction
    risky = [one for one in cast.policy.counterparties.high_risk_countries if one != home_of(cast.policy)]
    country = cast.dice.pick(risky) if risky else None
    amounts = large.person_cross_border if country else large.person_domestic
    amount = money(float(amounts.amounts[cast.currency]) * max(NEAR, float(rule.large_from.value)), cast.currency)
    ids = [
        cast.transact(at, "C1", amount, counterparty=cast.stranger(country), cross_border=country is not None)
        for at in cast.moments(rule.a_day.whole)
    ]
    narrative = "客户由陌生人陪同，频繁向陌生账户转账，说不清款项用途"
    cast.report(cast.now, "abnormal_transaction", narrative, "C1", tuple(ids))


def structuring_ring(cast: Cast) -> None:
    """Three people pay cash in, each time just below what must be reported, on one working day after another."""
    rule, cash = cast.policy.detectors.structuring, cast.policy.detectors.large_transaction.cash
    amount = money(float(cash.amounts[cast.currency]) * max(NEAR, float(rule.near_from.value)), cast.currency)
    before = cast.days_before(max(rule.at_least.whole, 2) - 1)
    for person in RING:
        for at in (*before, cast.now):
            cast.transact(at, person, amount, direction="in", method="cash")


def industry_too_large(cast: Cast) -> None:
    """A small book, even over all other industries, and then real estate past the level of control.

    The book is judged from a number of loans on: the last loan makes it so large, and real estate its largest part.
    """
    rule = cast.policy.detectors.industry_concentration
    others = [one for one in INDUSTRIES if one is not REAL_ESTATE]
    rounds = max(1, (rule.minimum_loans.whole - 1) // len(others))
    even = others * rounds
    scale = float(cast.policy.detectors.large_transaction.person_domestic.amounts[cast.currency])
    each = max(scale * 4, 3 * float(rule.minimum_book.value) / len(even))
    control = float(rule.share.control.value)
    target = min(control + 0.03, (1 + control) / 2)
    fresh = max(3, rule.minimum_loans.whole - len(even))
    amount = money(each * len(even) * target / (1 - target) / fresh, cast.currency)
    moments = iter(cast.moments(len(even) + fresh))
    for industry in even:
        cast.lend(next(moments), "disbursed", industry, money(each, cast.currency), classification="normal")
    for at in moments:
        cast.lend(at, "disbursed", REAL_ESTATE, amount, classification="normal")


def reviewed_and_approved(cast: Cast, loans: Sequence[LoanEvent]) -> None:
    """The industry's loans are looked through one by one and one of them is put into a worse class; and somebody
    approves yet another loan in it."""
    borrower = cast.named(f"E-{REAL_ESTATE.section}")
    granted = [one for one in loans if one.kind == "disbursed" and one.borrower_id == borrower]
    if not granted:
        return
    *moments, last = cast.moments(len(granted) + 1, max(one.event_time for one in loans))
    for at, one in zip(moments, granted, strict=True):
        cast.lend(at, "reviewed", REAL_ESTATE, None, loan_id=one.loan_id)
    worse = granted[0].loan_id
    cast.lend(last, "reclassified", REAL_ESTATE, None, loan_id=worse, classification="special_mention")
    cast.lend(last, "approved", REAL_ESTATE, granted[-1].amount, approver_id=cast.named("CR1"))


def system_fault(cast: Cast) -> None:
    """A branch reports that its systems are down."""
    cast.report(cast.now, "system_fault", "柜面系统无响应，全网点无法办理业务")


DRILLS: dict[str, Scenario] = {
    one.name: one
    for one in (
        Scenario(
            name="linked_teller_and_machine",
            zh="柜员所见与机器所见相互印证：运营部与风险部须同案联动",
            en="What a teller sees and what the machine sees bear each other out: operations and risk act on one case",
            act=linked_teller_and_machine,
            sees=(("frequent_large_transfers", "customer:C1"), ("teller_report", "customer:C1")),
        ),
        Scenario(
            name="industry_too_large",
            zh="行业占比过高：信贷部须暂停审批、排查存量并缓释风险",
            en="An industry takes up too much of the book: credit suspends approvals, reviews loans and mitigates",
            act=industry_too_large,
            sees=(("industry_concentration", f"industry:{BANK}:{{member}}"),),
            then=reviewed_and_approved,
            then_zh="该行业贷款逐笔排查、一笔下调分类；另有一笔新贷款获批——若已暂停审批，即为违反",
            then_en="its loans are reviewed one by one, one is reclassified, and one more is approved: "
            "a breach where approvals are suspended",
        ),
        Scenario(
            name="system_fault",
            zh="网点系统故障：科技部须及时响应并恢复服务",
            en="A branch's systems are down: IT responds and restores the service in time",
            act=system_fault,
            sees=(("system_fault", f"branch:{BRANCH}"),),
        ),
        Scenario(
            name="structuring_ring",
            zh="团伙化整为零：多名客户的临界金额现金存款须逐案核查",
            en="A ring pays cash in just below what must be reported: operations looks into each of several cases",
            act=structuring_ring,
            sees=tuple(("structuring", f"customer:{one}") for one in RING),
        ),
    )
}


def check_name(drill: str) -> None:
    """Check what a drill is to be called.

    Raises:
        ValueError: it could not stand in an id, or not be told from the rest of it.
    """
    if not _NAME.fullmatch(drill):
        raise ValueError(f"{drill!r} is no name for a drill: letters, digits, dots, dashes and underscores, 40 at most")


def play(scenario: Scenario, drill: str, policy: Policy, now: datetime) -> tuple[Event, ...]:
    """The scenario's events, oldest first; the last of them at `now`, or a moment before it.

    Args:
        policy: in force now.

    Raises:
        ValueError: `check_name`.
    """
    check_name(drill)
    cast = Cast(scenario.name, drill, policy, now)
    scenario.act(cast)
    return cast.events


def follow_up(
    scenario: Scenario, drill: str, policy: Policy, now: datetime, loans: Iterable[LoanEvent]
) -> tuple[Event, ...]:
    """What follows on a scenario that was played; empty where nothing does.

    Args:
        loans: all loan events of the drill so far.
    """
    played = tuple(loans)
    cast = Cast(scenario.name, drill, policy, now, len(played))
    if scenario.then is not None:
        scenario.then(cast, played)
    return cast.events


def expected(scenario: Scenario, drill: str, policy: Policy) -> tuple[Expected, ...]:
    """The warnings that must come by a policy: those of its live rules."""
    code = REAL_ESTATE.code(policy.detectors.industry_concentration.scheme)
    member = industry_member(code, policy.detectors.industry_concentration.scheme)
    found = []
    for detector, subject in scenario.sees:
        rule: Rule = getattr(policy.detectors, detector)
        kind, _, name = subject.format(member=member).partition(":")
        if rule.mode == "live":
            found.append(expectation(detector, f"{kind}:{in_drill(name, drill)}", rule))
    return tuple(found)


def expectation(detector: str, subject: str, rule: Rule) -> Expected:
    """A warning of a rule, with whom it asks for what."""
    return Expected(detector=detector, subject=subject, departments=rule.departments, measures=rule.measures)


def scenario_of(event_id: str) -> str | None:
    """The scenario that an event of a drill belongs to; None for other events.

    >>> scenario_of("drill~spring~system_fault~0001")
    'system_fault'
    """
    drill = drill_of(event_id)
    if drill is None:
        return None
    name = event_id.removeprefix(in_drill("", drill)).partition("~")[0]
    return name if name in DRILLS else None
