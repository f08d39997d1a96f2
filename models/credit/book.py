"""A borrower's loans: what each step of a loan's life does to it, and so to the entity's exposure.

What a loan is stays as the disbursement that opened it said, for as long as it lives: its currency and rate, industry,
region, group, what it is for. Of several disbursements under way at once, that is the one taken first. So a repayment
takes off just what its part of the loan had put on, and a loan repaid in full leaves nothing behind, whatever rates or
schemes came in between. What changes is the balance, the class and the days past due.

A loan without a balance stays known: to refuse what still comes for it, and because a line of credit that is drawn
again is the same loan. It costs about 150 bytes, and a borrower has few of them.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct, field

from models.credit.indices_exact import EXACT
from models.credit.industry import UNKNOWN, industry_member, industry_of
from models.events import Classification, LoanEvent, RealEstate
from models.policy import Policy
from models.stage import Refused

# What a step does to the outstanding balance; steps that are not here move no money.
SIGNS: Mapping[str, int] = {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1}
STATEMENTS = frozenset({"reclassified", "overdue", "reviewed"})
# Of these nothing is kept: an application may be refused, and an approved loan may never be drawn.
BEFORE_THE_LOAN = frozenset({"applied", "approved"})
MOST_SAID = 8  # reviews, and reclassifications, that a loan remembers: more than happen to it while a case asks


Said = tuple[datetime, str]  # when, and by the event of which id


class Loan(Struct, omit_defaults=True):
    """One loan of a borrower in an entity's book.

    Args:
        rate: of its currency to the base currency when it was opened.
        member, division: the industry that it is counted under, by section (or sector) and by division.
        opened: event time of its earliest disbursement.
        disbursed: event time of its newest disbursement taken so far.
        balance: outstanding principal, in the loan's own currency.
        classified, aged: the newest step that said the class, and the days past due.
        recent: the steps that moved money, when and by how much, as far back as an event may still come.
        written_off: it was a write-off that brought the balance to zero.
        too_good_since: the day its present class became too good for its days past due, as a text.
        reviews: event times of its reviews, in order; the newest `MOST_SAID` of them.
        reclassified: the steps that said a class, in order; the newest `MOST_SAID` of them.
    """

    currency: str
    rate: Decimal
    member: str
    opened: datetime
    disbursed: datetime
    recent: list[tuple[datetime, Decimal]] = field(default_factory=list)
    division: str = UNKNOWN
    region: str = UNKNOWN
    group: str | None = None
    real_estate: RealEstate = "none"
    branch: str | None = None
    balance: Decimal = Decimal(0)
    classification: Classification = "normal"
    days_past_due: int = 0
    classified: Said | None = None
    aged: Said | None = None
    written_off: bool = False
    too_good_since: str = ""
    reviews: list[datetime] = field(default_factory=list)
    reclassified: list[Said] = field(default_factory=list)

    @property
    def exposure(self) -> Decimal:
        """The balance in the base currency, at the loan's rate; exact."""
        return EXACT.multiply(self.balance, self.rate)


Loans = dict[str, Loan]  # one borrower's in one entity's book, by loan_id


class Movement(Struct, frozen=True):
    """How a loan event changes its entity's book.

    Args:
        loan: as it stands after the event.
        amount: in the base currency, at the loan's rate; exact.
        loans: change of the number of loans with a balance.
        counts_from: from when on it counts in the book.
    """

    loan: Loan
    amount: Decimal
    loans: int
    counts_from: datetime


class Step(Struct, frozen=True):
    """What a loan event did.

    Args:
        loan: it was about; None for an application or an approval.
        changed: whether its balance, class or days past due are others now.
        movement: None for a step that moves no money.
    """

    loan: Loan | None = None
    changed: bool = False
    movement: Movement | None = None


class NotYet(Refused):
    """A step that its loan does not allow yet: a disbursement that is still on its way may mend that."""


def take(
    loans: Loans, event: LoanEvent, policy: Policy, *, waited: bool = False, since: datetime | None = None
) -> Step:
    """Apply one loan event to a borrower's loans in the event's entity.

    A balance is settled in the order in which events are taken, a book is judged in the order in which they happened.
    A repayment that comes late may draw on a disbursement that happened after it: it counts from that disbursement
    on, since before it the book had nothing to take it from. So no book ever holds less than nothing. A class or a
    number of days past due that comes late does not take the place of a newer one; one of the time before the loan was
    closed is taken after that as well. A step that has waited must fit in where it happened too: a repayment of a
    closed loan does not become one of what is drawn later.

    Args:
        waited: its loan did not allow it when it came.
        since: no event of an earlier time can come any more; None where that is not known.
        policy: of the event's day; it has a rate for the event's currency if the event moves money.

    Raises:
        NotYet: `unknown_loan`, `closed_loan`, `nothing_to_reverse` (a reversal on a closed loan), `repays_past_zero`.
        Refused: `other_currency` than the loan's, which no disbursement can mend.

    Nothing is changed then.
    """
    if event.kind in BEFORE_THE_LOAN:
        return Step()
    loan = loans.get(event.loan_id)
    if event.kind != "disbursed":
        loan = _with_balance(loan, event, waited=waited)
    elif loan is None:
        loan = _opened(event, policy)
    if event.kind in SIGNS:
        movement = _move(loan, event, waited=waited)
        if since is not None:
            loan.recent = [step for step in loan.recent if step[0] >= since]
        loans[event.loan_id] = loan
        return Step(loan, changed=True, movement=movement)
    return Step(loan, changed=_say(loan, event))


