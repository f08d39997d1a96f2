"""Heightened sensitivity: after a teller's report all accounts of its customer are judged more strictly for a time.

Source: the policy on linked posts, 5(2)1: what the teller sees and what the models see is to be acted on together. By
which figures, and for how long, is the bank's own choice (`[heightened]`).

A report heightens whole days of the bank, its own included, whatever comes first. So rules keep what would count by the
stricter figures of every customer, and judge each day by its own.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta

from models.events import PostReport
from models.policy import Policy, PolicyHistory
from models.risk_warning import Reason
from models.texts import plural

KINDS = frozenset({"abnormal_transaction", "doubtful_document"})


class HeightenedHistory(PolicyHistory):
    """The figures of one customer: those of the bank, and on the days after a report the stricter ones.

    Args:
        base: the bank's figures by day.
        reported: day of each report on the customer, by its id.
    """

    def __init__(self, base: PolicyHistory, reported: Mapping[str, date]) -> None:
        self._base = base
        self.known, self.versions, self.mutes, self.models = base.known, base.versions, base.mutes, base.models
        spans = ((day, name, heightened_days(day, base)) for name, day in reported.items())
        self._spans = [(name, *days) for _, name, days in sorted(spans) if days is not None]

    def report_on(self, day: date) -> tuple[str, int] | None:
        """The earliest report that heightens a day, and for how many days it does; None where none does, and where
        the day's own policy has no stricter figures."""
        for name, first, last in self._spans:
            if first <= day <= last:
                return (name, (last - first).days + 1) if self._base.on(day).heightened is not None else None
        return None

    def on(self, day: date) -> Policy:
        policy = self._base.on(day)
        return policy.when_heightened if self.report_on(day) is not None else policy

    def at(self, instant: datetime) -> Policy:
        return self.on(self._base.latest.bank_calendar.day_of(instant))

    @property
    def latest(self) -> Policy:
        return self._base.latest

    def longest(self, figure: Callable[[Policy], int]) -> int:
        return self._base.longest(figure)

    @property
    def lateness(self) -> timedelta:
        return self._base.lateness

    def spans(self) -> list[tuple[Policy, date, date]]:
        raise TypeError("one customer's figures are asked for by day")


def heightens(event: object) -> bool:
    """Whether an event is a report that makes its customer be judged more strictly."""
    return isinstance(event, PostReport) and event.kind in KINDS and event.customer_id is not None


def heightened_days(report_day: date, policies: PolicyHistory) -> tuple[date, date] | None:
    """The first and the last day that a report heightens; None where its day's policy heightens nothing."""
    heightened = policies.on(report_day).heightened
    return (report_day, report_day + timedelta(days=heightened.days.whole - 1)) if heightened is not None else None


def report_on(day: date, policies: PolicyHistory) -> tuple[str, int] | None:
    """The report because of which a day is judged by stricter figures, and for how many days it does so."""
    return policies.report_on(day) if isinstance(policies, HeightenedHistory) else None


def heightened_reasons(days: Iterable[date], policies: PolicyHistory) -> tuple[Reason, ...]:
    """That stricter figures took part, where they did on any of these days: by the report of the first of them."""
    for day in sorted(days):
        if (found := report_on(day, policies)) is not None:
            return (_reason(*found),)
    return ()


def _reason(report_id: str, days: int) -> Reason:
    return Reason(
        code="heightened",
        observed=report_id,
        threshold=str(days),
        unit="days",
        text_zh=f"柜员报告{report_id}之后{days}日内（含报告当日），该客户全部账户按更严格的标准判断。",
        text_en=f"After report {report_id} all of the customer's accounts are judged more strictly for "
        f"{plural(days, 'day')}, the report's own included.",
    )
