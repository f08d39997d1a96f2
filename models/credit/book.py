"""A borrower's loans: what each loan event does to the balance, and so to the entity's exposure."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from models.events import LoanEvent
from models.stage import Refused

# What a step does to the outstanding balance; steps that are not here move no money.
SIGNS: Mapping[str, int] = {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1}


class Loan(Struct):
    """One loan of a borrower. `balance` is outstanding principal in the loan's own currency."""

    entity: str
    industry: str
    currency: str
    balance: Decimal = Decimal(0)


class Movement(Struct, frozen=True):
    """How a loan event changes its entity's book: the amount in the loan's currency, and the number of loans."""

    loan: Loan
    amount: Decimal
    loans: int


def move(loans: dict[str, Loan], event: LoanEvent) -> Movement | None:
    """Apply one loan event to a borrower's loans.

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
        loan = Loan(event.entity, event.industry, event.currency)
    if loan.currency != event.currency:
        raise Refused("other_currency", "currency", f"loan {event.loan_id} is in {loan.currency}, not {event.currency}")
    before, after = loan.balance, loan.balance + sign * event.amount
    if after < 0:
        raise Refused(
            "repays_past_zero", "amount", f"{event.amount} is more than the {before} outstanding on {event.loan_id}"
        )
    loan.balance = after
    loans[name] = loan
    return Movement(loan, after - before, int(after > 0) - int(before > 0))
