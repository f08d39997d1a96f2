"""The PPP loans of four states replayed by date, as two books: the stream's books at each month end, and its warnings
of large lenders, against queries over the raw files.

`by_state`: a state's loans are one entity's, and a lender is its borrower (and a group of its own, of which `portfolio`
has a line each). `as_mapped`: a lender is an entity. Money is compared in whole cents, the rest as it is printed.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

import polars as pl
import pytest
from msgspec.structs import replace

from connectors.policy_file import load_policies
from connectors.sources import load_mapping, read, to_events
from models.events import CapitalPosition, LoanEvent
from models.messages import PortfolioEntry
from models.oracle import from_events
from models.oracle.book import book_at
from models.pipeline import LocalPipeline
from models.policy import LEVELS
from models.risk_warning import RiskWarning
from tests.data import DATA, ROOT, needs_data

pytestmark = needs_data

POLICIES = load_policies(ROOT / "deploy" / "policy" / "us.toml")
MONTH_ENDS = [date(2020, 4, 30), date(2020, 5, 31), date(2020, 6, 30)]
NET_CAPITAL = 20_000_000  # of each state's entity: lenders pass 2.0, 2.5 and 3.0 million on their way up
STATES = ["WY", "ND", "SD", "DE"]
JOINED = {"31": "31-33", "32": "31-33", "33": "31-33", "44": "44-45", "45": "44-45", "48": "48-49", "49": "48-49"}
# Lenders that passed control, and the last of them: when, by which loan, and who.
CROSSED = {
    "WY": (26, date(2020, 5, 27), "ppp-WY-5082", "Cross River Bank"),
    "ND": (42, date(2020, 6, 24), "ppp-ND-15251", "Peoples State Bank"),
    "SD": (33, date(2020, 6, 30), "ppp-SD-15404", "Merchants State Bank"),
    "DE": (18, date(2020, 6, 21), "ppp-DE-2067", "Kabbage, Inc."),
}


# -------------------------------------------------------------- the raw files


@cache
def raw(state: str) -> pl.DataFrame:
    """The rows of a file in the total order of events: the day of approval, then the id."""
    rows = pl.read_csv(DATA / f"ppp/foia_up_to_150k_{state}.csv.gz", infer_schema_length=0).with_row_index("row", 1)
    prefix = pl.col("NAICSCode").fill_null("").str.slice(0, 2)
    return rows.select(
        pl.format("ppp-{}-{}", "State", "row").alias("event_id"),
        pl.col("DateApproved").str.to_date("%m/%d/%Y").alias("on"),
        pl.col("Lender").alias("lender"),
        pl.when(prefix == "").then(pl.lit("unknown")).otherwise(prefix.replace(JOINED)).alias("sector"),
        (pl.col("LoanAmount").str.to_decimal(scale=2) * 100).cast(pl.Int64).alias("cents"),
    ).sort("on", "event_id")


def until(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    return rows.filter(pl.col("on") <= day)


def sums(rows: pl.DataFrame, *by: str) -> dict[Any, tuple[int, int]]:
    """Cents and loans by one column, or by several."""
    found = rows.group_by(by).agg(pl.col("cents").sum(), pl.len())
    return {row[0] if len(by) == 1 else row[: len(by)]: (row[-2], row[-1]) for row in found.iter_rows()}


def six(part: int, whole: int) -> Decimal:
    """part / whole, half-even to six places."""
    millionths, rest = divmod(part * 10**6, whole)
    up = 2 * rest > whole or (2 * rest == whole and millionths % 2 == 1)
    return Decimal(millionths + up).scaleb(-6)


def measures(cents: Iterable[int]) -> tuple[str, str, str]:
    """HHI, effective number and CR4 as they are printed."""
    ordered = sorted(cents, reverse=True)
    total, squares = sum(ordered), sum(one * one for one in ordered)
    return (
        f"{six(squares, total * total):f}",
        f"{six(total * total, squares):f}",
        f"{six(sum(ordered[:4]), total):f}",
    )


# ------------------------------------------------------------------ the stream


class Replay(NamedTuple):
    """What the stream said: the lines of `portfolio` by key at each month end, and each revision of each warning."""

    books: dict[date, dict[str, PortfolioEntry]]
    warnings: list[RiskWarning]


@cache
def mapped(state: str) -> list[LoanEvent]:
    """The events of a state by date, each date's in the order of the file."""
    frame = read(DATA / f"ppp/foia_up_to_150k_{state}.csv.gz", load_mapping(ROOT / "deploy" / "mappings" / "ppp.toml"))
    return sorted(to_events(frame), key=lambda event: event.event_time)