def _owed(loan: Loan, event: LoanEvent, *, waited: bool) -> Decimal:
    """What there is on a loan that a step can be about."""
    at = event.event_time
    then = loan.balance - sum((amount for moved, amount in loan.recent if moved > at), Decimal(0))
    if event.kind not in STATEMENTS:
        return min(loan.balance, then) if waited else loan.balance
    # Of the instant at which a loan is closed it may be said what it was until then.
    then = max(then, loan.balance - sum((amount for moved, amount in loan.recent if moved >= at), Decimal(0)))
    return then if waited else max(loan.balance, then)


def _with_balance(loan: Loan | None, event: LoanEvent, *, waited: bool) -> Loan:
    """The loan itself, where there is something on it that the event can be about.

    Raises:
        NotYet: where there is not.
    """
    if loan is None:
        remedy = "send its disbursement first"
        raise NotYet("unknown_loan", "loan_id", f"loan {event.loan_id} was never disbursed: {remedy}")
    if _owed(loan, event, waited=waited) > 0:
        return loan
    if waited:
        remedy = "send the disbursement that it is about, or check loan_id and event_time"
        reason = "nothing_to_reverse" if event.kind == "reversed" else "closed_loan"
        at = event.event_time.isoformat()
        raise NotYet(reason, "loan_id", f"nothing was owed on loan {event.loan_id} at {at}: {remedy}")
    how = "written off" if loan.written_off else "repaid or reversed in full"
    if event.kind == "reversed":
        remedy = "send the disbursement that is reversed first, or check loan_id"
        raise NotYet("nothing_to_reverse", "loan_id", f"loan {event.loan_id} has no balance, it was {how}: {remedy}")
    remedy = "check loan_id; if it was drawn again, send that disbursement first"
    raise NotYet("closed_loan", "loan_id", f"loan {event.loan_id} is closed, it was {how}: {remedy}")


def _opened(event: LoanEvent, policy: Policy) -> Loan:
    scheme = policy.detectors.industry_concentration.scheme
    return Loan(
        currency=event.currency,
        rate=policy.rates[event.currency],
        member=industry_member(event.industry, scheme),
        opened=event.event_time,
        disbursed=event.event_time,
        # Other schemes have no divisions.
        division=industry_of(event.industry, scheme, "division") if scheme == "gbt4754" else UNKNOWN,
        region=event.region or UNKNOWN,
        group=event.group_id,
        real_estate=event.real_estate,
        branch=event.branch_id,
    )


def _move(loan: Loan, event: LoanEvent, *, waited: bool) -> Movement:
    sign, amount = SIGNS[event.kind], event.amount
    assert amount is not None  # noqa: S101 - an event of a kind that moves money has one
    if loan.currency != event.currency:
        detail = f"loan {event.loan_id} is in {loan.currency}, not {event.currency}: send its amount in {loan.currency}"
        raise Refused("other_currency", "currency", detail)
    before, after = loan.balance, loan.balance + sign * amount
    owed = _owed(loan, event, waited=waited) if sign < 0 else before
    if owed + sign * amount < 0:
        detail = f"{amount} is more than the {owed} outstanding on {event.loan_id}: send at most that, or what is "
        raise NotYet("repays_past_zero", "amount", f"{detail}missing of its disbursements first")
    if sign > 0:
        loan.opened = min(loan.opened, event.event_time)
        loan.disbursed = max(loan.disbursed, event.event_time)
    loan.balance = after
    loan.recent.append((event.event_time, sign * amount))
    loan.written_off = event.kind == "written_off" and not after
    return Movement(
        loan,
        amount=EXACT.multiply(sign * amount, loan.rate),
        loans=int(after > 0) - int(before > 0),
        counts_from=event.event_time if sign > 0 else max(event.event_time, loan.disbursed),
    )


def _say(loan: Loan, event: LoanEvent) -> bool:
    """Take a class or a number of days past due, unless a newer step has said it; whether it is another one now.

    A review changes neither.
    """
    said = (event.event_time, event.event_id)
    if event.kind == "reclassified":
        loan.reclassified = sorted({*loan.reclassified, said})[-MOST_SAID:]
        if event.classification is not None and (loan.classified is None or said > loan.classified):
            before, loan.classification, loan.classified = loan.classification, event.classification, said
            return before != loan.classification
    elif event.kind == "overdue" and event.days_past_due is not None and (loan.aged is None or said > loan.aged):
        days, loan.days_past_due, loan.aged = loan.days_past_due, event.days_past_due, said
        return days != loan.days_past_due
    elif event.kind == "reviewed":
        loan.reviews = sorted({*loan.reviews, event.event_time})[-MOST_SAID:]
    return False
