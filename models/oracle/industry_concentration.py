"""industry_concentration a second time: every industry's share of an entity's book after every event of it.

Shares and multiples of capital are compared by cross-multiplication of integers. Columns hold every (event,
industry) that could reach a level at all; only the changes of what those figures say are walked through in order.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple

import polars as pl

from models.oracle.frames import (
    at_least,
    big,
    by_span,
    rate_places,
    scale_of,
    six_places,
)
from models.oracle.industries import UNKNOWN
from models.oracle.level_episodes import Rise, episode_warnings
from models.policy import LEVELS, IndustryConcentration, LevelFigures, Policy, PolicyHistory
from models.risk_warning import Severity

# `capital` is the net capital of the day, `unit` what an exposure is multiplied with to be in its units.
_FIGURES = ("entity", "member", "event_time", "day", "total", "capital", "unit")
CHUNK_ROWS = 4_000_000  # (event, industry) rows held at once: about half a gigabyte


class _Change(NamedTuple):
    """What the figures of an industry say from one event on."""

    entity: str
    member: str
    event_time: datetime
    day: date
    level: int  # the level the figures reach: 0 for none, 1 to 3
    stays: int  # the highest level that would be kept, were the industry at it
    loans: int  # with a balance
    observed: str


def industry_concentrations(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one an episode; two that began on one day are one.

    Args:
        loans: accepted loan events.
        capital: accepted capital positions.
    """
    book = _book(loans, capital, policies)
    found = (
        rise
        for chunk in _chunks(_candidates(book, policies), book)
        for rise in _rises(_changes(_figures(chunk, book, policies)))
    )

    def severity(rule: IndustryConcentration, level: int) -> Severity:
        return rule.severities[LEVELS[level - 1]]

    return episode_warnings(found, "industry_concentration", policies, severity)


