"""What the loans of one partition prove: a review list worked off loan by loan, a reclassification seen.

A case asks (`ProofAsk`, in every partition). The list is what the partition holds of the subject: loans with a balance
that were opened by then. A loan is off it with its first review after that, or when nothing is owed on it any more.
What is asked is counted once, over all borrowers of the partition; from there on a loan event costs a look at its own
loan before and after it.

An answer depends on the loan events that were taken alone, in whatever order, and is numbered by the place of the
newest of them: one that is given again after a kill has the same number only where it says the same.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from models.credit.book import Loan
from models.events import LoanEvent
from models.proofs import ProofAsk, Proved
from models.stage import Emit, States
from models.subjects import loan_subjects

ASK_PREFIX = "~ask|"
# (entity, borrower, loan) of everything in a partition.
LoansOf = Callable[[States], Iterable[tuple[str, str, Loan]]]


class Standing(NamedTuple):
    """A loan as far as a review list goes by it.

    Args:
        closed: event time of its newest movement of money, where nothing is owed on it.
    """

    owed: bool
    opened: datetime
    reviews: tuple[datetime, ...]
    closed: datetime | None


class Place(NamedTuple):
    """What a loan adds to those listed and to those left, and since when it is off."""

    listed: int
    left: int
    off: datetime | None


class Asked(Struct, omit_defaults=True):
    """What was asked, and how far it has come. State under `~ask|case|measure`.

    Args:
        reached: when the last of the loans that are off came off; None where none is.
        stale: the loan that said `reached` no longer does: it is not after that.
        seen: the earliest reclassification, and by which event.
    """

    ask: ProofAsk
    listed: int = 0
    left: int = 0
    reached: datetime | None = None
    stale: bool = False
    seen: tuple[datetime, str] | None = None

    def place(self, loan: Standing | None) -> Place:
        """Where a loan stands on the list."""
        since = self.ask.since
        if loan is None or loan.opened > since:
            return Place(0, 0, None)
        first = next((one for one in loan.reviews if one >= since), None)
        if loan.owed:
            return Place(1, int(first is None), first)
        off = min((one for one in (first, loan.closed) if one is not None), default=since)
        return Place(0, 0, off if off >= since else None)

    def take(self, before: Standing | None, loan: Loan) -> bool:
        """Take in a loan that stood otherwise before, or was not there; whether that may be something new to say."""
        known = self.listed, self.left, self.reached, self.stale, self.seen
        if self.ask.kind == "reclassified":
            self._see(loan)
        else:
            self._move(self.place(before), self.place(standing(loan)))
        return known != (self.listed, self.left, self.reached, self.stale, self.seen)

    def reach_anew(self, loans: Iterable[Loan]) -> None:
        """Find out when the last of the loans that are off came off."""
        times = (self.place(standing(loan)).off for loan in loans)
        self.reached, self.stale = max((one for one in times if one is not None), default=None), False

    def done_at(self) -> datetime | None:
        if self.ask.kind == "reclassified":
            return self.seen[0] if self.seen is not None else None
        return None if self.left else self.reached or self.ask.since

    def _see(self, loan: Loan) -> None:
        said = [one for one in loan.reclassified if one[0] >= self.ask.since]
        if self.seen is not None:
            said.append(self.seen)
        self.seen = min(said, default=None)

    def _move(self, before: Place, after: Place) -> None:
        if before == after:
            return
        self.listed += after.listed - before.listed
        self.left += after.left - before.left
        if before.off is not None and before.off == self.reached and (after.off is None or after.off < before.off):
            self.stale = True
        if after.off is not None and (self.reached is None or after.off >= self.reached):
            self.reached, self.stale = after.off, False


def standing(loan: Loan | None) -> Standing | None:
    """The loan now; a loan that changes later does not change what this says."""
    if loan is None:
        return None
    owed = loan.balance > 0
    closed = None if owed else max((moved for moved, _ in loan.recent), default=None)
    return Standing(owed, loan.opened, tuple(loan.reviews), closed)


class Reviews:
    """The asks of all partitions that a worker holds.

    Args:
        partitions: of the loans, for who counts the answers.
        loans_of: read for a new ask, and where an event that came late takes back when a list was worked off.
    """

    def __init__(self, partitions: int, loans_of: LoansOf) -> None:
        self._partitions = partitions
        self._loans_of = loans_of
        # Derived from the states of a partition, and made anew where the runner shows others: keys by subject.
        self._index: dict[int, tuple[States, dict[str, set[str]]]] = {}
        self._changed: dict[int, set[str]] = {}

    def ask(self, states: States, ask: ProofAsk) -> None:
        """Take a new ask, or the end of one."""
        key, index = ASK_PREFIX + ask.key, self._of(states)
        known = states.load(key, Asked)
        if known is not None and (not ask.open or ask.since != known.ask.since):
            if ask.revision < known.ask.revision:
                return  # older than what is known
            states.delete(key)
            index[known.ask.subject].discard(key)
            self._changed.get(states.partition, set()).discard(key)
            known = None
        if not ask.open:
            return
        if known is None:
            known = Asked(ask)
            for loan in self._of_subject(states, ask.subject):
                known.take(None, loan)
            states.save(key, known)
            index.setdefault(ask.subject, set()).add(key)
        elif ask.revision > known.ask.revision:
            known.ask = ask
            states.save(key, known)
        # One that is asked again after a kill is answered again.
        self._changed.setdefault(states.partition, set()).add(key)

    def moved(self, states: States, event: LoanEvent, before: Standing | None, loan: Loan | None) -> None:
        """A loan event was taken.

        Args:
            before: its loan before it, None where there was none; `loan`: after it.
        """
        index = self._of(states)
        if loan is None or not index:
            return
        for subject in _subjects(event.entity, event.borrower_id, loan):
            for key in index.get(subject, ()):
                asked = states.load(key, Asked)
                if asked is not None and asked.take(before, loan):
                    states.save(key, asked)
                    self._changed.setdefault(states.partition, set()).add(key)

    def answers(self, states: States, offset: int) -> Iterator[Emit]:
        """What there is to say after a batch.

        Args:
            offset: where the newest loan event stands that was taken; -1 before the first.
        """
        for key in sorted(self._changed.pop(states.partition, ())):
            asked = states.load(key, Asked)
            if asked is None:
                continue
            if asked.stale and not asked.left:
                asked.reach_anew(self._of_subject(states, asked.ask.subject))
                states.save(key, asked)
            message = Proved(
                case_id=asked.ask.case_id,
                subject=asked.ask.subject,
                measure=asked.ask.measure,
                since=asked.ask.since,
                partition=states.partition,
                partitions=self._partitions,
                listed=asked.listed,
                left=asked.left,
                done_at=asked.done_at(),
                evidence=(asked.seen[1],) if asked.seen is not None else (),
                revision=offset + 1,
            )
            yield Emit("proofs", message.key, message, route=message.subject)

    def _of_subject(self, states: States, subject: str) -> Iterator[Loan]:
        for entity, borrower, loan in self._loans_of(states):
            if subject in _subjects(entity, borrower, loan):
                yield loan

    def _of(self, states: States) -> dict[str, set[str]]:
        held = self._index.get(states.partition)
        if held is not None and held[0] is states:
            return held[1]
        index: dict[str, set[str]] = {}
        for key in states.keys():
            asked = states.load(key, Asked) if key.startswith(ASK_PREFIX) else None
            if asked is not None:
                index.setdefault(asked.ask.subject, set()).add(key)
        self._index[states.partition] = (states, index)
        return index


def _subjects(entity: str, borrower: str, loan: Loan) -> tuple[str, ...]:
    return loan_subjects(entity, loan.member, loan.real_estate, borrower, loan.group)
