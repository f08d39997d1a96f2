"""The lines of an entity's book on `portfolio`, for whoever shows it."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache

from models.credit.indices import indices
from models.credit.indices_exact import six_places
from models.credit.indices_granularity import Risk, uniform_adjustment
from models.credit.indices_growth import growth, to_capital
from models.credit.limits import level_rank, line_of
from models.credit.month_ends import MonthEnds
from models.credit.running import RunningBook
from models.messages import BookDimension, BookIndices, EntityIndices, PortfolioEntry
from models.policy import LEVELS, Level, Limit, Policy
from models.stage import Emit
from models.stages.portfolio.books import Books
from models.stages.portfolio.states import HHI, NAME_DIMENSIONS, TOP_TEN, EntityState, Name, Standing

PARTS: tuple[BookDimension, ...] = ("division", "region")
DIMENSIONS: tuple[BookDimension, ...] = ("industry", *PARTS, "real_estate", *NAME_DIMENSIONS)
MONTHS = (3, 12, 36)


def lines(
    books: Books, entity: str, state: EntityState, policy: Policy, changed: Iterable[tuple[str, str]]
) -> Iterator[Emit]:
    """A line for each member that changed, then the entity's own.

    Args:
        state: of a book in which something was judged.
        policy: of the moment up to which it is judged.
        changed: (dimension, member).
    """
    writer = _Lines(books, entity, state, policy)
    members: dict[str, dict[str, None]] = {}
    for dimension, member in changed:
        members.setdefault(dimension, {})[member] = None
    for member in members.get("industry", ()):
        yield writer.industry(member)
    for part in PARTS:
        for member in members.get(part, ()):
            yield writer.part(part, member)
    for kind in _kinds(members.get("real_estate", {})):
        yield writer.real_estate(kind)
    for dimension in NAME_DIMENSIONS:
        for member in members.get(dimension, ()):
            name = books.load(entity, dimension, member)
            if dimension == "group" or name.listed:
                yield writer.name(name)
    yield writer.whole()


def _kinds(changed: Iterable[str]) -> Iterator[str]:
    """The kinds of real estate that have lines; `total` is changed by each of the others."""
    kinds = [kind for kind in ("development", "mortgage") if kind in changed]
    yield from kinds
    if kinds or "total" in changed:
        yield "total"


class _Lines:
    """Writes the lines of one entity's book as it stands."""

    def __init__(self, books: Books, entity: str, state: EntityState, policy: Policy) -> None:
        assert state.judged_to is not None  # noqa: S101 - the caller writes lines of judged books
        self._names = books.names(entity)
        self._entity = entity
        self._state = state
        self._policy = policy
        self._as_of = state.judged_to
        self._day = policy.bank_calendar.day_of(state.judged_to)
        self._capital = state.capital_on(self._day)
        self._indices = cache(self._measured)

    def industry(self, member: str) -> Emit:
        one = self._state.members[member]
        limit = self._policy.detectors.industry_concentration.share[_next(one.level)]
        return self._line("industry", member, one.exposure, one.loans, one.level, limit, one.ends)

    def part(self, dimension: BookDimension, member: str) -> Emit:
        one = self._state.parts[dimension][member]
        return self._line(dimension, member, one.exposure, one.loans)

    def real_estate(self, kind: str) -> Emit:
        standing = self._state.standings.get(kind)
        level = standing.level if standing is not None else None
        limit: Limit | None = getattr(self._policy.detectors.real_estate_concentration, kind)
        share = line_of(limit, _next(level)) if limit is not None and limit.basis == "book" else None
        exposure, loans = self._state.real_estate.get(kind, MonthEnds()).now, self._state.real_estate_loans(kind)
        return self._line("real_estate", kind, exposure, loans, level, share)

    def name(self, name: Name) -> Emit:
        return self._line(name.dimension, name.member, name.exposure, name.loans, _highest(name.standings.values()))

    def whole(self) -> Emit:
        state = self._state
        level = _highest(state.standings[one] for one in (HHI, TOP_TEN) if one in state.standings)
        return self._line("entity", self._entity, state.total, state.loans, level, ends=state.ends)

    def _line(
        self,
        dimension: BookDimension,
        member: str,
        exposure: Decimal,
        loans: int,
        level: Level | None = None,
        limit: Decimal | None = None,
        ends: MonthEnds | None = None,
    ) -> Emit:
        total, capital, whole = self._state.total, self._capital, dimension == "entity"
        net_capital = capital.net_capital if capital is not None else None
        tier1_capital = capital.tier1_capital if capital is not None else None
        indices = self._indices("industry" if whole else dimension)
        grown = [growth(exposure, ends.before(self._day, months)) if ends is not None else None for months in MONTHS]
        entry = PortfolioEntry(
            entity=self._entity,
            dimension=dimension,
            member=member,
            exposure=exposure,
            total=total,
            currency=self._policy.money.base,
            loans=loans,
            share=six_places(Fraction(exposure) / Fraction(total)) if total else Decimal(0),
            limit=limit,
            level=level,
            hhi=indices.hhi if indices is not None else None,
            effective_number=indices.effective_number if indices is not None else None,
            cr4=indices.cr4 if indices is not None else None,
            net_capital=net_capital,
            tier1_capital=tier1_capital,
            to_net_capital=to_capital(exposure, net_capital),
            to_tier1_capital=to_capital(exposure, tier1_capital),
            growth_3=grown[0],
            growth_12=grown[1],
            growth_36=grown[2],
            indices=EntityIndices(**{one: self._indices(one) for one in DIMENSIONS}) if whole else None,
            as_of=self._as_of,
            policy_version=self._policy.version,
        )
        return Emit("portfolio", entry.key, entry, route=self._entity)

    def _measured(self, dimension: BookDimension) -> BookIndices | None:
        """What is told of the whole book over a dimension; None over one without exposure."""
        if dimension == "borrower" or dimension == "group":
            credit = self._policy.credit
            risk = Risk(credit.pd.value, credit.lgd.value) if dimension == "borrower" else None
            return _of_running(self._names.of(dimension).book.running, risk)
        if dimension == "industry":
            return _of_exposures(self._state.industries)
        return _of_exposures({name: one.exposure for name, one in self._state.parts.get(dimension, {}).items()})


