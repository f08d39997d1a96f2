"""The indicators of a simulated quarter, as the reports count them and as the oracle does."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, get_args

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent, PostReport, Transaction
from models.oracle import kpi
from models.policy import Deadlines, Figure, Policy, parse_policy
from models.response.case import Case
from models.response.happenings import Happenings
from models.response.indicators import indicators
from models.response.kpi import Figures, Kpi, Ratio, together
from models.response.period import Period, parse_period
from tests.data import ROOT
from tests.quarter import Played, again, play

QUARTER = parse_period("2026-Q1")  # New Year, Spring Festival with its make-up days, and in Europe summer time
MONTHS = QUARTER.each_month()
SEEDS = (1, 2)


class World(NamedTuple):
    policy: Policy
    played: Played


def shipped(name: str) -> Policy:
    """A policy that holds all the time."""
    policy = parse_policy((ROOT / "deploy" / "policy" / f"{name}.toml").read_bytes())
    return replace(policy, policy=replace(policy.policy, valid_from=datetime(2025, 12, 1, tzinfo=UTC)))


@pytest.fixture(scope="module", params=[(name, seed) for name in ("cn", "eu") for seed in SEEDS], ids=str)
def world(request: pytest.FixtureRequest) -> World:
    name, seed = request.param
    policy = shipped(name)
    return World(policy, play(policy, [month.bounds(policy.bank_calendar) for month in MONTHS], seed))


def read(cases: Iterable[Case]) -> list[Case]:
    """As a report reads them from their topic."""
    return [msgspec.json.decode(msgspec.json.encode(case), type=Case) for case in cases]


def counted(world: World, cases: Iterable[Case], *months: Period) -> list[Figures]:
    happened = Happenings(read(cases), world.played.warnings, MONTHS, world.policy.bank_calendar)
    for event, arrived in world.played.events:
        happened.take(event, arrived)
    return [indicators(happened, month) for month in months or MONTHS]


def rows(structs: Iterable[msgspec.Struct], schema: dict[str, Any]) -> pl.DataFrame:
    plain = [msgspec.to_builtins(one, builtin_types=(datetime,)) for one in structs]
    return pl.DataFrame(plain, schema=schema)


def frame(played: Played, kind: type) -> pl.DataFrame:
    some = [(event, arrived) for event, arrived in played.events if isinstance(event, kind)]
    return oracle.from_events([event for event, _ in some], ingest_times=[arrived for _, arrived in some])


def queried(world: World, cases: Iterable[Case]) -> list[pl.DataFrame]:
    moves, filed, lent = (frame(world.played, kind) for kind in (Transaction, PostReport, LoanEvent))
    told, stand = rows(world.played.warnings, kpi.TOLD), rows(read(cases), kpi.CASES)
    found, bank = [], world.policy.bank_calendar
    for month in MONTHS:
        start, end = month.bounds(bank)
        found.append(kpi.indicators(stand, told, moves, filed, lent, start, end, bank.config.timezone))
    return found


Row = tuple[Any, ...]


def by_key(figures: Figures) -> dict[Row, Row]:
    found: dict[Row, Row] = {}
    for key, one in figures.items():
        if isinstance(one, Ratio):
            whole = None if isinstance(one.whole, int) else sorted(one.whole)
            value = None if one.value is None else str(one.value)
            row: Row = (sorted(one.part), whole, one.count, value)
        else:
            row = (dict(one.spans), one.p50, one.p95)
        found[key.kpi, key.by, key.member] = row
    return found


def of_frame(figures: pl.DataFrame) -> dict[Row, Row]:
    found: dict[Row, Row] = {}
    for row in figures.iter_rows(named=True):
        spans = row["spans"]
        of_share = row["part"], row["whole"], row["count"], row["value"]
        of_clock = {one["id"]: one["span"] for one in spans or ()}, row["p50"], row["p95"]
        found[row["kpi"], row["by"], row["member"]] = of_share if spans is None else of_clock
    return found


def same_instants(found: dict[Row, Row]) -> dict[Row, Row]:
    """A decision's id tells its time, which may be written in any offset from UTC."""

    def instant(name: str) -> str:
        case, _, at = name.rpartition("@")
        return f"{case}@{datetime.fromisoformat(at).astimezone(UTC).isoformat()}" if case else name

    def written(row: Row) -> Row:
        part, whole, *rest = row
        return sorted(map(instant, part)), None if whole is None else sorted(map(instant, whole)), *rest

    return {key: written(row) if key[0] in ("false_positives", "risk_events") else row for key, row in found.items()}


def test_every_month_and_the_quarter(world: World) -> None:
    cases = world.played.desk.cases.values()
    figures, queries = counted(world, cases), queried(world, cases)
    for month, stream, query in zip(MONTHS, figures, queries, strict=True):
        assert same_instants(of_frame(query)) == same_instants(by_key(stream)), month.name
    whole = by_key(together(figures))
    assert same_instants(of_frame(kpi.together(queries))) == same_instants(whole)
    # Otherwise little would have been shown.
    for name in ("completion", "timeliness", "joint_completion", "false_positives"):
        part, _, count, _ = whole[name, "all", ""]
        assert 0 < len(part) < count
    assert all(whole[name, "all", ""][0] for name in get_args(Kpi))


def by_work(figures: Figures) -> dict[Row, Row]:
    """What depends on nothing but tasks and the events of the month."""
    return {key: row for key, row in by_key(figures).items() if key[1] == "all" or key[:2] in OF_TASKS}


OF_TASKS = {(name, "department") for name in ("completion", "timeliness", "acknowledgement", "handling", "resolution")}


def before_and_after(world: World, month: Period) -> tuple[Figures, Figures]:
    """The figures of a month by what came to pass until its end, and by all that came to pass."""
    end = month.bounds(world.policy.bank_calendar)[1]
    until = [one for one in world.played.sent if one[0].event_time < end]
    since = [one for one in world.played.sent if one[0].event_time >= end]
    first, all_of_it = again(until, world.policy), again(until + since, world.policy)
    return counted(world, first.cases.values(), month)[0], counted(world, all_of_it.cases.values(), month)[0]


@pytest.mark.parametrize("month", MONTHS[:2], ids=str)
def test_what_comes_later_changes_no_figure(world: World, month: Period) -> None:
    before, after = before_and_after(world, month)
    assert by_work(after) == by_work(before)


def with_hours(policy: Policy, day: str, hours: int) -> Policy:
    """A version from a day on by which everything is due after so many working hours."""
    due = Deadlines(acknowledge=figure(hours), complete=figure(2 * hours))
    response = replace(policy.response, deadlines=dict.fromkeys(policy.response.deadlines, due))
    since = policy.bank_calendar.day_window(date.fromisoformat(day))[0]
    head = replace(policy.policy, version=f"from {day}", valid_from=since)
    return replace(policy, policy=head, response=response)


def figure(value: int) -> Figure:
    return Figure(value=Decimal(value), unit="working hours", source="internal")


@pytest.mark.parametrize("hours", [1, 100])
def test_other_deadlines_from_a_day_on_change_no_figure_before_it(world: World, hours: int) -> None:
    def figures(*policies: Policy) -> list[Figures]:
        return counted(world, again(world.played.sent, *policies).cases.values())

    before = figures(world.policy)
    assert figures(world.policy, with_hours(world.policy, "2026-04-01", hours)) == before
    changed = figures(world.policy, with_hours(world.policy, "2026-03-01", hours))
    assert changed[:2] == before[:2]
    assert changed[2] != before[2]
