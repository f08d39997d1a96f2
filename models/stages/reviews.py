"""What the loans of one partition prove: a review list worked off loan by loan, a reclassification seen.

A case asks (`ProofAsk`, in every partition). The list is what the partition holds of the subject: loans with a balance
that were opened by then. A loan leaves what is left of it with a review after that, or when nothing is owed on it any
more. What is asked is counted once, over all borrowers of the partition; from there on a loan event costs a look at
its own loan before and after it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from models.credit.book import Loan
from models.events import LoanEvent
from models.proofs import ProofAsk, Proved
from models.stage import Emit, States
from models.subjects import loan_subjects

ASK_PREFIX = "~ask|"


class Standing(Struct, frozen=True):
    """A loan as far as a review list goes by it."""

    owed: bool
    opened: datetime
    reviewed: datetime | None


class Asked(Struct):
    """What was asked, and how far it has come. State under `~ask|case|measure`.

    Args:
        reached: the newest event time of a step that took a loan off what was left; `since` before the first.
        seen: the earliest reclassification, and by which event.
        told: the revision of the newest answer.
    """

    ask: ProofAsk
    listed: int = 0
    left: int = 0
    reached: datetime | None = None
    seen: tuple[datetime, str] | None = None
    told: int = 0

    def counts(self, loan: Standing | None) -> tuple[int, int]:
        """What a loan adds to those listed, and to those left."""
        if loan is None or not loan.owed or loan.opened > self.ask.since:
            return 0, 0
        return 1, int(loan.reviewed is None or loan.reviewed < self.ask.since)

    def done_at(self) -> datetime | None:
        if self.ask.kind == "reclassified":
            return self.seen[0] if self.seen is not None else None
        return None if self.left else self.reached or self.ask.since


def standing(loan: Loan | None) -> Standing | None:
    """The loan now; a loan that changes later does not change what this says."""
    return None if loan is None else Standing(loan.balance > 0, loan.opened, loan.reviewed)


class Reviews:
    """The asks of all partitions that a worker holds.

    Args:
        partitions: of the loans, for who counts the answers.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        # Derived from the states of a partition, and made anew where the runner shows others: keys by subject.
        self._index: dict[int, tuple[States, dict[str, set[str]]]] = {}
        self._changed: dict[int, set[str]] = {}

    def ask(self, states: States, ask: ProofAsk, loans: Iterable[tuple[str, str, Loan]]) -> None:
        """Take a new ask, or the end of one.

        Args:
            loans: (entity, borrower, loan) of everything in the partition; read for a new ask alone.
        """
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
            for entity, borrower, loan in loans:
                if ask.subject in _subjects(entity, borrower, loan):
                    self._count_in(known, loan)
            index.setdefault(ask.subject, set()).add(key)
        # One that is asked again after a kill is answered again.
        states.save(key, known)
        self._changed.setdefault(states.partition, set()).add(key)

    def moved(self, states: States, event: LoanEvent, before: Standing | None, loan: Loan | None) -> None:
        """A loan event was taken.

        Args:
            before: its loan before it, None where there was none; `loan`: after it.
        """
        index = self._of(states)
        if loan is None or not index:
            return
        after = standing(loan)
        for subject in _subjects(event.entity, event.borrower_id, loan):
            for key in index.get(subject, ()):
                asked = states.load(key, Asked)
                if asked is not None and self._take(asked, event, before, after):
                    states.save(key, asked)
                    self._changed.setdefault(states.partition, set()).add(key)

    def answers(self, states: States) -> Iterator[Emit]:
        """What there is to say after a batch."""
        for key in sorted(self._changed.pop(states.partition, ())):
            asked = states.load(key, Asked)
            if asked is None:
                continue
            asked.told += 1
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
                revision=asked.told,
            )
            yield Emit("proofs", message.key, message, route=message.subject)

    def _take(self, asked: Asked, event: LoanEvent, before: Standing | None, after: Standing | None) -> bool:
        """Whether the event changes what there is to say."""
        if asked.ask.kind == "reclassified":
            seen = (event.event_time, event.event_id)
            news = event.kind == "reclassified" and event.event_time >= asked.ask.since
            if news and (asked.seen is None or seen < asked.seen):
                asked.seen = seen
                return True
            return False
        (listed, left), (listed_now, left_now) = asked.counts(before), asked.counts(after)
        if (listed, left) == (listed_now, left_now):
            return False
        asked.listed += listed_now - listed
        asked.left += left_now - left
        if left_now < left:
            asked.reached = max(asked.reached or asked.ask.since, event.event_time)
        return True

    def _count_in(self, asked: Asked, loan: Loan) -> None:
        """Take in a loan as it stands when it is asked for."""
        if asked.ask.kind == "reclassified":
            said = loan.classified
            if said is not None and said[0] >= asked.ask.since and (asked.seen is None or said < asked.seen):
                asked.seen = said
            return
        listed, left = asked.counts(standing(loan))
        asked.listed += listed
        asked.left += left
        if listed and not left and loan.reviewed is not None:
            asked.reached = max(asked.reached or asked.ask.since, loan.reviewed)

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
