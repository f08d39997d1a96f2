"""What a proposed loan would do to the book: shares, HHI, granularity, headroom, limits, and when these break.

It reads sums, never loans: the answer takes as long on a book of a million loans as on one of ten.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Literal

from msgspec import Struct

from models.credit.indices_exact import EXACT, six_places
from models.credit.indices_granularity import Risk
from models.credit.lookahead_industry import AnyLimit, GrowthLimit, HhiLimit, Squares, growth_use, hhi_use
from models.credit.lookahead_limits import BookLimit, Capital, Dimension, Use, base_amount, use_of
from models.credit.lookahead_pace import Projection, project
from models.credit.running import RunningBook
from models.credit.running_granularity import RunningGranularity

NEW_BORROWER = ""  # no borrower's id is empty


class BookSums(Struct, frozen=True, kw_only=True):
    """A book as sums, all in the base currency.

    Args:
        total: of all loans; every dimension's members are parts of it, though not all loans need a group.
        dimensions: exposures by member. `real_estate` has the members `development` and `mortgage`.
        granularity: by borrower; None where no PD and LGD are known.
    """

    total: Decimal
    dimensions: Mapping[Dimension, RunningBook]
    granularity: RunningGranularity | None = None


class MonthlyHistory(Struct, frozen=True, kw_only=True):
    """Closings of the latest months, oldest first and without gaps, in the base currency.

    Args:
        totals: of the whole book.
        exposures: by dimension and member; series end in the same month as `totals`, and may begin later.
        grown_from: by dimension and member, the exposure at the end of the month 36 months before that of "now", for
            limits that ask for growth.
        past: by industry, the exposure at the end of each month before that of "now", the latest last, for limits on
            growth.
        hhi: of the whole book over its industries; the series ends in the same month as `totals`, and may begin later.
            Rounded, so that many months of them are summed quickly: only the pace is read from them.
    """

    totals: tuple[Decimal, ...] = ()
    exposures: Mapping[Dimension, Mapping[str, tuple[Decimal, ...]]] = {}
    grown_from: Mapping[Dimension, Mapping[str, Decimal]] = {}
    past: Mapping[str, tuple[Decimal, ...]] = {}
    hhi: tuple[Decimal, ...] = ()


class ProposedLoan(Struct, frozen=True, kw_only=True):
    """A loan that is not granted yet.

    Args:
        industry: as the book names it: a section, a sector. `division` likewise.
        amount: in the base currency.
        borrower: None for one who has no loan yet.
        risk: of the borrower, for the granularity adjustment; one who is in the book keeps their own.
    """

    industry: str
    amount: Decimal
    borrower: str | None = None
    group: str | None = None
    division: str | None = None
    region: str | None = None
    real_estate: Literal["none", "development", "mortgage"] = "none"
    risk: Risk | None = None

    def members(self) -> dict[Dimension, str]:
        """The member of each dimension that the loan would be counted under."""
        found: dict[Dimension, str] = {"industry": self.industry, "borrower": self.borrower or NEW_BORROWER}
        if self.division is not None:
            found["division"] = self.division
        if self.group is not None:
            found["group"] = self.group
        if self.region is not None:
            found["region"] = self.region
        if self.real_estate != "none":
            found["real_estate"] = self.real_estate
        return found


class Change(Struct, frozen=True, kw_only=True):
    """One dimension before and after the loan; shares of the whole book, HHI over the dimension's members.

    Shares and HHI have six places, half-even; None ("none") while there is no book.
    """

    dimension: Dimension
    member: str
    exposure_before: Decimal
    exposure_after: Decimal
    share_before: Decimal | None
    share_after: Decimal | None
    hhi_before: Decimal | None
    hhi_after: Decimal | None


class LimitChange(Struct, frozen=True, kw_only=True):
    """A limit that the loan bears on, before and after it; None without a base, such as unknown capital.

    Args:
        subject: whose exposure it is: a member (empty for a new borrower), several (`development+mortgage`), the
            `largest 10`, or the `book`, whose HHI is judged.
        breaks: whether it is this loan that would break it.
        date_before: when the limit breaks at the current pace without the loan, `date_after` with it; of a limit
            that asks for growth, when its figure is reached. None for limits on growth themselves: what they are held
            against is another each month, so that no pace leads to them.
    """

    limit: AnyLimit
    subject: str
    before: Use | None
    after: Use | None
    breaks: bool
    date_before: Projection | None
    date_after: Projection | None


class LookAhead(Struct, frozen=True, kw_only=True):
    """The answer. `breaks` names the limits that the loan would break; GA is None where no risk is known."""

    changes: tuple[Change, ...]
    granularity_before: Decimal | None
    granularity_after: Decimal | None
    limits: tuple[LimitChange, ...]
    breaks: tuple[str, ...]


def look_ahead(
    book: BookSums,
    loan: ProposedLoan,
    limits: Iterable[AnyLimit],
    capital: Capital,
    as_of: date,
    history: MonthlyHistory | None = None,
) -> LookAhead:
    """Put a loan to the book and read what it would change; the book stays as it is.

    Args:
        as_of: the day that "now" is; dates of breaking are counted from it.
        history: without one, no date is projected, and no growth is known.

    Raises:
        ValueError: the amount is not a finite number above zero.

    >>> sums = BookSums(total=Decimal(100), dimensions={"industry": RunningBook({"C": Decimal(20), "K": Decimal(80)})})
    >>> quarter = BookLimit(name="quarter", dimension="industry", base="book", figure=Decimal("0.25"))
    >>> loan = ProposedLoan(industry="C", amount=Decimal(10))
    >>> found = look_ahead(sums, loan, [quarter], Capital(), date(2026, 6, 30))
    >>> str(found.changes[0].share_after), found.breaks, str(found.limits[0].before.headroom)
    ('0.272727', ('quarter',), '6.66')
    """
    if not loan.amount.is_finite() or loan.amount <= 0:
        raise ValueError(f"a proposed loan is of an amount above zero, not {loan.amount}")
    members = loan.members()
    changes = tuple(_change(book, dimension, member, loan.amount) for dimension, member in members.items())
    # Without a book by that dimension the limit has nothing to be judged on.
    borne = [limit for limit in limits if limit.dimension in members and limit.dimension in book.dimensions]
    judged = [_limit(book, limit, members[limit.dimension], loan.amount, capital, as_of, history) for limit in borne]
    found = tuple(change for change in judged if change is not None)
    before, after = _granularity(book, loan)
    return LookAhead(
        changes=tuple(change for change in changes if change is not None),
        granularity_before=before,
        granularity_after=after,
        limits=found,
        breaks=tuple(change.limit.name for change in found if change.breaks),
    )


def _change(book: BookSums, dimension: Dimension, member: str, amount: Decimal) -> Change | None:
    sums = book.dimensions.get(dimension)
    if sums is None:
        return None
    before = sums.exposure(member)
    after = EXACT.add(before, amount)
    return Change(
        dimension=dimension,
        member=member,
        exposure_before=before,
        exposure_after=after,
        share_before=_share(before, book.total),
        share_after=_share(after, EXACT.add(book.total, amount)),
        hhi_before=sums.hhi,
        hhi_after=sums.hhi_with(member, amount),
    )


def _share(exposure: Decimal, total: Decimal) -> Decimal | None:
    return six_places(Fraction(exposure) / Fraction(total)) if total else None


def _granularity(book: BookSums, loan: ProposedLoan) -> tuple[Decimal | None, Decimal | None]:
    if book.granularity is None:
        return None, None
    before = book.granularity.adjustment
    own = book.granularity.risk(loan.borrower) if loan.borrower is not None else None
    risk = own or loan.risk
    return before, None if risk is None else book.granularity.with_loan(loan.amount, risk, loan.borrower)


def _limit(
    book: BookSums,
    limit: AnyLimit,
    member: str,
    amount: Decimal,
    capital: Capital,
    as_of: date,
    history: MonthlyHistory | None,
) -> LimitChange | None:
    subject = limit.subject(member)
    if subject is None:
        return None
    before, after = _uses(book, limit, member, amount, capital, history)
    dates = _dates(book, limit, member, amount, capital, as_of, history) if history is not None else (None, None)
    return LimitChange(
        limit=limit,
        subject=subject,
        before=before,
        after=after,
        breaks=after is not None and after.broken and not (before is not None and before.broken),
        date_before=dates[0],
        date_after=dates[1],
    )


def _uses(
    book: BookSums, limit: AnyLimit, member: str, amount: Decimal, capital: Capital, history: MonthlyHistory | None
) -> tuple[Use | None, Use | None]:
    """Before and after the loan."""
    sums, total = book.dimensions[limit.dimension], EXACT.add(book.total, amount)
    if isinstance(limit, HhiLimit):
        squares = Squares.of(sums, member)
        return hhi_use(limit, squares), hhi_use(limit, squares.with_loan(amount))
    if isinstance(limit, GrowthLimit):
        then, now = _then(limit, member, history), sums.exposure(member)
        return growth_use(limit, now, book.total, then), growth_use(limit, EXACT.add(now, amount), total, then)
    before, after = _exposures(sums, limit, member, amount)
    grown_from = _grown_from(limit, member, history)
    return use_of(limit, before, book.total, capital, grown_from), use_of(limit, after, total, capital, grown_from)


def _then(limit: GrowthLimit, member: str, history: MonthlyHistory | None) -> Decimal | None:
    past = () if history is None else history.past.get(member, ())
    return past[-limit.months] if limit.months <= len(past) else None


def _exposures(sums: RunningBook, limit: BookLimit, member: str, amount: Decimal) -> tuple[Decimal, Decimal]:
    """What the limit is judged on, before and after the loan."""
    if limit.largest is not None:
        return sums.largest(limit.largest), sums.largest_with(member, amount, limit.largest)
    held = Decimal(0)
    for one in limit.members or (member,):
        held = EXACT.add(held, sums.exposure(one))
    return held, EXACT.add(held, amount)


def _grown_from(limit: BookLimit, member: str, history: MonthlyHistory | None) -> Decimal | None:
    """Unknown as soon as one part is: what grew from nothing known has not shown its growth."""
    known = {} if history is None else history.grown_from.get(limit.dimension, {})
    parts = limit.members or (member,)
    if limit.largest is not None or not all(one in known for one in parts):
        return None
    then = Decimal(0)
    for one in parts:
        then = EXACT.add(then, known[one])
    return then


def _left(limit: BookLimit, exposure: Decimal, total: Decimal, capital: Capital) -> Decimal | None:
    base = base_amount(limit, total, capital)
    return None if base is None else EXACT.subtract(EXACT.multiply(limit.figure, base), exposure)


def _series(limit: BookLimit, member: str, capital: Capital, history: MonthlyHistory) -> list[Decimal]:
    """What was left up to the limit at each month's close, as far back as all its parts are known."""
    if limit.largest is not None:
        return []  # who the largest were is not known from their sums
    known = history.exposures.get(limit.dimension, {})
    parts = [known.get(one, ()) for one in limit.members or (member,)]
    months = min(len(history.totals), *map(len, parts))
    closings = zip(*(part[len(part) - months :] for part in (history.totals, *parts)), strict=True)
    found = [_left(limit, reduce(EXACT.add, held), total, capital) for total, *held in closings]
    return [left for left in found if left is not None] if None not in found else []


def _dates(
    book: BookSums,
    limit: AnyLimit,
    member: str,
    amount: Decimal,
    capital: Capital,
    as_of: date,
    history: MonthlyHistory,
) -> tuple[Projection | None, Projection | None]:
    """When the limit breaks without the loan, and with it."""
    if isinstance(limit, GrowthLimit):
        return None, None
    sums = book.dimensions[limit.dimension]
    if isinstance(limit, HhiLimit):
        squares, figure = Squares.of(sums, member), Fraction(limit.figure)
        ends = [EXACT.subtract(limit.figure, hhi) for hhi in history.hhi]
        indices = squares.hhi, squares.with_loan(amount).hhi
        found = [None if hhi is None or not ends else project(figure - hhi, ends, as_of, places=6) for hhi in indices]
        return found[0], found[1]
    before, after = _exposures(sums, limit, member, amount)
    series = _series(limit, member, capital, history)
    left = _left(limit, before, book.total, capital), _left(limit, after, EXACT.add(book.total, amount), capital)
    found = [None if one is None else project(one, series, as_of) for one in left]
    return found[0], found[1]
