"""Silence: a rule, branch, channel or source that says far less, or far more, than it usually does.

What no longer comes in cannot be judged: without this, a feed that stops looks like a quiet day. Source: internal,
after the Basel Committee's principle that a bank watches whether its risk data are complete and on time (BCBS 239).
"""

from datetime import date

from msgspec import Struct

from models.activity.bands import Judged, Side, shown
from models.episodes import Episode, observe
from models.policy import Policy, PolicyHistory
from models.risk_warning import Finding, Reason, Window
from models.texts import plural

DETECTOR = "silence"
VERSION = 1
KINDS = {
    "source": ("数据源", "source", "检查报送该数据的系统", "check the system that sends it"),
    "branch": ("网点", "branch", "检查网点的报送，或确认其是否停业", "check its feed, or whether it is closed"),
    "channel": ("渠道", "channel", "检查渠道的报送，或确认其是否停用", "check its feed, or whether it is out of use"),
    "rule": ("规则", "rule", "检查规则的参数及其所依据的数据", "check the rule's figures and the data that it reads"),
}
DAY_KINDS = {True: ("工作日", "working"), False: ("非工作日", "non-working")}


class Run(Struct):
    """Days outside on one side that follow one another: one episode.

    Args:
        first, last: its first and its newest day outside.
        days: how many there are.
        silent: whether there was no event at all on one of them.
    """

    side: Side
    first: date
    last: date
    days: int = 0
    silent: bool = False
    episode: Episode | None = None


def continued(run: Run | None, day: date, judged: Judged) -> Run | None:
    """The series' run after a day that was judged; None where the day is inside its band."""
    side = judged.side
    if side is None:
        return None
    if run is None or run.side != side:
        run = Run(side, day, day)
    run.last = day
    run.days += 1
    run.silent = run.silent or judged.count == 0
    return run


def observed(run: Run, series: str, judged: Judged, working: bool, policies: PolicyHistory) -> Episode:
    """The run's episode, with what its newest day says."""
    policy = policies.on(run.last)
    rule, calendar = policy.detectors.silence, policy.bank_calendar
    start, end = calendar.day_window(run.first)[0], calendar.day_window(run.last)[1]
    finding = Finding(
        subject=series,
        anchor=f"{run.side}|{run.first}",
        severity=rule.severities.silent if run.silent else rule.severities.outside,
        departments=rule.departments,
        reasons=(_reason(run, series, judged, working, policy),),
        event_ids=(),
        event_count=run.days,
        window=Window(start, end),
        measures=rule.measures,
        event_time=end,
    )
    run.episode = observe(run.episode, DETECTOR, VERSION, finding)
    return run.episode


def _reason(run: Run, series: str, judged: Judged, working: bool, policy: Policy) -> Reason:
    kind, _, name = series.partition(":")
    kind_zh, kind_en, check_zh, check_en = KINDS[kind]
    day_zh, day_en = DAY_KINDS[working]
    below = run.side == "below"
    usual, limit = shown(judged.usual), shown(judged.low if below else judged.high)
    learned = policy.detectors.silence.learn.whole
    side_zh, side_en = ("低于下限", "below the band's floor") if below else ("高于上限", "above the band's ceiling")
    counted = "event" if kind != "rule" else "new warning"
    counted_zh = "笔记录" if kind != "rule" else "项新预警"
    return Reason(
        code=f"{run.side}_band",
        observed=str(judged.count),
        threshold=limit,
        unit="events a day",
        text_zh=f"{kind_zh}{name}在{run.last}有{judged.count}{counted_zh}，{side_zh}{limit}"
        f"（此前{learned}个{day_zh}的中位数为{usual}）。请{check_zh}。",
        text_en=f"{kind_en} {name} had {plural(judged.count, counted)} on {run.last}, {side_en} of {limit} "
        f"(median of the {plural(learned, f'{day_en} day')} before: {usual}); {check_en}.",
    )
