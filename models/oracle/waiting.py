"""Loan events one by one: what a loan does not allow yet waits for the disbursement that should have come before it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

MOST_WAITING = 100  # events of a borrower
# What a step of each kind that moves a book does to what is owed.
SIGNS = {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1}
# What a disbursement that is still under way may change.
_MAY_PASS = frozenset({"unknown_loan", "closed_loan", "nothing_to_reverse", "repays_past_zero"})


class Sent(NamedTuple):
    """A loan event as it was sent.

    Args:
        lateness: of the event's own day.
        future: whether it is too far ahead of its arrival.
        rated: whether its money can be counted.
        own: the signed amount, in the smallest units of its currency.
    """

    arrival: int
    borrower_id: str
    entity: str
    loan_id: str
    event_id: str
    event_time: datetime
    lateness: timedelta
    future: bool
    rated: bool
    kind: str
    currency: str
    own: int


class Verdict(NamedTuple):
    """What became of one event.

    Args:
        verdict: the reason of a refusal, `repeated`, or None for an event that was taken.
        taken_with: arrival of the event that it was taken with: its own, or of the disbursement it waited for.
    """

    arrival: int
    verdict: str | None
    taken_with: int | None = None


class _Loan(NamedTuple):
    """Its currency, and every step taken that moved money: when it happened, and the signed amount."""

    currency: str
    steps: tuple[tuple[datetime, int], ...] = ()

    @property
    def balance(self) -> int:
        return sum(own for _, own in self.steps)

    def until(self, moment: datetime, *, including: bool) -> int:
        """What was owed by the time at which each step happened."""
        return sum(own for when, own in self.steps if when < moment or (including and when == moment))


def verdicts(rows: Iterable[tuple[Any, ...]]) -> list[Verdict]:
    """A verdict on each event, in no particular order.

    Args:
        rows: the fields of `Sent` of all events of some borrowers, in arrival order.
    """
    borrowers: dict[str, _Borrower] = {}
    for row in rows:
        sent = Sent(*row)
        borrowers.setdefault(sent.borrower_id, _Borrower()).judge(sent)
    for borrower in borrowers.values():
        borrower.end()
    return [verdict for borrower in borrowers.values() for verdict in borrower.verdicts]


class _Borrower:
    """What is known of a borrower so far, and which events wait."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self._newest: datetime | None = None
        self._seen: set[str] = set()
        self._loans: dict[tuple[str, str], _Loan] = {}
        self._waiting: dict[str, tuple[Sent, str]] = {}  # by event_id, with what stands against it

    def judge(self, sent: Sent) -> None:
        if sent.future:
            self._refuse(sent, "in_the_future")
        elif self._newest is not None and sent.event_time < self._newest - sent.lateness:
            self._refuse(sent, "too_late")
        elif not sent.rated:
            self._refuse(sent, "no_rate")
        elif sent.event_id in self._seen:
            self.verdicts.append(Verdict(sent.arrival, "repeated"))
        else:
            self._settle(sent, sent.arrival)

    def end(self) -> None:
        """Nothing comes any more that anything could wait for."""
        self._give_up(list(self._waiting))

    def _settle(self, sent: Sent, taken_with: int) -> None:
        """Take an event, let it wait (on), or refuse it."""
        waits = sent.event_id in self._waiting
        reason = _against(sent, self._loans.get((sent.entity, sent.loan_id)), waits=waits)
        if reason is None:
            self._waiting.pop(sent.event_id, None)
            self._take(sent, taken_with)
        elif reason in _MAY_PASS and (waits or len(self._waiting) < MOST_WAITING):
            self._waiting[sent.event_id] = (sent, reason)
            self._seen.add(sent.event_id)
        else:
            if waits:
                del self._waiting[sent.event_id]
                self._seen.discard(sent.event_id)
            self._refuse(sent, reason)

    def _take(self, sent: Sent, taken_with: int) -> None:
        self.verdicts.append(Verdict(sent.arrival, None, taken_with))
        self._seen.add(sent.event_id)
        if sent.kind in SIGNS:
            name = (sent.entity, sent.loan_id)
            loan = self._loans.get(name, _Loan(sent.currency))
            self._loans[name] = loan._replace(steps=(*loan.steps, (sent.event_time, sent.own)))
        if self._newest is None or sent.event_time > self._newest:
            self._newest = newest = sent.event_time
            self._give_up([key for key, (one, _) in self._waiting.items() if one.event_time < newest - one.lateness])
        if sent.kind == "disbursed":
            self._retry(sent)

    def _retry(self, drawn: Sent) -> None:
        """Offer what waited for a disbursement of its loan."""
        name = (drawn.entity, drawn.loan_id)
        of_loan = (one for one, _ in self._waiting.values() if (one.entity, one.loan_id) == name)
        for one in sorted(of_loan, key=lambda one: (one.event_time, one.event_id)):
            self._settle(one, drawn.arrival)

    def _give_up(self, event_ids: list[str]) -> None:
        for event_id in event_ids:
            sent, reason = self._waiting.pop(event_id)
            self._seen.discard(event_id)
            self._refuse(sent, reason)

    def _refuse(self, sent: Sent, reason: str) -> None:
        self.verdicts.append(Verdict(sent.arrival, reason))


def _against(sent: Sent, loan: _Loan | None, *, waits: bool) -> str | None:
    """Why a loan does not allow a step, or None; `loan` is None before it was opened.

    A step that waits must fit into the loan as it was when the step happened, besides into what is owed now.
    """
    if sent.kind in ("applied", "approved"):
        return None
    if loan is None:
        return None if sent.kind == "disbursed" else "unknown_loan"
    if sent.kind == "disbursed":
        return None if sent.currency == loan.currency else "other_currency"
    owed, then = loan.balance, loan.until(sent.event_time, including=True)
    if sent.kind in SIGNS:
        owed = min(owed, then) if waits else owed
    else:
        life = max(then, loan.until(sent.event_time, including=False))
        owed = life if waits else max(owed, life)
    if owed <= 0:
        return "nothing_to_reverse" if sent.kind == "reversed" else "closed_loan"
    if sent.kind in SIGNS and sent.currency != loan.currency:
        return "other_currency"
    return "repays_past_zero" if owed + sent.own < 0 else None
