"""What `activity` remembers of branches' large transactions: samples of months, and those after a rectification.

States are of a branch and a month or a day, so that one transaction changes a few small ones whatever the number of
branches: of a month the smallest numbers of each class, of the last days all, for claims that are read late.
"""

from bisect import insort
from collections.abc import Iterator
from datetime import date

from msgspec import Struct, field

from models.activity.inspection import Sample, last_day, observed
from models.activity.resample import Kept, Resample, begun, first_kept
from models.episodes import Episode
from models.messages import LargeBooking
from models.policy import PolicyHistory
from models.proofs import ProofAsk
from models.stage import Emit, States


class Inspecting(Struct):
    """What is under way.

    Args:
        months: first days of those that are still to be drawn, oldest first.
        days: those whose large transactions are kept, oldest first.
        asked: states of samples that are not answered yet, by branch.
    """

    months: list[date] = field(default_factory=list)
    days: list[date] = field(default_factory=list)
    asked: dict[str, list[str]] = field(default_factory=dict)


class Branches(Struct):
    """Those that have a state of one month, or of one day, in order."""

    names: list[str] = field(default_factory=list)


class Inspections:
    """Takes large transactions, draws the samples of months that are over and answers what is asked for."""

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies

    def take(self, states: States, inspecting: Inspecting, booking: LargeBooking, closed: date | None) -> None:
        """Take in a large transaction: for its branch's sample of the month, for claims made and for claims to come.

        Args:
            closed: the last day that is closed; a month that ends no later was drawn.
        """
        day = self._policies.latest.bank_calendar.day_of(booking.event_time)
        month = day.replace(day=1)
        if closed is None or closed < last_day(month):
            self._sample(states, inspecting, booking, month)
        if closed is None or day >= first_kept(closed, self._policies):
            self._keep(states, inspecting, booking, day)
        for key in inspecting.asked.get(booking.branch, ()):
            asked = states.load(key, Resample)
            if asked is not None and asked.start <= day <= asked.end:
                asked.take(booking, self._policies)
                states.save(key, asked)

    def ask(self, states: States, inspecting: Inspecting, ask: ProofAsk, closed: date | None) -> Iterator[Emit]:
        """Begin a sample, with what is known of its days already; or forget one that nobody waits for."""
        key = f"ask|{ask.key}"
        known = states.load(key, Resample)
        if known is not None and (ask.revision < known.ask.revision or (ask.open and ask.since == known.ask.since)):
            return  # older than what is known, or sent again
        if known is not None:
            states.delete(key)
            _unlist(inspecting, known.branch, key)
        if not ask.open:
            return
        asked = begun(ask, closed, self._policies)
        for day in asked.days():
            kept = states.load(_kept(day, asked.branch), Kept)
            for one in kept.ones if kept is not None else ():
                asked.take(one, self._policies)
        states.save(key, asked)
        inspecting.asked.setdefault(asked.branch, []).append(key)
        if closed is not None:
            yield from self.answers(states, inspecting, closed)

    def answers(self, states: States, inspecting: Inspecting, closed: date) -> Iterator[Emit]:
        """Of samples whose last day is closed."""
        for key in sorted(key for keys in inspecting.asked.values() for key in keys):
            asked = states.load(key, Resample)
            if asked is None or asked.end > closed:
                continue
            answer = asked.answer(self._policies.latest.bank_calendar)
            yield Emit("proofs", answer.key, answer, route=answer.subject)
            states.save(key, Resample(asked.ask, asked.start, asked.end, answered=True))
            _unlist(inspecting, asked.branch, key)

    def drawn(self, states: States, inspecting: Inspecting, closed: date) -> Iterator[Episode]:
        """The samples of the months that are over with a day, branch by branch; each is told once."""
        while inspecting.months and last_day(inspecting.months[0]) <= closed:
            month = inspecting.months.pop(0)
            for branch in _take_branches(states, f"{month:%Y-%m}"):
                sample = states.load(_sampled(month, branch), Sample)
                states.delete(_sampled(month, branch))
                if sample is not None:
                    yield observed(sample, self._policies)

    def forget(self, states: States, inspecting: Inspecting, closed: date) -> None:
        """Drop the days that no claim draws from any more."""
        first = first_kept(closed, self._policies)
        while inspecting.days and inspecting.days[0] < first:
            day = inspecting.days.pop(0)
            for branch in _take_branches(states, str(day)):
                states.delete(_kept(day, branch))

    def _sample(self, states: States, inspecting: Inspecting, booking: LargeBooking, month: date) -> None:
        key = _sampled(month, booking.branch)
        sample = states.load(key, Sample)
        if sample is None:
            sample = Sample(booking.branch, month)
            _add_branch(states, f"{month:%Y-%m}", booking.branch)
            if month not in inspecting.months:
                insort(inspecting.months, month)
        sample.take(booking, self._policies)
        states.save(key, sample)

    def _keep(self, states: States, inspecting: Inspecting, booking: LargeBooking, day: date) -> None:
        key = _kept(day, booking.branch)
        kept = states.load(key, Kept)
        if kept is None:
            kept = Kept()
            _add_branch(states, str(day), booking.branch)
            if day not in inspecting.days:
                insort(inspecting.days, day)
        kept.take(booking)
        states.save(key, kept)


def _sampled(month: date, branch: str) -> str:
    return f"sample|{month:%Y-%m}|{branch}"


def _kept(day: date, branch: str) -> str:
    return f"large|{day}|{branch}"


def _add_branch(states: States, when: str, branch: str) -> None:
    key = f"branches|{when}"
    known = states.load(key, Branches) or Branches()
    insort(known.names, branch)
    states.save(key, known)


def _take_branches(states: States, when: str) -> list[str]:
    """The branches of a month or a day, in order; from then on there are none."""
    key = f"branches|{when}"
    known = states.load(key, Branches)
    states.delete(key)
    return known.names if known is not None else []


def _unlist(inspecting: Inspecting, branch: str, key: str) -> None:
    keys = inspecting.asked.get(branch, [])
    if key in keys:
        keys.remove(key)
    if not keys:
        inspecting.asked.pop(branch, None)
