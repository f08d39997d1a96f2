"""The sample after a rectification: a branch's large transactions of the days after it, that prove or disprove it.

Source: the policy on linked posts, 5(2)2: operations has put right what its inspections find, and sees that it was.

It is of the `resample_days` days after the claim's own, whenever the claim is read: a branch's large transactions stay
known for as many days, and `READ_LATE` more. Who claims cannot choose what is drawn, as the claim is part of each
transaction's number.
"""

from bisect import insort
from collections.abc import Iterator
from datetime import UTC, date, timedelta

from msgspec import Struct, field

from models.activity.inspection import Drawn, Stratum, draw, in_time
from models.calendar import BankCalendar
from models.messages import LargeBooking
from models.policy import PolicyHistory
from models.proofs import MOST_EVIDENCE, ProofAsk, Proved

# Days after the end of its time within which a claim that is read late still gets the sample of that time.
READ_LATE = 5
# Large transactions kept of one day of a branch, for claims that are read late: a state must not grow without bound.
# Those with the smallest numbers are kept, so that which they are depends on no order.
MOST_KEPT = 2000
ONE_DAY = timedelta(days=1)


class Kept(Struct):
    """A day's large transactions of a branch, for the claims that are still to come."""

    ones: list[Drawn] = field(default_factory=list)

    def take(self, booking: LargeBooking) -> None:
        insort(self.ones, Drawn(draw(booking.event_id), booking.event_time, booking.event_id, booking.lacks))
        del self.ones[MOST_KEPT:]


class Resample(Struct):
    """A sample that was asked for.

    Args:
        start, end: the first and the last day that are drawn from.
        answered: it was drawn; from then on it is remembered so that an ask that is sent again is known again.
    """

    ask: ProofAsk
    start: date
    end: date
    stratum: Stratum = field(default_factory=Stratum)
    answered: bool = False

    @property
    def branch(self) -> str:
        return self.ask.subject.removeprefix("branch:")

    def days(self) -> Iterator[date]:
        """Those that are drawn from."""
        return (self.start + n * ONE_DAY for n in range((self.end - self.start).days + 1))

    def take(self, one: LargeBooking | Drawn, policies: PolicyHistory) -> None:
        """Take in a large transaction of one of the days."""
        rule = policies.at(self.ask.since).detectors.inspection
        number = draw(rule.seed, self.ask.case_id, self.ask.since.astimezone(UTC).isoformat(), one.event_id)
        self.stratum.take(Drawn(number, one.event_time, one.event_id, one.lacks), rule.resample.whole)

    def answer(self, calendar: BankCalendar) -> Proved:
        """What the sample shows, once its last day is over. Where nothing large was done nothing was done wrong."""
        drawn = in_time(self.stratum.drawn)
        failed = tuple(one.event_id for one in drawn if one.lacks)
        return Proved(
            case_id=self.ask.case_id,
            subject=self.ask.subject,
            measure=self.ask.measure,
            since=self.ask.since,
            partition=0,
            partitions=1,
            done_at=None if failed else calendar.day_window(self.end)[1],
            failed=failed,
            evidence=() if failed else tuple(one.event_id for one in drawn[-MOST_EVIDENCE:]),
            revision=1,
        )


def begun(ask: ProofAsk, closed: date | None, policies: PolicyHistory) -> Resample:
    """The sample that an ask wants, with nothing in it yet.

    Args:
        closed: the last day that is closed. A claim of which a day is known no more gets the first days that are: one
            that is read that late never goes without a sample.
    """
    start = policies.latest.bank_calendar.day_of(ask.since) + ONE_DAY
    if closed is not None:
        start = max(start, first_kept(closed, policies))
    days = policies.at(ask.since).detectors.inspection.resample_days.whole
    return Resample(ask, start, start + (days - 1) * ONE_DAY)


def first_kept(closed: date, policies: PolicyHistory) -> date:
    """The first day whose large transactions are known, once a day is closed."""
    longest = policies.longest(lambda one: one.detectors.inspection.resample_days.whole)
    return closed - (longest + READ_LATE - 1) * ONE_DAY
