"""silence by the oracle: days on which a source, branch, channel or rule gives far less or more than usual."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from models import oracle
from models.events import Reporter
from models.policy import Policy, PolicyHistory, parse_policy
from models.risk_warning import warning_id
from tests.data import ROOT
from tests.make import at, report, transaction
from tests.silence import FIGURES, NAME, alone, from_day, moves, rows_of, with_silence


@pytest.fixture(scope="module")
def small(policy: Policy) -> Policy:
    """The default policy, learning from three days, from four events a day on."""
    return with_silence(alone(policy), **FIGURES)


def found(policies: Policy | PolicyHistory, counts: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """(anchor, severity, observed) of branch B: counts by day of March 2026 (`05`) or by whole date.

    An event elsewhere at noon of the day after the last one closes that.
    """
    days = {day if len(day) > 2 else f"2026-03-{day}": count for day, count in counts.items()}
    last = max(days)
    end = date.fromisoformat(last) + timedelta(days=1)
    events = [one for day, count in sorted(days.items()) for one in moves(day, count)]
    events.append(transaction("clock", f"{end} 12:00", "1", customer_id="clock"))
    rows = [row for row in rows_of(policies, events) if row["subject"] == "branch:B"]
    return [(row["anchor"], row["severity"], row["observed"]) for row in rows]


# ----------------------------------------------------------------------- the band


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (8, []),
        (2, []),  # 0.25 times 8, exactly at the line
        (1, [("below|2026-03-05", "outside", "1")]),
        (0, [("below|2026-03-05", "silent", "0")]),
        (32, []),  # 4 times 8
        (33, [("above|2026-03-05", "outside", "33")]),
    ],
)
def test_a_day_is_outside_beyond_the_lines_and_not_at_them(
    small: Policy, count: int, expected: list[tuple[str, str, str]]
) -> None:
    severities = small.detectors.silence.severities
    found_there = found(small, {"02": 8, "03": 9, "04": 1, "05": count})  # the middle one, whatever the order
    assert found_there == [(anchor, getattr(severities, what), seen) for anchor, what, seen in expected]


@pytest.mark.parametrize(
    ("count", "anchors"),
    [(2, ["below|2026-03-04"]), (3, []), (9, []), (10, ["above|2026-03-04"])],
)
def test_of_an_even_number_of_days_the_two_in_the_middle_count(small: Policy, count: int, anchors: list[str]) -> None:
    # The median of 4 and 5 is 4.5: below 2.25 and above 9 is outside.
    policy = with_silence(small, learn="2", low="0.5", high="2")
    assert [anchor for anchor, _, _ in found(policy, {"02": 5, "03": 4, "04": count})] == anchors


def test_the_lines_are_exact(small: Policy) -> None:
    # 0.07 times 100 is 7.000000000000001, and 1.1 times 10 is 11.000000000000002, in binary.
    narrow = with_silence(small, low="0.07", high="1.1")
    base = {"02": 100, "03": 100, "04": 100}
    assert found(narrow, base | {"05": 7}) == []
    assert [one[0] for one in found(narrow, base | {"05": 6})] == ["below|2026-03-05"]
    base = {"02": 10, "03": 10, "04": 10}
    assert found(narrow, base | {"05": 11}) == []
    assert [one[0] for one in found(narrow, base | {"05": 12})] == ["above|2026-03-05"]


@pytest.mark.parametrize(("minimum", "judged"), [("4", True), ("4.5", True), ("4.51", False), ("5", False)])
def test_a_series_below_the_minimum_is_not_judged(small: Policy, minimum: str, judged: bool) -> None:
    policy = with_silence(small, learn="2", minimum=minimum)
    assert bool(found(policy, {"02": 4, "03": 5, "04": 0})) is judged


def test_a_warning_in_all_its_columns(small: Policy) -> None:
    events = [one for day in ("02", "03", "04") for one in moves(f"2026-03-{day}", 8)]
    events += [*moves("2026-03-05", 1), transaction("clock", "2026-03-06 12:00", "1", customer_id="clock")]
    branch, source = rows_of(small, events)
    rule = small.detectors.silence
    assert branch == {
        "warning_id": warning_id(NAME, 1, "branch:B", "below|2026-03-05"),
        "detector": NAME,
        "subject": "branch:B",
        "anchor": "below|2026-03-05",
        "severity": rule.severities.outside,
        "departments": list(rule.departments),
        "event_time": datetime(2026, 3, 5, 16, tzinfo=UTC),
        "window_end": datetime(2026, 3, 5, 16, tzinfo=UTC),
        "observed": "1",
    }
    assert (source["subject"], source["anchor"]) == ("source:transactions", "below|2026-03-05")


# -------------------------------------------------------------- what is learned from


def test_nothing_is_judged_before_enough_days_are_known(small: Policy) -> None:
    assert found(small, {"03": 8, "04": 8, "05": 0}) == []
    assert [one[0] for one in found(small, {"03": 8, "04": 8, "05": 8, "06": 0})] == ["below|2026-03-06"]


def test_all_series_start_on_one_day(small: Policy) -> None:
    # Branch B has its first event on the 5th; from the 2nd on its empty days are known to be empty.
    others = moves("2026-03-02", 1, branch_id="A")
    mine = [one for day in ("2026-03-05", "2026-03-06") for one in moves(day, 8)]
    clock = transaction("clock", "2026-03-10 12:00", "1", customer_id="clock")
    for events, expected in (([*others, *mine, clock], ["below|2026-03-09"]), ([*mine, clock], [])):
        anchors = [row["anchor"] for row in rows_of(small, events) if row["subject"] == "branch:B"]
        assert anchors == expected


def test_a_branch_that_is_empty_for_long_is_no_longer_judged(small: Policy) -> None:
    counts = {"02": 8, "03": 8, "04": 8, "05": 0, "06": 0, "09": 0, "10": 0, "11": 0, "12": 0}
    rows = rows_of(
        small,
        [
            *(one for day, count in counts.items() for one in moves(f"2026-03-{day}", count)),
            transaction("clock", "2026-03-13 12:00", "1", customer_id="clock"),
        ],
    )
    branch = next(row for row in rows if row["subject"] == "branch:B")
    assert branch["anchor"] == "below|2026-03-05"
    assert branch["event_time"] == at("2026-03-07 00:00")  # of the 3rd to 5th two are full, of the 4th to 6th one


def test_make_up_days_and_holidays_are_of_their_own_kind(small: Policy) -> None:
    # Saturday 14 February 2026 is worked; 15 to 23 February are holidays; Saturday the 28th is worked again.
    week = {"2026-02-11": 8, "2026-02-12": 8, "2026-02-13": 8}
    assert [one[0] for one in found(small, week | {"2026-02-14": 0})] == ["below|2026-02-14"]
    assert found(small, week | {"2026-02-14": 8, "2026-02-15": 0, "2026-02-16": 0}) == []
    after = week | {"2026-02-14": 8, "2026-02-24": 1}
    assert [one[0] for one in found(small, after)] == ["below|2026-02-24"]
    holidays = {"2026-02-15": 8, "2026-02-16": 8, "2026-02-17": 8}
    assert [one[0] for one in found(small, week | {"2026-02-14": 8} | holidays | {"2026-02-18": 1})] == [
        "below|2026-02-18"
    ]


def test_weekends_are_held_against_weekends(small: Policy) -> None:
    # 1, 7 and 8 March, five each; on working days forty.
    worked = {day: 40 for day in ("02", "03", "04", "05", "06", "09", "10", "11", "12", "13")}
    free = {"01": 5, "07": 5, "08": 5}
    assert found(small, worked | free | {"14": 5}) == []
    assert found(small, worked | free | {"14": 2}) == []
    assert [one[0] for one in found(small, worked | free | {"14": 1})] == ["below|2026-03-14"]
    assert [one[0] for one in found(small, worked | free | {"14": 21})] == ["above|2026-03-14"]


# ----------------------------------------------------------------------- episodes


def test_days_that_follow_are_one_warning_and_stay_silent(small: Policy) -> None:
    severities = small.detectors.silence.severities
    full = {"02": 8, "03": 8, "04": 8}
    assert found(small, full | {"05": 1, "06": 0}) == [("below|2026-03-05", severities.silent, "0")]
    assert found(small, full | {"05": 0, "06": 1}) == [("below|2026-03-05", severities.silent, "1")]
    assert found(small, full | {"05": 1, "06": 1}) == [("below|2026-03-05", severities.outside, "1")]


def test_a_day_inside_ends_it_and_one_that_is_not_judged_does_not(small: Policy) -> None:
    # The 9th and 10th are not judged: of the days before them too many are nearly empty.
    counts = {"02": 8, "03": 8, "04": 8, "05": 1, "06": 1, "09": 8, "10": 8}
    assert [(one[0], one[2]) for one in found(small, counts | {"11": 0})] == [("below|2026-03-05", "0")]
    assert [one[0] for one in found(small, counts | {"11": 8, "12": 0})] == ["below|2026-03-05", "below|2026-03-12"]


def test_the_other_side_is_another_warning(small: Policy) -> None:
    counts = {"02": 8, "03": 8, "04": 8, "05": 1, "06": 33, "09": 1}
    assert [one[0] for one in found(small, counts)] == ["above|2026-03-06", "below|2026-03-05", "below|2026-03-09"]


# ------------------------------------------------------------------ what is counted


def test_each_event_counts_for_its_source_branch_and_channel(small: Policy) -> None:
    events: list[Any] = []
    for day in ("02", "03", "04"):
        events += moves(f"2026-03-{day}", 4, channel="counter")
        events += moves(f"2026-03-{day}", 4, branch_id=None, channel="", origin="bank", currency="AUD")
        events += [
            report(
                f"{day}-{n}", f"2026-03-{day} 10:00", reporter=Reporter(employee_id="T", post="teller", branch_id="B")
            )
            for n in range(4)
        ]
    events.append(transaction("clock", "2026-03-06 12:00", "1", customer_id="clock"))
    rows = rows_of(small, events)
    assert {row["subject"] for row in rows} == {"source:transactions", "source:reports", "branch:B", "channel:counter"}
    # Eight a day each of transactions and of branch B, four of the others: one event on the 5th is inside only there.
    events[-1:-1] = moves("2026-03-05", 1, channel="counter")
    outside = {row["subject"] for row in rows_of(small, events) if row["observed"] == "1"}
    assert outside == {"source:transactions", "branch:B"}


def test_refused_and_repeated_events_do_not_count(small: Policy) -> None:
    events = [one for day in ("02", "03", "04") for one in moves(f"2026-03-{day}", 8)]
    two = moves("2026-03-05", 2)
    clock = transaction("clock", "2026-03-06 12:00", "1", customer_id="clock")
    assert rows_of(small, [*events, *two, clock]) == []
    for sent in ([two[0], two[0]], [two[0], replace(two[1], currency="AUD")]):
        assert {row["observed"] for row in rows_of(small, [*events, *sent, clock])} == {"1"}


def with_structuring(policy: Policy, mode: str) -> Policy:
    rules = policy.detectors
    return replace(policy, detectors=replace(rules, structuring=replace(rules.structuring, mode=mode)))


def test_rules_are_series_by_what_they_told_first(small: Policy) -> None:
    small = with_structuring(small, "live")
    events = [one for day in ("02", "03", "04", "05") for one in moves(f"2026-03-{day}", 1)]
    events.append(transaction("clock", "2026-03-06 12:00", "1", customer_id="clock"))
    names = ("structuring", "industry_concentration", "silence", "missing_rate")
    told = [(name, at(f"2026-03-{day} 23:59:59")) for name in names for day in ("02", "03", "04") for _ in range(4)]
    assert [(row["subject"], row["anchor"]) for row in rows_of(small, events, told)] == [
        ("rule:structuring", "below|2026-03-05")
    ]
    assert rows_of(small, events, [*told, ("structuring", at("2026-03-05 00:00"))]) == []
    assert rows_of(small, events) == []


def test_nothing_is_expected_of_a_rule_that_is_off(small: Policy) -> None:
    events = [one for day in ("02", "03", "04", "05", "06") for one in moves(f"2026-03-{day}", 8)]
    told = [("structuring", at(f"2026-03-{day} 12:00")) for day in ("02", "03", "04") for _ in range(8)]
    for mode in ("live", "shadow"):
        assert [row["subject"] for row in rows_of(with_structuring(small, mode), events, told)] == ["rule:structuring"]
    assert rows_of(with_structuring(small, "off"), events, told) == []


# ------------------------------------------------------------------------ versions


def test_a_day_on_which_the_rule_is_off_is_not_judged(small: Policy) -> None:
    counts = {"02": 8, "03": 8, "04": 8, "05": 1, "06": 8, "09": 1}
    assert [one[0] for one in found(small, counts)] == ["below|2026-03-05", "below|2026-03-09"]
    off = from_day(with_silence(small, mode="off"), "2026-03-06")
    policies = PolicyHistory(small, off, from_day(small, "2026-03-09"))
    assert [one[0] for one in found(policies, counts)] == ["below|2026-03-05"]
    shadow = from_day(with_silence(small, mode="shadow"), "2026-03-06")
    assert [one[0] for one in found(PolicyHistory(small, shadow), counts)] == ["below|2026-03-05", "below|2026-03-09"]
    assert found(with_silence(small, mode="off"), counts) == []


def test_a_day_is_judged_by_the_figures_in_force_on_it(small: Policy) -> None:
    counts = {"02": 8, "03": 8, "04": 2, "05": 2}
    later = from_day(with_silence(small, learn="1", minimum="2", high="1.5"), "2026-03-05")
    # Learned from one day alone, two are as usual on the 5th; learned from three, they are at the line.
    assert found(PolicyHistory(small, later), counts) == []
    assert [one[0] for one in found(PolicyHistory(small, later), counts | {"06": 4})] == ["above|2026-03-06"]
    longer = from_day(with_silence(small, learn="4"), "2026-03-05")
    assert found(PolicyHistory(small, longer), {"02": 8, "03": 8, "04": 8, "05": 0}) == []
    assert [one[0] for one in found(PolicyHistory(small, longer), {"02": 8, "03": 8, "04": 8, "05": 8, "06": 0})] == [
        "below|2026-03-06"
    ]


def test_a_version_in_the_middle_says_who_is_told_and_severity_never_falls(small: Policy) -> None:
    first = small.detectors.silence
    severities = replace(first.severities, silent="critical", outside="high")
    milder = replace(first.severities, silent="low", outside="low")
    counts = {"02": 8, "03": 8, "04": 8, "05": 0, "06": 1}
    for other, expected in ((severities, "critical"), (milder, first.severities.silent)):
        later = from_day(with_silence(small, severities=other, departments=("it",)), "2026-03-06")
        policies = PolicyHistory(small, later)
        assert found(policies, counts) == [("below|2026-03-05", expected, "1")]
        events = [one for day, count in counts.items() for one in moves(f"2026-03-{day}", count)]
        events.append(transaction("clock", "2026-03-07 12:00", "1", customer_id="clock"))
        assert [row["departments"] for row in rows_of(policies, events)] == [["it"], ["it"]]


# ------------------------------------------------------------------------- closing


@pytest.mark.parametrize(
    ("clock", "closed", "anchors"),
    [
        ("2026-03-06 05:59:59.999999", "2026-03-05 00:00", []),
        ("2026-03-06 06:00", "2026-03-06 00:00", ["below|2026-03-05"]),
        ("2026-03-07 05:59", "2026-03-06 00:00", ["below|2026-03-05"]),
    ],
)
def test_a_day_is_closed_once_the_newest_event_is_at_the_end_of_its_grace(
    small: Policy, clock: str, closed: str, anchors: list[str]
) -> None:
    events: list[Any] = [one for day in ("02", "03", "04") for one in moves(f"2026-03-{day}", 8)]
    events.append(report("clock", clock))
    assert [row["anchor"] for row in rows_of(small, events) if row["subject"] == "branch:B"] == anchors
    frames = {"transactions": oracle.from_events(events[:-1]), "reports": oracle.from_events(events[-1:])}
    assert oracle.closed_until(**frames, policies=PolicyHistory(small)) == at(closed)


def test_nothing_is_closed_without_events_or_on_the_first_day(small: Policy) -> None:
    policies = PolicyHistory(small)
    assert oracle.closed_until(policies=policies) is None
    assert oracle.closed_until(transactions=oracle.from_events(moves("2026-03-02", 3)), policies=policies) is None
    assert rows_of(small, []) == rows_of(small, moves("2026-03-02", 3)) == []


@pytest.mark.parametrize(
    ("days", "end"),
    [
        # 8 March 2026 has 23 hours in New York, 1 November 2026 has 25; both are Sundays.
        (("2026-02-22", "2026-02-28", "2026-03-01", "2026-03-07", "2026-03-08"), datetime(2026, 3, 9, 4, tzinfo=UTC)),
        (("2026-10-18", "2026-10-24", "2026-10-25", "2026-10-31", "2026-11-01"), datetime(2026, 11, 2, 5, tzinfo=UTC)),
    ],
)
def test_days_on_which_the_clock_is_changed(days: tuple[str, ...], end: datetime) -> None:
    policy = with_silence(
        parse_policy((ROOT / "deploy" / "policy" / "us.toml").read_bytes(), "us.toml"), **FIGURES | {"grace": "2"}
    )
    zone = policy.bank_calendar.zone
    events = [
        replace(one, event_time=datetime.fromisoformat(f"{day} {hour}").replace(tzinfo=zone), currency="USD")
        for day in days[:-1]
        for hour in ("00:00", "01:30", "12:00", "23:59:59.999999")
        for one in moves(day, 1, channel=hour)
    ]
    events = [replace(one, event_id=f"e{n}", customer_id=f"C{n}") for n, one in enumerate(events)]
    for early, expected in ((timedelta(microseconds=1), []), (timedelta(), [f"below|{days[-1]}"])):
        clock = transaction(
            "clock", end + timedelta(hours=2) - early, "1", customer_id="clock", currency="USD", branch_id="A"
        )
        rows = [row for row in rows_of(policy, [*events, clock]) if row["subject"] == "branch:B"]
        assert [row["anchor"] for row in rows] == expected
        assert all(row["window_end"] == end for row in rows)