@cache
def by_state(state: str) -> list[LoanEvent]:
    return [replace(one, entity=state, borrower_id=one.entity, group_id=one.entity) for one in mapped(state)]


def replayed(events: Sequence[LoanEvent], *capital: CapitalPosition) -> Replay:
    pipeline, found, lines = LocalPipeline(POLICIES), Replay({}, []), dict[str, PortfolioEntry]()

    def take(emits: Iterable[Any]) -> None:
        for emit in emits:
            if emit.topic == "portfolio":
                lines[emit.value.key] = emit.value
            elif emit.topic == "warnings":
                found.warnings.append(emit.value)

    for position in capital:
        pipeline.feed("capital", position)
    for _, month in groupby(events, key=lambda event: day_of(event).month):
        for number, event in enumerate(month):
            # The first event of a month shows that nothing of the month before it is missing any more.
            take(pipeline.feed("loans", event))
            if number == 0 and lines:
                found.books[MONTH_ENDS[len(found.books)]] = dict(lines)
    take(pipeline.finish())
    found.books[MONTH_ENDS[len(found.books)]] = dict(lines)
    assert not pipeline.refusals
    return found


def day_of(event: LoanEvent) -> date:
    return POLICIES.latest.bank_calendar.day_of(event.event_time)


def of_dimension(lines: dict[str, PortfolioEntry], dimension: str, entity: str) -> Iterator[PortfolioEntry]:
    return (line for line in lines.values() if (line.dimension, line.entity) == (dimension, entity))


def in_cents(amount: Decimal) -> int:
    cents = amount * 100
    assert cents == int(cents)
    return int(cents)


def held(lines: Iterable[PortfolioEntry]) -> dict[str, tuple[int, int]]:
    """Cents and loans by member."""
    return {line.member: (in_cents(line.exposure), line.loans) for line in lines}


def measured(line: Any) -> tuple[str, str, str]:
    return f"{line.hhi:f}", f"{line.effective_number:f}", f"{line.cr4:f}"


def check_as_of(lines: Iterable[PortfolioEntry], rows: pl.DataFrame, column: str, last: dict[Any, date]) -> None:
    """A member's line is as of the day on which it changed last: its shares and indices are of that day's book."""
    books: dict[date, dict[Any, tuple[int, int]]] = {}
    for line in lines:
        day = POLICIES.latest.bank_calendar.day_of(line.as_of)
        assert day >= last[line.member]
        book = books.setdefault(day, sums(until(rows, day), column))
        total = sum(cents for cents, _ in book.values())
        assert in_cents(line.total) == total
        assert f"{line.share:f}" == f"{six(book[line.member][0], total):f}"
        assert measured(line) == measures(cents for cents, _ in book.values())


def last_days(rows: pl.DataFrame, column: str) -> dict[Any, date]:
    return dict(rows.group_by(column).agg(pl.col("on").max()).iter_rows())


def check_whole(lines: dict[str, PortfolioEntry], entity: str, rows: pl.DataFrame, **dimensions: str) -> None:
    """An entity's own line: its book, and the indices over each dimension, of a column of the file."""
    line = lines[f"{entity}|entity|{entity}"]
    assert (in_cents(line.exposure), line.loans) == (rows["cents"].sum(), len(rows))
    assert line.total == line.exposure
    assert POLICIES.latest.bank_calendar.day_of(line.as_of) == rows["on"].max()
    assert line.indices is not None
    for dimension, column in dimensions.items():
        cents = [one for one, _ in sums(rows, column).values()]
        found = getattr(line.indices, dimension)
        assert found.members == len(cents)
        assert measured(found) == measures(cents)
    assert measured(line) == measured(line.indices.industry)


# ----------------------------------------------------------------- the two books


@cache
def state_book(state: str) -> Replay:
    capital = CapitalPosition(
        entity=state,
        as_of=date(2020, 1, 1),
        net_capital=Decimal(NET_CAPITAL),
        tier1_capital=Decimal(NET_CAPITAL),
        currency="USD",
    )
    return replayed(by_state(state), capital)


