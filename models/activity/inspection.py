"""Inspections: each month a sample of each branch's large transactions, drawn by a seed.

Source: the policy on linked posts, 5(2)2: operations supervises and inspects identity checks and the approval of large
transactions, and has put right what it finds (`models.activity.resample`). How much is drawn is the bank's own choice.

Every transaction has a number that follows from the seed, the month and its id alone; the smallest numbers of each
class are the sample. So the draw is the same in any order of arrival and can be repeated by whoever knows the seed,
and what is remembered is no more than what is drawn.
"""

import hashlib
from bisect import insort
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from msgspec import Struct, field

from models.detectors.amounts import classify, counts, measure
from models.detectors.missing_control import lacking
from models.episodes import Episode, observe
from models.events import Transaction
from models.messages import LargeBooking
from models.policy import Policy, PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Window
from models.texts import CLASS_NAMES, plural

DETECTOR = "inspection"
VERSION = 1


class Drawn(Struct, frozen=True, order=True, array_like=True):
    """A transaction with its number in the draw."""

    number: str
    event_time: datetime
    event_id: str
    lacks: tuple[str, ...] = ()


class Stratum(Struct):
    """A class of a branch's large transactions: how many there were, and those with the smallest numbers."""

    count: int = 0
    drawn: list[Drawn] = field(default_factory=list)

    def take(self, one: Drawn, most: int) -> None:
        self.count += 1
        insort(self.drawn, one)
        del self.drawn[most:]


class Sample(Struct):
    """What a branch did in a month, by class.

    A transaction gets its number when it comes, by the seed that is then known for the month's last day. So a new seed
    should be approved before its first month begins: what an earlier seed has passed over is not known any more.
    """

    branch: str
    month: date  # its first day
    strata: dict[str, Stratum] = field(default_factory=dict)

    def take(self, booking: LargeBooking, policies: PolicyHistory) -> None:
        rule = policies.on(last_day(self.month)).detectors.inspection
        number = draw(rule.seed, f"{self.month:%Y-%m}", booking.event_id)
        stratum = self.strata.setdefault(booking.kind, Stratum())
        # A version that becomes known within the month may draw more of them.
        most = policies.longest(lambda one: one.detectors.inspection.each.whole)
        stratum.take(Drawn(number, booking.event_time, booking.event_id, booking.lacks), most)

    def drawn(self, each: int) -> dict[str, list[Drawn]]:
        """So many of each class, or all where there are fewer."""
        return {kind: stratum.drawn[:each] for kind, stratum in sorted(self.strata.items())}


def draw(*parts: str) -> str:
    """The number of a transaction in a draw.

    >>> draw("seed", "2026-03", "t1")[:8]
    'c2e1a36e'
    """
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def last_day(month: date) -> date:
    """Of the month that begins on a day."""
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def booking_of(offset: int, event: Transaction, policy: Policy) -> LargeBooking | None:
    """What inspections draw from: a customer's transaction at a branch that is large by itself; None for any other.

    Whether the day's rule is on is not asked: a rectification is sampled all the same.

    Args:
        offset: of the transaction in its partition.
    """
    rules = policy.detectors
    if event.branch_id is None or not counts(event, rules.large_transaction):
        return None
    if not measure(event, policy).reaches():
        return None
    lacks = tuple(name for name, _ in lacking(event, rules.missing_control, policy))
    return LargeBooking(offset, event.event_id, event.event_time, event.branch_id, classify(event), lacks)


def observed(sample: Sample, policies: PolicyHistory) -> Episode:
    """The episode of a branch's sample of a month that is over."""
    last = last_day(sample.month)
    policy = policies.on(last)
    rule, calendar = policy.detectors.inspection, policy.bank_calendar
    drawn = sample.drawn(rule.each.whole)
    together = in_time(one for ones in drawn.values() for one in ones)
    window = Window(calendar.day_window(sample.month)[0], calendar.day_window(last)[1])
    finding = Finding(
        subject=f"branch:{sample.branch}",
        anchor=f"{sample.month:%Y-%m}",
        severity=rule.severity,
        departments=rule.departments,
        reasons=tuple(_reasons(sample, drawn, together)),
        event_ids=tuple(one.event_id for one in together[:MAX_EVIDENCE]),
        event_count=len(together),
        window=window,
        measures=rule.measures,
        event_time=window.end,
    )
    return observe(None, DETECTOR, VERSION, finding)


def in_time(drawn: Iterable[Drawn]) -> list[Drawn]:
    """Transactions of a draw in order of time."""
    return sorted(drawn, key=lambda one: (one.event_time, one.event_id))


def _reasons(sample: Sample, drawn: dict[str, list[Drawn]], together: list[Drawn]) -> Iterable[Reason]:
    for kind, ones in drawn.items():
        name_zh, name_en = CLASS_NAMES[kind]
        picked, count = len(ones), sample.strata[kind].count
        what = "its identity check and approval" if picked == 1 else "their identity checks and approvals"
        yield Reason(
            code="sample",
            observed=str(picked),
            threshold=str(count),
            unit="transactions",
            text_zh=f"{sample.month:%Y-%m}网点{sample.branch}{name_zh}类大额交易{count}笔，抽取{picked}笔检查身份识别与审批。",
            text_en=f"{picked} of {plural(count, 'large transaction')} ({name_en}) at branch {sample.branch} in "
            f"{sample.month:%Y-%m} drawn: inspect {what}.",
        )
    if short := [one for one in together if one.lacks]:
        whose, verb = ("its record", "lacks") if len(short) == 1 else ("their records", "lack")
        yield Reason(
            code="sample_lacks",
            observed=str(len(short)),
            threshold="0",
            unit="transactions",
            text_zh=f"其中{len(short)}笔按记录缺少应有的身份识别或审批：{'、'.join(one.event_id for one in short)}。",
            text_en=f"By {whose} {len(short)} of them {verb} an identity check or an approval that was needed: "
            f"{', '.join(one.event_id for one in short)}.",
        )