def _book(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """Each event in the total order, with the entity's total, whether it is eligible, and its capital of that day.

    The order is that of time; of one instant, what adds comes before what takes away, then by event_id.
    """
    places, scale = rate_places(policies), scale_of(loans)

    def judge(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
        rule = policy.detectors.industry_concentration
        return rows.with_columns(
            big(at_least(rule.minimum_book.value, 10 ** (scale + places))).alias("least"),
            pl.lit(rule.minimum_loans.whole).alias("least_loans"),
            pl.lit(rule.mode != "off").alias("on"),
        )

    book = (
        by_span(loans, policies, judge)
        .sort("entity", "event_time", pl.col("own") < 0, "event_id", "borrower_id", "arrival")
        .with_columns(
            pl.col("delta").cum_sum().over("entity").alias("total"),
            pl.col("opened").cum_sum().over("entity").alias("running_loans"),
            pl.col("delta").cum_sum().over("entity", "member").alias("exposure"),
        )
    )
    enough = (pl.col("total") >= pl.col("least")) & (pl.col("running_loans") >= pl.col("least_loans"))
    eligible = pl.col("on") & enough & (pl.col("total") > 0)
    # Capital may be given with other decimal places than loans are.
    shift = 10 ** abs(scale - scale_of(capital, "net_capital"))
    grow = scale >= scale_of(capital, "net_capital")
    factors = (big(shift), big(1)) if grow else (big(1), big(shift))
    known = capital.select("entity", "as_of", (pl.col("capital") * factors[0]).alias("capital")).sort("as_of")
    return (
        book.with_columns(eligible.alias("eligible"), factors[1].alias("unit"))
        .with_row_index("order")
        .sort("day")
        .join_asof(known, left_on="day", right_on="as_of", by="entity", strategy="backward", check_sortedness=False)
        .sort("order")
        .select("order", "delta", "opened", "exposure", "eligible", *_FIGURES)
    )


def _candidates(book: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The industries that reach a level at some time if any do: their largest exposure against the smallest book."""
    eligible = (
        book.filter("eligible")
        .group_by("entity")
        .agg(pl.col("total").min().alias("least_total"), pl.col("capital").min().alias("least_capital"))
    )
    largest = (
        book.filter(pl.col("member") != UNKNOWN)
        .group_by("entity", "member")
        .agg(pl.col("exposure").max(), pl.col("unit").first())
    )
    rules = [policy.detectors.industry_concentration for policy in policies.versions]
    share = min(rule.share.observation.value for rule in rules)
    of_capital = min(rule.net_capital.observation.value for rule in rules)
    reach = _at_least("exposure", share, "least_total") | _at_least("exposure", of_capital, "least_capital")
    return largest.join(eligible, on="entity").filter(reach.fill_null(False)).select("entity", "member")


def _at_least(column: str, times: Any, of: str) -> pl.Expr:
    """Exactly: column >= times × of, for a decimal `times`."""
    ratio = Fraction(times)
    unit = pl.col("unit") if of.endswith("capital") else big(1)
    return pl.col(column) * unit * big(ratio.denominator) >= big(ratio.numerator) * pl.col(of)


def _chunks(candidates: pl.DataFrame, book: pl.DataFrame) -> Iterator[pl.DataFrame]:
    sizes = book.group_by("entity").agg(pl.len().cast(pl.Int64).alias("rows"))
    sized = candidates.join(sizes, on="entity").sort("entity", "member")
    sized = sized.with_columns((pl.col("rows").cum_sum() // CHUNK_ROWS).alias("chunk"))
    yield from sized.partition_by("chunk", maintain_order=True)


def _figures(pairs: pl.DataFrame, book: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """For each pair and eligible event: exposure, levels reached by share and by capital, levels that would be left;
    one row where these change.
    """
    pair = ("entity", "member")
    rows = pairs.select(pair).join(book.rename({"member": "moved"}), on="entity").sort(*pair, "order")
    mine = pl.col("moved") == pl.col("member")
    rows = rows.with_columns(
        pl.when(mine).then(pl.col("delta")).otherwise(big(0)).cum_sum().over(pair).alias("exposure"),
        pl.when(mine).then(pl.col("opened")).otherwise(0).cum_sum().over(pair).alias("loans"),
    ).filter("eligible")
    rows = by_span(rows, policies, _judged).sort(*pair, "order")
    # Rows that say the same as the one before change nothing: a level is never entered or left twice by them.
    said = pl.struct("level", "left")
    changed = (said != said.shift(1).over(pair)) | (pl.int_range(pl.len()).over(pair) == 0)
    return rows.filter((pl.col("level") > 0).any().over(pair)).filter(changed)


def _judged(rows: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The levels that each row's figures reach, and those that would be left."""
    rule = policy.detectors.industry_concentration
    release = rule.release.value
    share, capital = _reached("total", rule.share), _reached("capital", rule.net_capital)
    # Leaving gets harder as levels fall, so the number of levels that would be left says which: the highest ones.
    left = pl.sum_horizontal(
        (
            ~_at_least("exposure", rule.share[level] - release, "total")
            & ~_at_least("exposure", rule.net_capital[level] * (1 - release), "capital").fill_null(False)
        ).cast(pl.Int64)
        for level in LEVELS
    )
    return rows.with_columns(share.alias("by_share"), capital.alias("by_capital"), left.alias("left")).with_columns(
        pl.max_horizontal("by_share", "by_capital").alias("level")
    )


def _reached(of: str, figures: LevelFigures) -> pl.Expr:
    """How many of the levels an exposure reaches; they rise, so the count is the highest one."""
    return pl.sum_horizontal(
        _at_least("exposure", figures[level], of).fill_null(False).cast(pl.Int64) for level in LEVELS
    )


def _changes(rows: pl.DataFrame) -> Iterator[_Change]:
    for row in rows.select(*_FIGURES, "exposure", "level", "left", "by_share", "loans").iter_rows():
        entity, name, moment, on, total, capital, unit, exposure, level, left, by_share, loans = row
        of = Fraction(exposure, total) if by_share or not capital else Fraction(exposure * unit, capital)
        yield _Change(entity, name, moment, on, level, 3 - left, loans, six_places(of))


def _rises(changes: Iterable[_Change]) -> Iterator[Rise]:
    """Walk each industry through its levels: up at once, down only when the level it is at would be left."""
    level, anchor, at = 0, "", ("", "")
    for change in changes:
        if (change.entity, change.member) != at:
            level, anchor, at = 0, "", (change.entity, change.member)
        if change.level > level:
            anchor, level = anchor or change.day.isoformat(), change.level
            subject = f"industry:{change.entity}:{change.member}"
            yield Rise(subject, anchor, level, change.loans, change.event_time, change.day, change.observed)
        elif change.level < level and level > change.stays:
            level = change.level
            anchor = anchor if level else ""