@pytest.mark.parametrize("state", STATES)
def test_a_state_as_one_book_by_sector_and_by_lender(state: str) -> None:
    found = state_book(state)
    assert list(found.books) == MONTH_ENDS
    for end, lines in found.books.items():
        rows = until(raw(state), end)
        check_whole(lines, state, rows, industry="sector", borrower="lender", group="lender")
        for dimension, column in (("industry", "sector"), ("group", "lender")):
            assert held(of_dimension(lines, dimension, state)) == sums(rows, column)
            check_as_of(of_dimension(lines, dimension, state), rows, column, last_days(rows, column))
        large = {lender: one for lender, one in sums(rows, "lender").items() if one[0] * 10 >= NET_CAPITAL * 100}
        assert held(of_dimension(lines, "borrower", state)) == large


@pytest.mark.parametrize("state", STATES)
def test_the_oracles_book_of_a_month_end_is_the_same(state: str) -> None:
    book = book_at(from_events(by_state(state)), POLICIES, MONTH_ENDS[1]).select(
        pl.col("member").alias("sector"),
        pl.col("borrower_id").alias("lender"),
        (pl.col("balance_base") * 100).cast(pl.Int64).alias("cents"),
    )
    assert sums(book, "sector", "lender") == sums(until(raw(state), MONTH_ENDS[1]), "sector", "lender")


@pytest.mark.parametrize("state", STATES)
def test_a_lender_that_passes_a_level_is_warned_of_once_at_the_very_loan(state: str) -> None:
    figures = POLICIES.latest.detectors.name_concentration.single
    assert figures is not None
    severities = POLICIES.latest.detectors.name_concentration.severities
    running = raw(state).with_columns(
        pl.col("cents").cum_sum().over("lender").alias("exposure"),
        pl.int_range(1, pl.len() + 1).over("lender").alias("loans"),
    )
    expected: dict[str, dict[str, tuple[Any, ...]]] = {}
    for level in LEVELS:
        line = figures.figures[level] * NET_CAPITAL * 100
        assert line == int(line)
        first = running.filter(pl.col("exposure") >= int(line)).unique("lender", keep="first", maintain_order=True)
        for event_id, on, lender, _, _, exposure, loans in first.iter_rows():
            # One loan may pass several levels: it is told of the highest.
            step = (severities[level], on, loans, f"{six(exposure, NET_CAPITAL * 100):f}")
            expected.setdefault(lender, {})[event_id] = step
    told: dict[str, list[RiskWarning]] = {}
    for warning in state_book(state).warnings:
        if warning.subject.startswith("borrower:"):
            told.setdefault(warning.subject, []).append(warning)
    assert {subject: as_told(revisions) for subject, revisions in told.items()} == {
        f"borrower:{state}:{lender}": list(steps.items()) for lender, steps in expected.items()
    }
    assert all(len({one.warning_id for one in revisions}) == 1 for revisions in told.values())
    critical = [
        (on, event_id, lender)
        for lender, steps in expected.items()
        for event_id, (severity, on, *_) in steps.items()
        if severity == severities["control"]
    ]
    assert (len(critical), *max(critical)) == CROSSED[state]


def as_told(revisions: list[RiskWarning]) -> list[tuple[str, tuple[Any, ...]]]:
    day = POLICIES.latest.bank_calendar.day_of
    return [
        (" ".join(one.event_ids), (one.severity, day(one.event_time), one.event_count, one.reasons[0].observed))
        for one in revisions
    ]


@pytest.mark.parametrize("state", STATES)
def test_each_lender_as_a_book_of_its_own_by_sector(state: str) -> None:
    """Every third lender by name: their books do not touch one another, and all would take minutes."""
    lenders = raw(state)["lender"].unique().sort().gather_every(3).to_list()
    chosen = set(lenders)
    found = replayed([event for event in mapped(state) if event.entity in chosen])
    assert list(found.books) == MONTH_ENDS
    for end, lines in found.books.items():
        rows = until(raw(state), end).filter(pl.col("lender").is_in(lenders))
        of_lenders = {str(lender): of_lender for (lender,), of_lender in rows.group_by("lender")}
        assert {line.entity for line in lines.values()} == set(of_lenders)
        by_lender: dict[str, list[PortfolioEntry]] = {}
        for line in lines.values():
            by_lender.setdefault(line.entity, []).append(line)
        for lender, of_lender in of_lenders.items():
            check_whole(lines, lender, of_lender, industry="sector")
            sectors = [line for line in by_lender[lender] if line.dimension == "industry"]
            assert held(sectors) == sums(of_lender, "sector")
            check_as_of(sectors, of_lender, "sector", last_days(of_lender, "sector"))
            regions = held(line for line in by_lender[lender] if line.dimension == "region")
            assert regions == {f"US-{state}": (of_lender["cents"].sum(), len(of_lender))}
