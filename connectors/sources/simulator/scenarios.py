"""What is planted among the ordinary traffic, with a label for each: made from the policy's own figures, so that a
stricter policy is tried just as hard."""

from collections.abc import Callable
from datetime import date, timedelta

from connectors.sources.simulator.agenda import HOUR, SECOND, Agenda, Plan
from connectors.sources.simulator.bank import REAL_ESTATE, Bank, Customer, Person, home_of, outsider, person_name
from connectors.sources.simulator.dice import Dice, money
from connectors.sources.simulator.lending import Lending
from models.policy import Amounts

# One of each for so many customers: rare enough that they stay the exception.
CUSTOMERS_A_SCENARIO = 400


class Planter:
    """Plants scenarios on customers of their own, inside the given working days."""

    def __init__(self, bank: Bank, seed: int, agenda: Agenda, lending: Lending, days: list[date]) -> None:
        self._bank = bank
        self._dice = Dice(seed, "scenarios")
        self._agenda = agenda
        self._lending = lending
        self._days = days
        self._policy = bank.policy
        self._rule = bank.policy.detectors.large_transaction
        self._frequent = bank.policy.detectors.frequent_large_transfers
        self._persons = self._dice.sample(bank.persons, len(bank.persons))
        self.plans: list[Plan] = []

    def plant(self, names: tuple[str, ...]) -> None:
        """Plan each scenario named; one for which the days do not suffice is left out."""
        for name in names:
            for _ in range(max(1, (len(self._bank.persons) + len(self._bank.firms)) // CUSTOMERS_A_SCENARIO)):
                if self._persons:
                    SCENARIOS[name](self, name)

    # ------------------------------------------------------------------ tools

    def _stretch(self, length: int) -> list[date]:
        """`length` working days in a row at a chance place, or none when there are not so many."""
        room = len(self._days) - length
        if room < 0:
            return []
        first = self._dice.between(0, room)
        return self._days[first : first + length]

    def _person(self, name: str) -> tuple[Person, Plan]:
        person = self._persons.pop()
        return person, self._open(name, f"customer:{person.id}")

    def _open(self, name: str, subject: str) -> Plan:
        plan = Plan(name, subject)
        self.plans.append(plan)
        return plan

    def _transfer(
        self,
        day: date,
        ms: int,
        customer: Customer,
        direction: str,
        share: tuple[float, float],
        amounts: Amounts,
        plan: Plan,
        country: str | None = None,
    ) -> None:
        """A transfer with somebody new, of a share of the reporting threshold."""
        currency = self._bank.currency
        amount = money(float(amounts.amounts[currency]) * self._dice.uniform(*share), currency)
        other = outsider(self._dice, person_name(self._dice), country)
        self._agenda.transaction(day, ms, customer, direction, amount, currency, "mobile", other=other, plan=plan)

    def _large(self, factor: float = 1.0) -> tuple[float, float]:
        """From just above what is large; twice the share in all at most."""
        low = float(self._frequent.large_from.value) * factor
        return low * 1.02, low * 1.6

    def _burst(self, day: date, customer: Customer, count: int, plan: Plan, country: str | None = None) -> int:
        """Large transfers out within the bank's hours of one day; gives the time of the last."""
        amounts = self._rule.person_cross_border if country else self._rule.person_domestic
        start, step = self._agenda.opens + HOUR // 2, (self._agenda.closes - self._agenda.opens - 2 * HOUR) // count
        ms = start
        for number in range(count):
            ms = start + number * step + self._dice.between(0, step // 2)
            self._transfer(day, ms, customer, "out", self._large(), amounts, plan, country)
        return ms

    # -------------------------------------------------------------- scenarios

    def same_day(self, name: str) -> None:
        """At least `a_day` large transfers to strangers on one working day."""
        for day in self._stretch(1):
            person, plan = self._person(name)
            self._burst(day, person, self._frequent.a_day.whole + self._dice.between(0, 2), plan)

    def consecutive_days(self, name: str) -> None:
        """One large transfer on each of `consecutive_days` working days in a row."""
        if days := self._stretch(self._frequent.consecutive_days.whole):
            person, plan = self._person(name)
            for day in days:
                ms = self._agenda.working_ms(self._dice)
                self._transfer(day, ms, person, "out", self._large(), self._rule.person_domestic, plan)

    def suspicious_payees(self, name: str) -> None:
        """As `same_day`, to many payees in a country that the policy calls high-risk, if it names any."""
        for day in self._stretch(1):
            person, plan = self._person(name)
            risky = [one for one in self._policy.counterparties.high_risk_countries if one != home_of(self._policy)]
            count = max(self._frequent.a_day.whole, self._frequent.many_payees.whole)
            self._burst(day, person, count, plan, self._dice.pick(risky) if risky else None)

    def teller_report(self, name: str) -> None:
        """As `same_day`, and the teller who saw it reports it within the hour."""
        for day in self._stretch(1):
            person, plan = self._person(name)
            last = self._burst(day, person, self._frequent.a_day.whole, plan)
            self._agenda.report(
                day,
                last + self._dice.between(600 * SECOND, HOUR // 2),
                person.branch,
                "abnormal_transaction",
                "客户神情紧张，频繁向陌生账户转账，无法说明用途",
                plan,
                customer_id=person.id,
            )

    def large_transaction(self, name: str) -> None:
        """Cash above the reporting threshold, in one sum or in two halves on one day."""
        for day in self._stretch(1):
            person, plan = self._person(name)
            parts = self._dice.between(1, 2)
            for _ in range(parts):
                self._cash(day, person, self._dice.uniform(1.05, 1.5) / parts, plan)

    def structuring(self, name: str) -> None:
        """Cash just below the reporting threshold, day after day."""
        if days := self._stretch(self._dice.between(4, 6)):
            person, plan = self._person(name)
            for day in days:
                self._cash(day, person, self._dice.uniform(0.85, 0.99), plan)

    def scatter_gather(self, name: str) -> None:
        """Many pay in on one day; nearly all of it leaves to two the next."""
        if days := self._stretch(2):
            person, plan = self._person(name)
            payers = self._dice.between(10, 16)
            for _ in range(payers):
                ms = self._agenda.working_ms(self._dice)
                self._transfer(days[0], ms, person, "in", (0.04, 0.045), self._rule.person_domestic, plan)
            for _ in range(2):
                share = 0.0425 * payers * 0.47
                ms = self._agenda.working_ms(self._dice)
                self._transfer(days[1], ms, person, "out", (share, share), self._rule.person_domestic, plan)

    def dormant_reactivation(self, name: str) -> None:
        """Nothing for over a year, then money in and straight out again.

        The one old booking that shows the account is old lies before the simulation's first day.
        """
        for day in self._stretch(1):
            person, plan = self._person(name)
            person.dormant = True
            before = self._policy.bank_calendar.previous_working_day(self._days[0] - timedelta(days=400))
            amount = money(200 * self._bank.scale, self._bank.currency)
            ms = self._agenda.working_ms(self._dice)
            self._agenda.transaction(
                before, ms, person, "out", amount, self._bank.currency, "pos", other=person.partners[0]
            )
            for direction, ms in (("in", self._agenda.opens + HOUR), ("out", self._agenda.opens + 3 * HOUR)):
                self._transfer(day, ms, person, direction, (1.1, 1.4), self._rule.person_domestic, plan)

    def industry_drift(self, name: str) -> None:
        """The first entity lends to real estate until it is past the control level of its book."""
        days = self._days[len(self._days) // 3 :][:12]
        if len(days) < 3 or any(plan.scenario == name for plan in self.plans):
            return
        rule = self._policy.detectors.industry_concentration
        entity = self._bank.entities[0]
        plan = self._open(name, f"industry:{entity}:{REAL_ESTATE.member(rule.scheme)}")
        # Other loans come meanwhile and dilute: aim well above the level.
        needed = self._lending.needed(entity, REAL_ESTATE, float(rule.share.control.value) + 0.05)
        firms = self._lending.borrowers(entity, REAL_ESTATE)
        for number, day in enumerate(days):
            self._lending.lend(firms[number % len(firms)], needed / len(days), day, plan)

    def _cash(self, day: date, person: Person, share: float, plan: Plan) -> None:
        currency = self._bank.currency
        self._agenda.transaction(
            day,
            self._agenda.working_ms(self._dice),
            person,
            "in",
            money(float(self._rule.cash.amounts[currency]) * share, currency),
            currency,
            "counter",
            method="cash",
            plan=plan,
        )


SCENARIOS: dict[str, Callable[[Planter, str], None]] = {
    "frequent_same_day": Planter.same_day,
    "frequent_consecutive_days": Planter.consecutive_days,
    "suspicious_payees": Planter.suspicious_payees,
    "teller_report": Planter.teller_report,
    "large_transaction": Planter.large_transaction,
    "structuring": Planter.structuring,
    "scatter_gather": Planter.scatter_gather,
    "dormant_reactivation": Planter.dormant_reactivation,
    "industry_drift": Planter.industry_drift,
}
