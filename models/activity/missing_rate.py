"""Missing rate: records were refused because nobody put the rate of their currency; until then nothing judges them."""

from bisect import insort
from datetime import date, datetime

from msgspec import Struct, field

from models.episodes import Episode, observe
from models.messages import MissingRate
from models.policy import PolicyHistory
from models.risk_warning import MAX_EVIDENCE, Finding, Reason, Window
from models.texts import plural

DETECTOR = "missing_rate"
VERSION = 1


class Missing(Struct):
    """The records of one currency and day that were refused.

    Args:
        evidence: (time, event id) of the `MAX_EVIDENCE` oldest.
        newest: the latest of their event times.
    """

    currency: str
    day: date
    count: int = 0
    evidence: list[tuple[datetime, str]] = field(default_factory=list)
    newest: datetime | None = None
    episode: Episode | None = None

    def take(self, refused: MissingRate) -> None:
        """Take in one record. A record stands for itself: one event sent twice is refused twice."""
        self.count += 1
        insort(self.evidence, (refused.event_time, refused.event_id))
        del self.evidence[MAX_EVIDENCE:]
        if self.newest is None or refused.event_time > self.newest:
            self.newest = refused.event_time


def observed(missing: Missing, policies: PolicyHistory) -> Episode:
    """The episode of a currency's day, with the records refused so far."""
    assert missing.newest is not None  # noqa: S101 - the caller has taken in a record
    policy = policies.on(missing.day)
    rule = policy.detectors.missing_rate
    finding = Finding(
        subject=f"currency:{missing.currency}",
        anchor=str(missing.day),
        severity=rule.severity,
        departments=rule.departments,
        reasons=(_reason(missing),),
        event_ids=tuple(event_id for _, event_id in missing.evidence),
        event_count=missing.count,
        window=Window(*policy.bank_calendar.day_window(missing.day)),
        measures=rule.measures,
        event_time=missing.newest,
    )
    missing.episode = observe(missing.episode, DETECTOR, VERSION, finding)
    return missing.episode


def _reason(missing: Missing) -> Reason:
    was = "was" if missing.count == 1 else "were"
    return Reason(
        code="no_rate",
        observed=str(missing.count),
        threshold="0",
        unit="transactions",
        text_zh=f"{missing.day}有{missing.count}笔{missing.currency}记录因没有汇率被拒收，未经任何规则判断。"
        "请用 liandong rates put 录入汇率，再用 liandong dead-letters redrive 重新送入。",
        text_en=f"{plural(missing.count, f'{missing.currency} record')} of {missing.day} {was} refused for want of a "
        "rate, and judged by no rule: put the rate with `liandong rates put`, then send what was refused again with "
        "`liandong dead-letters redrive`.",
    )
