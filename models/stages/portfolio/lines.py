"""The lines of an entity's book on `portfolio`, for whoever shows it."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from functools import cache

from models.credit.indices_exact import six_places
from models.credit.limits import level_rank, line_of
from models.credit.month_ends import MonthEnds
from models.credit.running import RunningBook
from models.messages import BookDimension, PortfolioEntry
from models.policy import LEVELS, Level, Limit, Policy
from models.stage import Emit
from models.stages.portfolio.books import Books
from models.stages.portfolio.states import NAME_DIMENSIONS, EntityState, Name

PARTS: tuple[BookDimension, ...] = ("division", "region")


def lines(
    books: Books, entity: str, state: EntityState, policy: Policy, changed: Iterable[tuple[str, str]]
) -> Iterator[Emit]:
    """A line for each member that changed, then the entity's own.

    Args:
        state: of a book in which something was judged.
        policy: of the moment up to which it is judged.
        changed: (dimension, member).
    """
    writer = _Lines(entity, state, policy)
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
        running = books.names(entity).of(dimension).book.running
        for member in members.get(dimension, ()):
            name = books.load(entity, dimension, member)
            if dimension == "group" or name.listed:
                yield writer.name(name, running)
    yield writer.whole()


def _kinds(changed: Iterable[str]) -> Iterator[str]:
    """The kinds of real estate that have lines; `total` is changed by each of the others."""
    kinds = [kind for kind in ("development", "mortgage") if kind in changed]
    yield from kinds
    if kinds or "total" in changed:
        yield "total"


class _Lines:
    """Writes the lines of one entity's book as it stands."""

    def __init__(self, entity: str, state: EntityState, policy: Policy) -> None:
        assert state.judged_to is not None  # noqa: S101 - the caller writes lines of judged books
        self._entity = entity
        self._state = state
        self._policy = policy
        self._as_of = state.judged_to
        self._capital = state.capital_on(policy.bank_calendar.day_of(state.judged_to))
        self._industries = cache(lambda: RunningBook({key: one.exposure for key, one in state.members.items()}))
        self._parts = cache(
            lambda dimension: RunningBook({key: one.exposure for key, one in state.parts[dimension].items()})
        )

    def industry(self, member: str) -> Emit:
        one = self._state.members[member]
        limit = self._policy.detectors.industry_concentration.share[_next(one.level)]
        return self._line("industry", member, one.exposure, one.loans, self._industries(), one.level, limit)

    def part(self, dimension: BookDimension, member: str) -> Emit:
        one = self._state.parts[dimension][member]
        return self._line(dimension, member, one.exposure, one.loans, self._parts(dimension))

    def real_estate(self, kind: str) -> Emit:
        standing = self._state.standings.get(kind)
        level = standing.level if standing is not None else None
        limit: Limit | None = getattr(self._policy.detectors.real_estate_concentration, kind)
        share = line_of(limit, _next(level)) if limit is not None and limit.basis == "book" else None
        exposure, loans = self._state.real_estate.get(kind, MonthEnds()).now, self._state.real_estate_loans(kind)
        return self._line("real_estate", kind, exposure, loans, self._parts("real_estate"), level, share)

    def name(self, name: Name, running: RunningBook) -> Emit:
        levels = [standing.level for standing in name.standings.values()]
        level = max(levels, key=level_rank, default=None)
        return self._line(name.dimension, name.member, name.exposure, name.loans, running, level)

    def whole(self) -> Emit:
        return self._line("entity", self._entity, self._state.total, self._state.loans, self._industries())

    def _line(
        self,
        dimension: BookDimension,
        member: str,
        exposure: Decimal,
        loans: int,
        book: RunningBook,
        level: Level | None = None,
        limit: Decimal | None = None,
    ) -> Emit:
        total, capital = self._state.total, self._capital
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
            hhi=book.hhi,
            effective_number=book.effective_number,
            cr4=book.cr(4),
            net_capital=capital.net_capital if capital is not None else None,
            tier1_capital=capital.tier1_capital if capital is not None else None,
            as_of=self._as_of,
            policy_version=self._policy.version,
        )
        return Emit("portfolio", entry.key, entry, route=self._entity)


def _next(level: Level | None) -> Level:
    """The level not yet reached, or control."""
    return LEVELS[min(level_rank(level), 2)]
