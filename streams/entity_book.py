"""An entity's book of a day as the sums that a look ahead reads: exposures by dimension, and their month ends.

They are those of `models.oracle.book.book_at`, taken from the same accepted movements without going through every
loan for every month.
"""

import calendar
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from itertools import accumulate

import polars as pl
from msgspec import Struct

from models.credit.indices_granularity import Risk
from models.credit.lookahead import BookSums, MonthlyHistory
from models.credit.lookahead_limits import Dimension
from models.credit.month_ends import GROWTH_MONTHS, month_of
from models.credit.running import RunningBook
from models.credit.running_granularity import RunningGranularity
from models.oracle.frames import canonical, rate_places, scale_of
from models.oracle.lending import accepted_loans
from models.policy import PolicyHistory

# The column of the movements that each of them is.
COLUMNS: Mapping[Dimension, str] = {
    "industry": "member",
    "division": "division",
    "region": "region",
    "borrower": "borrower_id",
    "group": "group_id",
    "real_estate": "real_estate",
}
REAL_ESTATE = ("development", "mortgage")
_EXACT = Context(prec=80)  # an Int128 has 39 digits


class EntityBook(Struct, frozen=True, kw_only=True):
    """One entity's book at the end of a day.

    Args:
        entity, day: whose, and when at the bank.
        moves: what moved it until then: the columns of COLUMNS, `day`, `event_time`, and `delta` in units of
            10^-places of the base currency.
        refused: how many events of the whole input did not count, by reason.
    """

    entity: str
    day: date
    moves: pl.DataFrame
    places: int
    refused: Mapping[str, int]

    def exposures(self, dimension: Dimension) -> dict[str, Decimal]:
        """By member, those above zero. Loans without a group, and those that are no real estate, are in none."""
        column = COLUMNS[dimension]
        sums = self._of(dimension, self.moves).group_by(column).agg(pl.col("delta").sum()).filter(pl.col("delta") > 0)
        return {member: self._money(value) for member, value in sums.sort(column).iter_rows()}

    @property
    def total(self) -> Decimal:
        """Exact, in the base currency."""
        return self._money(int(self.moves["delta"].sum()))

    def sums(self, risk: Risk | None = None) -> BookSums:
        """The book as sums.

        Args:
            risk: of every borrower, for the granularity adjustment; without one it is left out.
        """
        exposures = {dimension: self.exposures(dimension) for dimension in COLUMNS}
        borrowers = exposures["borrower"]
        return BookSums(
            total=self.total,
            dimensions={dimension: RunningBook(one) for dimension, one in exposures.items()},
            granularity=RunningGranularity(borrowers, dict.fromkeys(borrowers, risk)) if risk is not None else None,
        )

    def group_of(self, borrower: str) -> str | None:
        """The group that a borrower's newest loans with a group are counted under."""
        named = self.moves.filter((pl.col("borrower_id") == borrower) & pl.col("group_id").is_not_null())
        return named.sort("event_time", maintain_order=True)["group_id"].last() if named.height else None  # type: ignore[return-value]

    def history(self, members: Mapping[Dimension, str], months: int) -> MonthlyHistory:
        """Closings of the last months that are over, no further back than the book goes, of these members and of real
        estate, which limits look at as a whole; and what industries, and their HHI, were.

        Args:
            months: how many changes there are at most.
        """
        if not self.moves.height:
            return MonthlyHistory()
        over = month_of(self.day) - (0 if self.day.day == calendar.monthrange(self.day.year, self.day.month)[1] else 1)
        monthly = self.moves.with_columns(_month().alias("month"))
        first = max(over - months, int(monthly["month"].min()))  # type: ignore[arg-type]
        wanted = range(first, over + 1)
        exposures: dict[Dimension, dict[str, tuple[Decimal, ...]]] = {}
        grown: dict[Dimension, dict[str, Decimal]] = {}
        then = month_of(self.day) - GROWTH_MONTHS
        for dimension, names in _wanted(members).items():
            # The book is known from its beginning: who is not in it had nothing, which is not the same as unknown.
            parts = {name: monthly.filter(pl.col(COLUMNS[dimension]) == name) for name in names}
            exposures[dimension] = {name: self._closings(part, wanted) for name, part in parts.items()}
            grown[dimension] = {name: self._closings(part, range(then, then + 1))[0] for name, part in parts.items()}
        return MonthlyHistory(
            totals=self._closings(monthly, wanted),
            exposures=exposures,
            grown_from=grown,
            past=self._past(monthly, members),
            hhi=_hhi(monthly, wanted),
        )

    def _past(self, monthly: pl.DataFrame, members: Mapping[Dimension, str]) -> dict[str, tuple[Decimal, ...]]:
        """The industry at the end of each of the months before this one that a figure on growth may look back to."""
        if "industry" not in members:
            return {}
        now, name = month_of(self.day), members["industry"]
        rows = monthly.filter(pl.col(COLUMNS["industry"]) == name)
        return {name: self._closings(rows, range(now - GROWTH_MONTHS, now))}

    def _of(self, dimension: Dimension, rows: pl.DataFrame) -> pl.DataFrame:
        if dimension == "real_estate":
            return rows.filter(pl.col("real_estate").is_in(REAL_ESTATE))
        return rows.filter(pl.col(COLUMNS[dimension]).is_not_null())

    def _closings(self, rows: pl.DataFrame, months: range) -> tuple[Decimal, ...]:
        """What rows add up to at the end of each month."""
        if not months:
            return ()
        moved: dict[int, int] = dict(rows.group_by("month").agg(pl.col("delta").sum()).iter_rows())
        return tuple(map(self._money, _ends(moved, months)))

    def _money(self, value: int) -> Decimal:
        return _EXACT.scaleb(Decimal(value), -self.places)


