"""A day of ordinary business: wages, rents, shopping, cash, suppliers, dealings abroad, the bank's own entries."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from connectors.sources.simulator.agenda import HOUR, SECOND, Agenda
from connectors.sources.simulator.bank import Bank, Customer, Firm, country_of, outsider
from connectors.sources.simulator.dice import Dice, money
from models.events import Counterparty

# Over a long run, everything together: tells how many customers bring so many transactions.
TRANSACTIONS_A_CUSTOMER_DAY = 1.0


class Traffic:
    """Plans each day's ordinary transactions; nothing here is meant to look odd."""

    def __init__(self, bank: Bank, seed: int, agenda: Agenda) -> None:
        self._bank = bank
        self._dice = Dice(seed, "traffic")
        self._agenda = agenda
        self._calendar = bank.policy.bank_calendar
        self._active = [one for one in bank.persons if not one.dormant]
        self._abroad = [one for one in (*self._active, *bank.firms) if one.foreign]

    def plan(self, day: date) -> None:
        """Plan one day: shops are open every day, the bank's counters and firms on working days."""
        working = self._calendar.is_working_day(day)
        self._rents(day)
        self._shopping(day)
        self._cash(day, working=working)
        if working:
            self._paydays(day)
            self._suppliers(day)
            self._dealings_abroad(day)
            self._complaints(day)
        if (day + timedelta(days=1)).day == 1:
            self._entries_of_the_bank(day)

    def _amount(self, value: float) -> Decimal:
        return money(value * self._bank.scale, self._bank.currency)

    def _rents(self, day: date) -> None:
        for person in self._active:
            if person.rent_day == day.day and person.landlord is not None:
                amount = money(person.rent, self._bank.currency)
                ms = 8 * HOUR + self._dice.between(0, HOUR)
                self._agenda.transaction(
                    day, ms, person, "out", amount, self._bank.currency, "mobile", other=person.landlord, purpose="rent"
                )

    def _shopping(self, day: date) -> None:
        dice = self._dice
        for _ in range(dice.count(len(self._active) * (0.9 if day.weekday() > 4 else 0.65))):
            person = dice.pick(self._active)
            ms = dice.between(8 * HOUR, 21 * HOUR + 1800 * SECOND)
            amount = self._amount(dice.lognormal(90, 0.9))
            channel = "pos" if dice.chance(0.6) else "online"
            self._agenda.transaction(
                day, ms, person, "out", amount, self._bank.currency, channel, other=dice.pick(person.partners)
            )

    def _cash(self, day: date, *, working: bool) -> None:
        dice = self._dice
        for _ in range(dice.count(len(self._active) * 0.04)):
            ms = dice.between(7 * HOUR, 22 * HOUR)
            amount = self._amount(100 * dice.between(2, 30))
            self._agenda.transaction(
                day, ms, dice.pick(self._active), "out", amount, self._bank.currency, "atm", method="cash"
            )
        if not working:
            return
        for _ in range(dice.count(len(self._active) * 0.01 + len(self._bank.firms) * 0.1)):
            customer: Customer = dice.pick(self._bank.firms) if dice.chance(0.6) else dice.pick(self._active)
            amount = self._amount(min(dice.lognormal(5_000, 0.7), 40_000))
            direction = "in" if customer.kind == "entity" or dice.chance(0.5) else "out"
            ms = self._agenda.working_ms(dice)
            self._agenda.transaction(
                day, ms, customer, direction, amount, self._bank.currency, "counter", method="cash"
            )

    def _paydays(self, day: date) -> None:
        """Wages go out on the last working day of the month, or up to two before it: one booking a person each side."""
        ahead, left = day, 0
        while left <= 2:
            ahead = self._calendar.next_working_day(ahead)
            if ahead.month != day.month:
                break
            left += 1
        else:
            return
        for firm in self._bank.firms:
            if firm.payday != left:
                continue
            ms = self._agenda.opens + self._dice.between(600 * SECOND, HOUR)
            for person in firm.staff:
                amount = money(person.salary, self._bank.currency)
                self._both_sides(day, ms, firm, person, amount, "salary")

    def _both_sides(self, day: date, ms: int, payer: Firm, payee: Customer, amount: Decimal, purpose: str) -> None:
        currency = self._bank.currency
        for customer, direction, other in ((payer, "out", payee), (payee, "in", payer)):
            self._agenda.transaction(
                day, ms, customer, direction, amount, currency, "online", other=other.seen_by_others, purpose=purpose
            )
            ms += 2 * SECOND

    def _suppliers(self, day: date) -> None:
        dice = self._dice
        for _ in range(dice.count(len(self._bank.firms) * 1.5)):
            firm = dice.pick(self._bank.firms)
            ms = self._agenda.working_ms(dice)
            amount = self._amount(dice.lognormal(60_000, 1.2))
            if dice.chance(0.35):
                self._agenda.transaction(
                    day, ms, firm, "in", amount, self._bank.currency, "online", other=dice.pick(firm.partners)
                )
                continue
            supplier = dice.pick(firm.suppliers)
            if isinstance(supplier, Counterparty):
                self._agenda.transaction(
                    day, ms, firm, "out", amount, self._bank.currency, "online", other=supplier, purpose="goods"
                )
            else:
                self._both_sides(day, ms, firm, supplier, amount, "goods")

    def _dealings_abroad(self, day: date) -> None:
        dice = self._dice
        for customer in self._abroad:
            if not dice.chance(0.12) or customer.foreign is None:
                continue
            rate = float(self._bank.policy.rates[customer.foreign])
            firm = customer.kind == "entity"
            value = dice.lognormal(80_000 if firm else 2_000, 0.6) * self._bank.scale / rate
            other = outsider(dice, "Overseas partner", country_of(customer.foreign))
            if firm:
                # A firm has one buyer abroad, not a stranger each time.
                buyer = f"Buyer of {customer.id}"
                other = Counterparty(account_id=f"X-{customer.id}", name=buyer, country=other.country)
            self._agenda.transaction(
                day,
                self._agenda.working_ms(dice),
                customer,
                "in" if firm else "out",
                money(value, customer.foreign),
                customer.foreign,
                "online",
                other=other,
                cross_border=True,
            )

    def _complaints(self, day: date) -> None:
        """Reports that are no signal of risk: most of what posts have to say."""
        for branch in self._bank.branches:
            if self._dice.chance(0.03):
                kind, narrative = self._dice.pick(
                    (("complaint", "排队时间过长"), ("referral", "客户咨询理财产品"), ("system_fault", "打印机故障"))
                )
                more: dict[str, Any] = (
                    {} if kind == "system_fault" else {"customer_id": self._dice.pick(self._active).id}
                )
                self._agenda.report(day, self._agenda.working_ms(self._dice), branch, kind, narrative, **more)

    def _entries_of_the_bank(self, day: date) -> None:
        """Interest for everybody and an account fee for firms, late on the month's last day."""
        for customer in (*self._bank.persons, *self._bank.firms):
            amount = self._amount(self._dice.lognormal(12, 0.8))
            ms = 23 * HOUR + self._dice.between(0, 1800 * SECOND)
            self._agenda.transaction(
                day, ms, customer, "in", amount, self._bank.currency, "system", origin="bank", purpose="interest"
            )
            if customer.kind == "entity":
                self._agenda.transaction(
                    day,
                    ms + SECOND,
                    customer,
                    "out",
                    self._amount(50),
                    self._bank.currency,
                    "system",
                    origin="bank",
                    purpose="account_fee",
                )
