"""`simulate`: a seeded bank's days as one stream of events in event-time order, with labels for what was planted."""

import difflib
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec

from connectors.sources.simulator.agenda import Agenda, Event, Label, Plan
from connectors.sources.simulator.bank import MINIMUM_CUSTOMERS, home_of, make_bank
from connectors.sources.simulator.lending import Lending
from connectors.sources.simulator.scenarios import SCENARIOS, Planter
from connectors.sources.simulator.traffic import TRANSACTIONS_A_CUSTOMER_DAY, Traffic
from models.events import Transaction
from models.policy import Policy
from models.risk_warning import Window


class Simulation:
    """An iterable of events. Each iteration gives the same ones; `labels` tells what the last one has planted so far.

    Args:
        seed: one number, one bank: same seed, same bytes.
        customers: how many, at least `MINIMUM_CUSTOMERS`.
        days: calendar days from `start` on. What must have happened before (the opening loan books, an old booking
            on dormant accounts) comes first, dated before `start`.
        policy: gives calendar, currencies and the thresholds that the scenarios are made to pass.
        transactions: end with exactly this many transactions, after `days` or later.
        scenarios: names out of `SCENARIOS`.

    Raises:
        ValueError: too few customers or days, or a scenario nobody knows.
    """

    def __init__(
        self,
        seed: int,
        customers: int,
        days: int,
        start: date,
        policy: Policy,
        transactions: int | None = None,
        scenarios: Iterable[str] = tuple(SCENARIOS),
    ) -> None:
        self._scenarios = tuple(scenarios)
        for name in self._scenarios:
            if name not in SCENARIOS:
                close = difflib.get_close_matches(name, SCENARIOS, n=1)
                hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(SCENARIOS)}"
                raise ValueError(f"no scenario {name!r}: {hint}")
        if customers < MINIMUM_CUSTOMERS:
            raise ValueError(f"a simulated bank needs at least {MINIMUM_CUSTOMERS} customers, not {customers}")
        if days < 1 or (transactions is not None and transactions < 1):
            raise ValueError("days and transactions must be at least 1")
        self.seed, self.customers, self.days, self.start, self.policy = seed, customers, days, start, policy
        self.transactions = transactions
        self._plans: list[Plan] = []

    def __iter__(self) -> Iterator[Event]:
        calendar = self.policy.bank_calendar
        bank = make_bank(self.seed, self.customers, self.policy)
        agenda = Agenda(f"sim-{self.seed}", calendar, home_of(self.policy))
        lending = Lending(bank, self.seed, agenda)
        lending.open(self.start)
        # The last sixth is left free, so that what is planted has ended when the stream does.
        span = (self.start + timedelta(days=number) for number in range(max(1, self.days * 5 // 6)))
        planter = Planter(bank, self.seed, agenda, lending, [day for day in span if calendar.is_working_day(day)])
        planter.plant(self._scenarios)
        self._plans = planter.plans
        traffic = Traffic(bank, self.seed, agenda)
        left = self.transactions
        for day in self._calendar_days(agenda):
            if day >= self.start:
                traffic.plan(day)
                lending.plan(day)
            for event, _ in agenda.play(day):
                yield event
                if left is not None and isinstance(event, Transaction):
                    left -= 1
                    if left == 0:
                        return

    def _calendar_days(self, agenda: Agenda) -> Iterator[date]:
        yield from agenda.days_before(self.start)
        day = self.start
        while self.transactions is not None or day < self.start + timedelta(days=self.days):
            yield day
            day += timedelta(days=1)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The scenarios whose events have all come, in the order of their first event."""
        complete = sorted((plan for plan in self._plans if plan.complete), key=lambda one: (one.days[0], one.event_ids))
        window = self.policy.bank_calendar.day_window
        return tuple(
            Label(
                scenario=plan.scenario,
                subject=plan.subject,
                event_ids=tuple(plan.event_ids),
                window=Window(window(plan.days[0])[0], window(plan.days[-1])[1]),
            )
            for plan in complete
        )


def simulate(
    seed: int,
    customers: int,
    days: int,
    start: date,
    policy: Policy,
    transactions: int | None = None,
    scenarios: Iterable[str] = tuple(SCENARIOS),
) -> Simulation:
    """A simulated bank's events, merged in event-time order across transactions, reports, loans and capital.

    With `transactions`, the number of customers is made to fit so that about `days` bring that many, and the stream
    ends with the last of them; `customers` is then the least. Other arguments: see `Simulation`.

    >>> bank = simulate(7, 40, 1, date(2026, 3, 2), policy, scenarios=())  # doctest: +SKIP
    >>> next(iter(bank))  # doctest: +SKIP
    CapitalPosition(entity='LIANDONG-BANK', ...)
    """
    if transactions is not None:
        customers = max(customers, MINIMUM_CUSTOMERS, round(transactions / (days * TRANSACTIONS_A_CUSTOMER_DAY)))
    return Simulation(seed, customers, days, start, policy, transactions, scenarios)


def write_labels(labels: Iterable[Label], path: Path) -> None:
    """Write labels as JSON lines."""
    path.write_bytes(b"".join(msgspec.json.encode(label) + b"\n" for label in labels))