def _of_exposures(book: Mapping[str, Decimal]) -> BookIndices | None:
    found = indices(book)
    if found is None:
        return None
    return BookIndices(
        members=found.members,
        hhi=found.hhi,
        hhi_normalised=found.hhi_normalised,
        effective_number=found.effective_number,
        cr1=found.cr1,
        cr4=found.cr4,
        cr10=found.cr10,
        theil=found.theil,
        gini=found.gini,
        hall_tideman=found.hall_tideman,
    )


def _of_running(book: RunningBook, risk: Risk | None) -> BookIndices | None:
    """Without the two that need all names in order, with the granularity of one risk."""
    if not book.members:
        return None
    sums, total = book.sums, Fraction(book.total)
    return BookIndices(
        members=book.members,
        hhi=six_places(sums.hhi),
        hhi_normalised=six_places(sums.hhi_normalised),
        effective_number=six_places(sums.effective_number),
        cr1=six_places(Fraction(book.largest(1)) / total),
        cr4=six_places(Fraction(book.largest(4)) / total),
        cr10=six_places(Fraction(book.largest(10)) / total),
        theil=six_places(sums.theil),
        granularity_adjustment=uniform_adjustment(sums.hhi, risk) if risk is not None else None,
    )


def _highest(standings: Iterable[Standing]) -> Level | None:
    return max((one.level for one in standings), key=level_rank, default=None)


def _next(level: Level | None) -> Level:
    """The level not yet reached, or control."""
    return LEVELS[min(level_rank(level), 2)]
