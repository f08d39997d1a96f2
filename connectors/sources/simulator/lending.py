"""The loan books of a simulated bank: what stands at the start, and how loans come and go."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from connectors.sources.simulator.agenda import HOUR, Agenda, Plan
from connectors.sources.simulator.bank import INDUSTRIES, Bank, Firm, Industry
from connectors.sources.simulator.dice import Dice, money
from models.events import CapitalPosition, LoanEvent

APPROVED_SHARE = 0.85
# Net capital against the opening book. The book is a small part of a bank's, the capital is the whole bank's: no
# industry comes near it, and no borrower makes a large exposure by itself.
CAPITAL_TO_BOOK = 20.0


class Lending:
    """Plans loan events: an even opening book before the first day, then applications in turn by industry."""

    def __init__(self, bank: Bank, seed: int, agenda: Agenda) -> None:
        self._bank = bank
        self._dice = Dice(seed, "lending")
        self._agenda = agenda
        self._calendar = bank.policy.bank_calendar
        rule = bank.policy.detectors.industry_concentration
        self._scheme = rule.scheme
        self._loans = 0
        self._turn = 0
        self._minimum_loans = rule.minimum_loans.whole
        self._unit = max(1_000_000 * bank.scale, 4 * float(rule.minimum_book.value) / max(1, self._minimum_loans))
        self._borrowers = {
            (entity, industry): [one for one in bank.firms if one.entity == entity and one.industry is industry]
            for entity in bank.entities
            for industry in INDUSTRIES
        }
        self.book = {key: 0.0 for key in self._borrowers}

    def open(self, start: date) -> None:
        """Plan the opening books and capital, over the working days of six weeks before `start`."""
        days = [self._calendar.add_working_days(start - timedelta(days=60), count) for count in range(1, 25)]
        loans = max(self._minimum_loans + len(INDUSTRIES), 2 * len(self._bank.firms) // len(self._bank.entities))
        rounds = 1 + loans // len(INDUSTRIES)
        for entity in self._bank.entities:
            # Industry by industry in rounds: at no time is the young book lopsided.
            for number in range(rounds * len(INDUSTRIES)):
                industry = INDUSTRIES[number % len(INDUSTRIES)]
                firms = self._borrowers[entity, industry]
                day = days[2 + number * (len(days) - 2) // (rounds * len(INDUSTRIES))]
                self.lend(
                    firms[number // len(INDUSTRIES) % len(firms)], self._dice.uniform(0.85, 1.15) * self._unit, day
                )
            capital = CAPITAL_TO_BOOK * self._total(entity)
            self._capital(days[0], entity, capital)
            self._capital(start, entity, capital * 1.02)

    def plan(self, day: date) -> None:
        """Plan what is applied for on a working day, and everything that follows from it."""
        if not self._calendar.is_working_day(day):
            return
        for _ in range(self._dice.count(len(self._bank.firms) * 0.02)):
            self._turn += 1
            entity = self._bank.entities[self._turn // len(INDUSTRIES) % len(self._bank.entities)]
            firm = self._dice.pick(self._borrowers[entity, INDUSTRIES[self._turn % len(INDUSTRIES)]])
            amount = self._dice.uniform(0.2, 0.6) * self._unit
            if self._dice.chance(APPROVED_SHARE):
                self.lend(firm, amount, self._calendar.add_working_days(day, self._dice.between(3, 5)))
            else:
                self._loans += 1
                self._add(day, self._ms(), firm, f"L{self._loans:06d}", "applied", money(amount, self._bank.currency))

    def lend(self, firm: Firm, amount: float, disbursed: date, plan: Plan | None = None) -> None:
        """Plan one loan's life around the day its money goes out. With a plan, that event belongs to it."""
        self._loans += 1
        loan, exact = f"L{self._loans:06d}", money(amount, self._bank.currency)
        approved = self._calendar.previous_working_day(disbursed)
        applied = self._calendar.previous_working_day(approved)
        self._add(applied, self._ms(), firm, loan, "applied", exact)
        self._add(approved, self._ms(), firm, loan, "approved", exact, approver_id="CR-APPROVER-1")
        self._add(disbursed, self._ms(), firm, loan, "disbursed", exact, plan=plan, classification="normal")
        self.book[firm.entity, firm.industry] += amount
        self._repayment(firm, loan, exact, disbursed)

    def needed(self, entity: str, industry: Industry, share: float) -> float:
        """How much more lent to an industry brings it to this share of the entity's book."""
        have, total = self.book[entity, industry], self._total(entity)
        return max(0.0, (share * total - have) / (1 - share))

    def borrowers(self, entity: str, industry: Industry) -> list[Firm]:
        return self._borrowers[entity, industry]

    def _repayment(self, firm: Firm, loan: str, amount: Decimal, since: date) -> None:
        """Instalments at even spaces to the very last cent; one loan in fifty stops paying on the way."""
        parts = self._dice.pick((1, 2, 4, 12))
        term = self._dice.between(240, 720)
        each = money(float(amount) / parts, self._bank.currency)
        stops = self._dice.between(0, parts - 1) if self._dice.chance(0.02) else parts
        for number in range(1, parts + 1):
            due = since + timedelta(days=term * number // parts)
            day = self._calendar.next_working_day(due)
            if number > stops:
                self._add(day, self._ms(), firm, loan, "overdue", None, days_past_due=(day - due).days)
                late = self._calendar.next_working_day(day + timedelta(days=30))
                self._add(
                    late,
                    self._ms(),
                    firm,
                    loan,
                    "reclassified",
                    None,
                    classification="special_mention",
                    days_past_due=(late - due).days,
                )
                return
            part = each if number < parts else amount - each * (parts - 1)
            self._add(day, self._ms(), firm, loan, "repaid", part)

    def _add(
        self,
        day: date,
        ms: int,
        firm: Firm,
        loan: str,
        kind: str,
        amount: Decimal | None,
        plan: Plan | None = None,
        **more: Any,
    ) -> None:
        fields = {
            "entity": firm.entity,
            "loan_id": loan,
            "borrower_id": firm.id,
            "kind": kind,
            "industry": firm.industry.code(self._scheme),
            "currency": self._bank.currency,
            "branch_id": firm.branch.id,
            **more,
        }
        if amount is not None:
            fields["amount"] = amount
        self._agenda.add(day, ms, LoanEvent, fields, plan)

    def _capital(self, day: date, entity: str, amount: float) -> None:
        currency = self._bank.currency
        fields = {
            "entity": entity,
            "as_of": day,
            "net_capital": money(amount, currency),
            "tier1_capital": money(amount * 0.8, currency),
            "currency": currency,
        }
        self._agenda.add(day, 0, CapitalPosition, fields)

    def _total(self, entity: str) -> float:
        return sum(amount for (one, _), amount in self.book.items() if one == entity)

    def _ms(self) -> int:
        return self._dice.between(self._agenda.opens + HOUR // 4, self._agenda.closes - HOUR // 4)
