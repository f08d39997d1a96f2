"""A borrower's loans: what each loan event does to the balance, and so to the entity's exposure.

A loan is carried at the rate, and under the industry, of the disbursement that opened it, for as long as it lives: of
several under way at once, the one taken first. So a repayment takes off just what its part of the loan had put on, and
a loan repaid in full leaves nothing behind, whatever rates or schemes came in between.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from models.credit.concentration import EXACT
from models.credit.industry import industry_member
from models.events import LoanEvent
from models.policy import Policy
from models.stage import Refused

# What a step does to the outstanding balance; steps that are not here move no money.
SIGNS: Mapping[str, int] = {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1}


class Loan(Struct):
    """One loan of a borrower.

    Args:
        member: the industry of the entity's book that it is counted under.
        rate: of its currency to the base currency when it was opened.
        disbursed: event time of its newest disbursement taken so far.
        balance: outstanding principal, in the loan's own currency.
    """

    entity: str
    member: str
    currency: str
    rate: Decimal
    disbursed: datetime
    balance: Decimal = Decimal(0)


class Movement(Struct, frozen=True):
    """How a loan event changes its entity's book.

    Args:
        amount: in the base currency, at the loan's rate; exact.
        loans: change of the number of loans with a balance.
        counts_from: from when on it counts in the book.
    """

    entity: str
    member: str
    amount: Decimal
    loans: int
    counts_from: datetime


def move(loans: dict[str, Loan], event: LoanEvent, policy: Policy) -> Movement | None:
    """Apply one loan event to a borrower's loans.

    A balance is settled in the order in which events are taken, a book is judged in the order in which they happened.
    A repayment that comes late may draw on a disbursement that happened after it: it counts from that disbursement
    on, since before it the book had nothing to take it from. So no book ever holds less than nothing.

    Args:
        policy: of the event's day; it has a rate for the event's currency.

    Returns:
        The change, or None for a step that moves no money.

    Raises:
        Refused: a repayment past zero, a step on an unknown loan, or another currency than the loan's.
            Nothing is changed then.
    """
    # Two legal entities may number their loans alike.
    name = f"{event.entity}/{event.loan_id}"
    sign = SIGNS.get(event.kind)
    if sign is None or event.amount is None:
        return None
    loan = loans.get(name)
    if loan is None:
        if sign < 0:
            raise Refused("unknown_loan", "loan_id", f"loan {event.loan_id} was never disbursed; send that event first")
        member = industry_member(event.industry, policy.detectors.industry_concentration.scheme)
        loan = Loan(event.entity, member, event.currency, policy.rates[event.currency], event.event_time)
    if loan.currency != event.currency:
        raise Refused("other_currency", "currency", f"loan {event.loan_id} is in {loan.currency}, not {event.currency}")
    before, after = loan.balance, loan.balance + sign * event.amount
    if after < 0:
        raise Refused(
            "repays_past_zero", "amount", f"{event.amount} is more than the {before} outstanding on {event.loan_id}"
        )
    if sign > 0:
        loan.disbursed = max(loan.disbursed, event.event_time)
    loan.balance = after
    loans[name] = loan
    return Movement(
        loan.entity,
        loan.member,
        amount=EXACT.multiply(sign * event.amount, loan.rate),
        loans=int(after > 0) - int(before > 0),
        counts_from=event.event_time if sign > 0 else max(event.event_time, loan.disbursed),
    )
