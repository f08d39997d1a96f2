"""silence by the oracle against its rule's text, done one series and one day after the other."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from statistics import median
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import PostReport, Reporter, Transaction
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank
from tests.make import at, report
from tests.silence import alone, from_day, moves, rows_of, with_silence


def by_the_text(
    events: Sequence[Any], told: Sequence[tuple[str, datetime]], policies: PolicyHistory
) -> set[tuple[str, str, str, str, datetime]]:
    """(subject, anchor, severity, observed, event_time), one series and one day after the other."""
    calendar = policies.latest.bank_calendar
    counts: dict[str, Counter[date]] = defaultdict(Counter)
    for event in events:
        day = calendar.day_of(event.event_time)
        names = ["source:reports", f"branch:{event.reporter.branch_id}"] if isinstance(event, PostReport) else []
        if isinstance(event, Transaction):
            names = ["source:transactions"]
            names += [f"branch:{event.branch_id}"] if event.branch_id else []
            names += [f"channel:{event.channel}"] if event.channel else []
        for name in names:
            counts[name][day] += 1
    for detector, moment in told:
        counts[f"rule:{detector}"][calendar.day_of(moment)] += 1
    start = min(day for series in counts.values() for day in series)
    clock = max(event.event_time for event in events)
    closed = []
    day = start
    while clock >= calendar.day_window(day)[1] + timedelta(hours=policies.on(day).detectors.silence.grace.whole):
        closed.append(day)
        day += timedelta(days=1)
    found = set()
    for name, series in counts.items():
        episode: dict[str, Any] | None = None
        for day in closed:
            rule = policies.on(day).detectors.silence
            kind = calendar.is_working_day(day)
            before = [one for one in closed if one < day and calendar.is_working_day(one) == kind][-rule.learn.whole :]
            if len(before) < rule.learn.whole or rule.mode == "off":
                continue
            middle = median(Fraction(series[one]) for one in before)
            if middle < Fraction(rule.minimum.value):
                continue
            count = series[day]
            below, above = count < Fraction(rule.low.value) * middle, count > Fraction(rule.high.value) * middle
            side = "below" if below else "above" if above else None
            if episode is not None and episode["side"] != side:
                found.add(_closed(name, episode))
                episode = None
            if side is None:
                continue
            if episode is None:
                episode = {"side": side, "first": day, "silent": False, "rank": 0}
            episode["silent"] |= count == 0
            severity = rule.severities.silent if episode["silent"] else rule.severities.outside
            rank = max(episode["rank"], severity_rank(severity))
            episode |= {"rank": rank, "count": count, "end": calendar.day_window(day)[1]}
        if episode is not None:
            found.add(_closed(name, episode))
    return found


def _closed(name: str, episode: Mapping[str, Any]) -> tuple[str, str, str, str, datetime]:
    severity = ("low", "medium", "high", "critical")[episode["rank"]]
    return name, f"{episode['side']}|{episode['first']}", severity, str(episode["count"]), episode["end"]


DAYS = [date(2026, 2, 9) + timedelta(days=n) for n in range(24)]  # over Spring Festival and its make-up Saturdays
figures = st.fixed_dictionaries(
    {
        "learn": st.sampled_from(["1", "2", "3", "4"]),
        "low": st.sampled_from(["0.07", "0.25", "0.5", "0.9"]),
        "high": st.sampled_from(["1.1", "1.5", "3"]),
        "minimum": st.sampled_from(["1", "2", "3"]),
        "grace": st.sampled_from(["0", "6", "30"]),
        "mode": st.sampled_from(["live", "live", "live", "shadow", "off"]),
    }
)
counts_of = st.lists(st.sampled_from([0, 0, 1, 2, 3, 4, 7]), min_size=len(DAYS), max_size=len(DAYS))
told_of = st.lists(st.sampled_from([0, 0, 1, 4]), min_size=len(DAYS), max_size=len(DAYS))


@given(figures, figures, st.sampled_from(DAYS[1:]), counts_of, counts_of, counts_of, told_of, st.integers(0, 48))
@settings(max_examples=50, deadline=None)
def test_the_query_says_what_the_text_says(
    policy: Policy,
    before: dict[str, str],
    after: dict[str, str],
    change: date,
    at_b1: list[int],
    at_b2: list[int],
    filed: list[int],
    rules: list[int],
    hours: int,
) -> None:
    versions = with_silence(alone(policy), **before), from_day(with_silence(alone(policy), **after), str(change))
    policies = PolicyHistory(*versions)
    events: list[Any] = [report("clock", at("2026-03-05 00:00") + timedelta(hours=hours))]
    for day, one, two, three in zip(DAYS, at_b1, at_b2, filed, strict=True):
        events += moves(str(day), one, branch_id="B1", channel="web")
        events += moves(str(day), two, branch_id="B2", channel=None)
        reporter = Reporter(employee_id="T", post="teller", branch_id="B1")
        events += [
            report(f"{day}-{n}", f"{day} 10:00", customer_id=f"R{day}-{n}", reporter=reporter) for n in range(three)
        ]
    first = events[1].event_time if len(events) > 1 else events[0].event_time
    told = [
        ("structuring", moment)
        for day, count in zip(DAYS, rules, strict=True)
        for moment in [at(f"{day} 12:00")] * count
        if moment >= first
    ]
    rows = rows_of(policies, events, told)
    assert {
        (row["subject"], row["anchor"], row["severity"], row["observed"], row["event_time"]) for row in rows
    } == by_the_text(events, told, policies)