def entity_books(loans: pl.DataFrame, policies: PolicyHistory, day: date) -> dict[str, EntityBook]:
    """The book of every entity that had loans by the end of a day, by name.

    Args:
        loans: LoanEvents as a frame in the order of their arrival (see `models.oracle.frames`).

    Raises:
        ValueError: amounts in binary floats, or times without a zone.
    """
    frame = canonical(loans, "loans")
    accepted = accepted_loans(frame, policies)
    refused = Counter(accepted.refused["reason"].to_list())
    moves = accepted.frame.filter(pl.col("day") <= day)
    places = scale_of(frame) + rate_places(policies)
    columns = ("entity", *COLUMNS.values(), "day", "event_time", "delta")
    return {
        str(entity): EntityBook(
            entity=str(entity), day=day, moves=part, places=places, refused=dict(sorted(refused.items()))
        )
        for (entity,), part in sorted(moves.select(columns).partition_by("entity", as_dict=True).items())
    }


def _ends(moved: Mapping[int, int], months: range) -> list[int]:
    before = sum(value for month, value in moved.items() if month < months.start)
    return list(accumulate((moved.get(month, 0) for month in months), initial=before))[1:]


def _hhi(monthly: pl.DataFrame, months: range) -> tuple[Decimal, ...]:
    """Over all industries at the end of each month, since the last in which there was no book; twelve places."""
    if not months:
        return ()
    moved: dict[str, dict[int, int]] = {}
    sums = monthly.group_by(COLUMNS["industry"], "month").agg(pl.col("delta").sum())
    for member, month, value in sums.iter_rows():
        moved.setdefault(member, {})[month] = value
    found: list[Decimal] = []
    for held in zip(*(_ends(one, months) for one in moved.values()), strict=True):
        total = sum(held)
        squares = sum(one * one for one in held)
        found = [*found, Decimal(round(Fraction(squares * 10**12, total**2))).scaleb(-12)] if total else []
    return tuple(found)


def _month() -> pl.Expr:
    return pl.col("day").dt.year().cast(pl.Int64) * 12 + pl.col("day").dt.month() - 1


def _wanted(members: Mapping[Dimension, str]) -> dict[Dimension, Iterable[str]]:
    found: dict[Dimension, Iterable[str]] = {dimension: (member,) for dimension, member in members.items()}
    return found | ({"real_estate": REAL_ESTATE} if "real_estate" in members else {})
