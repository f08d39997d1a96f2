"""The scripted day that `make demo ARGS=--once` plays: a customer, a teller, a loan book, and who answered in time."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import msgspec

from connectors.sources.simulator.answers import add_answers, add_breach_answers, expected_tasks
from connectors.sources.simulator.bank import INDUSTRIES, REAL_ESTATE, home_of
from connectors.sources.simulator.dice import Dice, money
from connectors.sources.simulator.expected import expected_warnings
from connectors.sources.simulator.lending import CAPITAL_TO_BOOK
from connectors.sources.simulator.script import Expectations, ExpectedRefusal, Script
from connectors.sources.simulator.stage_directions import (
    BRANCH,
    ENTITY,
    FIRMS,
    PERSONS,
    SUSPECT,
    TELLER,
    Clock,
    Notebook,
    earlier,
    minutes,
    shop,
    supplier,
)
from models.credit.industry import industry_member
from models.events import CapitalPosition, Counterparty, LoanEvent, LoanKind, PostReport, Reporter
from models.policy import LEVELS, Level, Policy

THE_DAY = date(2026, 3, 2)  # a Monday; the bank is open
HISTORY_DAYS = 10  # two working weeks
# When each level of the book is passed, in minutes of the day.
DRIFT: dict[Level, float] = {"observation": 20.0, "warning": 105.0, "control": 250.0}
LEVEL_NAMES_ZH: dict[Level, str] = {"observation": "观察", "warning": "预警", "control": "管控"}
BURST_BEGINS = 65.0
REPORTED_AT = 115.0


def scripted_day(policy: Policy, day: date = THE_DAY) -> Script:
    """The day as timed steps, oldest first: two working weeks of light history, the day, and the morning after.

    Every amount and deadline is computed from the policy, so that another bank's figures tell the same story.

    Raises:
        ValueError: the bank is closed on `day`.
    """
    if not policy.bank_calendar.is_working_day(day):
        raise ValueError(
            f"{day} is no working day of this bank; choose one, e.g. {policy.bank_calendar.next_working_day(day)}"
        )
    return _Day(policy, day).script()


class _Day:
    def __init__(self, policy: Policy, day: date) -> None:
        self.policy, self.day = policy, day
        self.clock = Clock(policy.bank_calendar)
        self.book = Notebook(policy, day)
        self.dice = Dice(20260302, "day")
        self.exposure: dict[str, Decimal] = {one.section: Decimal(0) for one in INDUSTRIES}
        self.loans = 0
        self.drifting: list[LoanEvent] = []  # paid out to the industry that the book drifts into
        self.duplicates: list[str] = []

    def script(self) -> Script:
        history = earlier(self.policy.bank_calendar, self.day, HISTORY_DAYS)
        self.capital_and_book(history)
        self.ordinary_history(history)
        self.ordinary_day()
        self.routine_filing()
        reported = self.transfers()
        self.report(reported)
        self.drift()
        self.dirt()
        industry_case = f"industry:{ENTITY}:{self.member}#1"
        warned_at = self.clock.at(self.day, DRIFT["observation"])
        suspended = add_answers(self.book, self.clock, self.day, industry_case, warned_at, self.drifting)
        add_breach_answers(self.book, industry_case, self.approve_all_the_same(suspended))
        return Script(
            day=self.day,
            steps=self.book.steps,
            expectations=Expectations(
                warnings=expected_warnings(self.policy, self.burst(), self.member),
                tasks=expected_tasks(industry_case),
                refused=(
                    ExpectedRefusal("transactions", FIRMS[2], "amount"),
                    ExpectedRefusal("actions", f"customer:{SUSPECT}", "actor.department"),
                    ExpectedRefusal("actions", f"industry:{ENTITY}:{self.member}", "actor.employee_id"),
                ),
                duplicates=tuple(self.duplicates),
            ),
        )

    # --------------------------------------------------------- before the day

    def capital_and_book(self, history: list[date]) -> None:
        """An even book over all industries, with capital that no industry and no borrower comes near."""
        rule = self.policy.detectors.industry_concentration
        rounds = 1 + max(1, rule.minimum_loans.whole // len(INDUSTRIES))
        count = rounds * len(INDUSTRIES)
        each = max(self.book.amount(2_000_000), money(3 * float(rule.minimum_book.value) / count, self.book.currency))
        net = money(CAPITAL_TO_BOOK * float(each) * count, self.book.currency)
        opening = self.policy.bank_calendar.previous_working_day(history[0])
        self.book.add(
            self.clock.at(opening, 0),
            CapitalPosition(
                entity=ENTITY, as_of=opening, net_capital=net, tier1_capital=net, currency=self.book.currency
            ),
            f"{ENTITY} reports its net capital",
            f"{ENTITY}报送资本净额",
        )
        for number in range(count):
            # Whole rounds of all industries, so that the young book is never lopsided.
            at = self.clock.at(history[number * len(history) // count], 30 + 7 * (number % len(INDUSTRIES)))
            self.lend(at, INDUSTRIES[number % len(INDUSTRIES)].section, each)

    def lend(self, at: datetime, section: str, amount: Decimal, note_en: str = "", note_zh: str = "") -> None:
        """Pay a new loan out; who gets it follows from the industry."""
        self.exposure[section] += amount
        event = self.loan_event(at, section, "disbursed", amount)
        if section == "K":
            self.drifting.append(event)
        self.book.add(at, event, note_en, note_zh)

    def apply_for(self, at: datetime, section: str, amount: Decimal) -> None:
        """An application: it moves no money, but shows that the loans before it are all there are."""
        event = self.loan_event(at, section, "applied", amount)
        self.book.add(at, event)

    def loan_event(self, at: datetime, section: str, kind: LoanKind, amount: Decimal) -> LoanEvent:
        self.loans += 1
        industry = next(one for one in INDUSTRIES if one.section == section)
        return LoanEvent(
            event_id=f"day-l{self.book.number():04d}",
            event_time=at,
            entity=ENTITY,
            loan_id=f"L-{3000 + self.loans}",
            borrower_id=f"E-{section}{self.loans % 3 + 1}",
            kind=kind,
            industry=industry.code(self.policy.detectors.industry_concentration.scheme),
            amount=amount,
            currency=self.book.currency,
            classification="normal" if kind == "disbursed" else None,
            branch_id=BRANCH,
        )

    def ordinary_history(self, history: list[date]) -> None:
        """Shopping, suppliers and wages; the one early booking makes the suspect a customer of long standing."""
        known = timedelta(days=self.policy.counterparties.new_after.whole)
        long_ago = self.policy.bank_calendar.previous_working_day(self.day - known)
        self.purchase(long_ago, 200, SUSPECT)
        for number, day in enumerate(history):
            for index, customer in enumerate((*PERSONS, SUSPECT)):
                if (number + index) % 3 == 0:
                    self.purchase(day, self.dice.uniform(20, 460), customer)
            self.supply(day, self.dice.uniform(30, 450), FIRMS[number % len(FIRMS)])
        for index, person in enumerate((*PERSONS, SUSPECT)):
            self.wage(history[-1], 40 + 3 * index, FIRMS[index % len(FIRMS)], person)

    def purchase(self, day: date, minute: float, customer: str) -> None:
        amount = self.book.amount(self.dice.lognormal(120, 0.7))
        other = shop(self.dice.between(0, 4))
        at = self.clock.at(day, minute)
        self.book.add(at, self.book.transaction(at, customer, "out", amount, counterparty=other, channel="pos"))

    def supply(self, day: date, minute: float, firm: str) -> None:
        amount = self.book.amount(self.dice.uniform(20_000, 90_000))
        other = supplier(self.dice.between(0, 2))
        at = self.clock.at(day, minute)
        self.book.add(at, self.book.transaction(at, firm, "out", amount, counterparty=other, purpose="goods"))

    def wage(self, day: date, minute: float, firm: str, person: str) -> None:
        amount, at = self.book.amount(self.dice.uniform(9_000, 16_000)), self.clock.at(day, minute)
        for customer, direction, other in ((firm, "out", person), (person, "in", firm)):
            side = Counterparty(account_id=f"A{other}", name=other, bank="LIANDONG")
            self.book.add(
                at, self.book.transaction(at, customer, direction, amount, counterparty=side, purpose="salary")
            )

    # -------------------------------------------------------------- the day

    def ordinary_day(self) -> None:
        for number in range(28):
            self.purchase(self.day, 6 + 16.5 * number, (*PERSONS, SUSPECT)[number % 7])
        for number in range(6):
            self.supply(self.day, 25 + 70 * number, FIRMS[number % len(FIRMS)])
        for number, person in enumerate(PERSONS[:3]):
            at = self.clock.at(self.day, 130 + 90 * number)
            amount = self.book.amount(2_000)
            self.book.add(at, self.book.transaction(at, person, "out", amount, method="cash", channel="atm"))
        foreign = self.policy.money.foreign
        if foreign != self.book.currency and foreign in self.policy.rates:
            at = self.clock.at(self.day, 190)
            threshold = self.policy.detectors.large_transaction.entity_transfer.amounts[foreign]
            buyer = Counterparty(account_id="X-77001", name="Overseas Trading Ltd", country="US")
            receipt = self.book.transaction(
                at,
                FIRMS[1],
                "in",
                money(float(threshold) * 0.1, foreign),
                currency=foreign,
                counterparty=buyer,
                cross_border=True,
            )
            self.book.add(
                at, receipt, f"{FIRMS[1]} is paid from abroad in {foreign}", f"{FIRMS[1]}收到境外{foreign}货款"
            )
        at = self.clock.at(self.day, 470)
        fee = self.book.transaction(
            at, FIRMS[0], "out", self.book.amount(50), origin="bank", purpose="account_fee", channel="system"
        )
        self.book.add(at, fee, "The bank books its own fee: no customer behaviour", "银行记收账户费：不属客户行为")

    def routine_filing(self) -> None:
        """One lawful payment above the reporting threshold."""
        at = self.clock.at(self.day, 118)
        threshold = self.policy.detectors.large_transaction.entity_transfer.amounts[self.book.currency]
        payment = self.book.transaction(
            at,
            FIRMS[0],
            "out",
            money(float(threshold) * 1.15, self.book.currency),
            counterparty=supplier(0),
            purpose="goods",
        )
        self.book.add(
            at,
            payment,
            f"{FIRMS[0]} pays a supplier more than the reporting threshold",
            f"{FIRMS[0]}向供应商支付超过大额报告标准的货款",
        )

    def transfers(self) -> list[str]:
        """Large transfers of one person to strangers in a high-risk country; gives their ids."""
        risky = self.policy.counterparties.high_risk_countries
        countries = [one for one in risky if one != home_of(self.policy)]
        country = countries[-1] if countries else "MM"
        ids: list[str] = []
        for number, amount in enumerate(self.burst()):
            at = self.clock.at(self.day, BURST_BEGINS + 7 * number)
            other = Counterparty(
                account_id=f"MM-55{number:03d}", name=f"Golden Delta Trading {number + 1}", country=country
            )
            transfer = self.book.transaction(
                at, SUSPECT, "out", amount, counterparty=other, cross_border=True, channel="counter"
            )
            self.book.add(
                at,
                transfer,
                f"{SUSPECT} transfers {amount:,} {self.book.currency} to a stranger in {country} (no. {number + 1})",
                f"{SUSPECT}第{number + 1}笔：向{country}陌生账户转账{amount:,}{self.book.currency}",
            )
            ids.append(transfer.event_id)
            if number == 1:
                again = self.clock.at(self.day, 98)
                self.book.raw(
                    again,
                    "transactions",
                    transfer.key,
                    transfer,
                    "The second transfer is sent twice",
                    "第2笔转账重复送达",
                )
                self.duplicates.append(transfer.event_id)
        return ids

    def burst(self) -> list[Decimal]:
        """One more than are frequent, each from `large_from` up to just below the reporting threshold."""
        rule = self.policy.detectors.frequent_large_transfers
        threshold = float(self.policy.detectors.large_transaction.person_cross_border.amounts[self.book.currency])
        low, count = float(rule.large_from.value), rule.a_day.whole + 1
        return [
            money(threshold * (low + (1 - low) * (number + 1) / (count + 1)), self.book.currency)
            for number in range(count)
        ]

    def report(self, transaction_ids: list[str]) -> None:
        at = self.clock.at(self.day, REPORTED_AT)
        self.book.add(
            at,
            PostReport(
                report_id="day-r0001",
                event_time=at,
                reporter=Reporter(employee_id=TELLER, post="teller", branch_id=BRANCH),
                kind="abnormal_transaction",
                customer_id=SUSPECT,
                account_id=f"A{SUSPECT}",
                transaction_ids=tuple(transaction_ids),
                narrative="客户由陌生人陪同，反复查看手机后填写收款人，说不清款项用途",
            ),
            f"Teller {TELLER} reports {SUSPECT}: led by a stranger, cannot say what the money is for",
            f"柜员{TELLER}上报{SUSPECT}：有陌生人陪同，说不清款项用途",
        )

    @property
    def member(self) -> str:
        scheme = self.policy.detectors.industry_concentration.scheme
        return industry_member(REAL_ESTATE.code(scheme), scheme)

    def drift(self) -> None:
        """Two loans a level: one that nears it, one that passes it."""
        rule = self.policy.detectors.industry_concentration
        for level in LEVELS:
            target, minute = float(rule.share[level]) + 0.008, DRIFT[level]
            total, have = float(sum(self.exposure.values())), float(self.exposure["K"])
            needed = (target * total - have) / (1 - target)
            half = money(needed / 2, self.book.currency)
            self.lend(self.clock.at(self.day, minute - 12), "K", half)
            self.lend(
                self.clock.at(self.day, minute),
                "K",
                money(needed - float(half), self.book.currency),
                f"Another real-estate loan: {target:.1%} of {ENTITY}'s book, past the {level} level",
                f"又放一笔房地产贷款：占{ENTITY}贷款的{target:.1%}，越过{LEVEL_NAMES_ZH[level]}线",
            )
            self.apply_for(self.clock.at(self.day, minute + 3), "I", half)

    def approve_all_the_same(self, suspended: datetime) -> datetime:
        """A loan in the industry is approved although credit has suspended that; when."""
        at = self.policy.bank_calendar.add_working_time(suspended, minutes(30))
        approval = msgspec.structs.replace(
            self.loan_event(at, "K", "approved", self.book.amount(800_000)), approver_id="credit-0031"
        )
        self.book.add(
            at,
            approval,
            "A real-estate loan is approved although credit has suspended that",
            "信贷部已暂停房地产审批，仍有一笔贷款获批",
        )
        return at

    def dirt(self) -> None:
        """Bytes that are no event. Its action counterpart is among the answers."""
        at = self.clock.at(self.day, 205)
        good = self.book.transaction(at, FIRMS[2], "out", self.book.amount(1), counterparty=supplier(1))
        fields = msgspec.json.decode(msgspec.json.encode(good))
        fields["amount"] = "NaN"
        self.book.raw(
            at,
            "transactions",
            good.key,
            msgspec.json.encode(fields),
            'A feed sends a transaction with the amount "NaN"',
            "某系统送来金额为“NaN”的交易",
        )
