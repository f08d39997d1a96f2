"""real_estate_concentration and name_concentration: parts of an entity's book against the policy's limits."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from models.credit.indices_exact import EXACT
from models.credit.limit_findings import Judged, largest_texts, name_texts, real_estate_texts
from models.credit.limits import basis_of, level_rank, line_of, next_limit_level
from models.credit.month_ends import MonthEnds
from models.episodes import Episode
from models.policy import Limit, Limits
from models.stage import Emit
from models.stages.portfolio.books import Books, Ground
from models.stages.portfolio.occasion import Occasion
from models.stages.portfolio.states import EntityState, Name, NameDimension, Pending, Standing

REAL_ESTATE = "real_estate_concentration"
NAMES = "name_concentration"
REAL_ESTATE_LIMITS = ("total", "development", "mortgage")
NAME_LIMITS: Mapping[str, NameDimension] = {
    "single": "borrower",
    "single_tier1": "borrower",
    "group": "group",
    "group_tier1": "group",
}
TOP = 10


def judge_real_estate(books: Books, state: EntityState, occasion: Occasion) -> Iterator[Emit]:
    """Bring `total`, `development` and `mortgage` to their levels; a warning for each that rises."""
    rule = occasion.policy.detectors.real_estate_concentration
    if not _judged(rule, state):
        return
    for name in REAL_ESTATE_LIMITS:
        limit: Limit | None = getattr(rule, name)
        basis = _basis(limit, state, occasion)
        if limit is None or basis is None:
            continue
        ends = state.real_estate.get(name, MonthEnds())
        text_zh, text_en = real_estate_texts(name)
        judged = Judged(
            limit_name=name,
            limit=limit,
            subject=f"real_estate:{occasion.entity}:{name}",
            text_zh=text_zh,
            text_en=text_en,
            exposure=ends.now,
            basis=basis,
            count=state.real_estate_loans(name),
            grown_from=_grown_from(limit, ends, occasion.day),
        )
        before = state.standings.get(name)
        yield from _settle(REAL_ESTATE, rule, judged, occasion, state.standings, state.episodes, judged.subject)
        if state.standings.get(name) != before:
            books.touch(occasion.entity, ("real_estate", name))


def judge_names(books: Books, state: EntityState, occasion: Occasion, changed: Pending | None) -> Iterator[Emit]:
    """Bring the borrowers, the groups and the ten largest to their levels; a warning for each that rises.

    Args:
        changed: what the book has just taken; None where only capital changed.
    """
    rule = occasion.policy.detectors.name_concentration
    names = books.names(occasion.entity)
    if not _judged(rule, state):
        names.grounds.clear()
        return
    moved = dict(changed.names()) if changed is not None else {}
    for limit_name, dimension in NAME_LIMITS.items():
        limit: Limit | None = getattr(rule, limit_name)
        basis = _basis(limit, state, occasion)
        if limit is None or basis is None:
            names.grounds.pop(limit_name, None)
            continue
        members = {moved[dimension]} if dimension in moved else set()
        ground, before = Ground(rule, basis), names.grounds.get(limit_name)
        if before is None or before.rule is not rule or before.basis != basis:
            # Every name is held against something else than before: those at a level, and those that reach one.
            one = names.of(dimension)
            members |= one.held
            members.update(one.book.at_least(EXACT.multiply(line_of(limit, "observation"), basis)))
            names.grounds[limit_name] = ground
        for member in sorted(members):
            name = books.load(occasion.entity, dimension, member)
            yield from _judge_name(books, name, limit_name, limit, basis, occasion, rule)
    yield from _judge_largest(books, state, occasion, rule)


def _judge_name(
    books: Books, name: Name, limit_name: str, limit: Limit, basis: Decimal, occasion: Occasion, rule: Limits
) -> Iterator[Emit]:
    text_zh, text_en = name_texts(name.dimension, name.member)
    judged = Judged(
        limit_name=limit_name,
        limit=limit,
        subject=f"{name.dimension}:{name.entity}:{name.member}",
        text_zh=text_zh,
        text_en=text_en,
        exposure=name.exposure,
        basis=basis,
        count=name.loans,
    )
    before = name.standings.get(limit_name)
    emits = list(_settle(NAMES, rule, judged, occasion, name.standings, name.episodes, limit_name))
    if name.standings.get(limit_name) != before:
        name.listed = True
        books.keep(name)
        books.touch(occasion.entity, (name.dimension, name.member))
    yield from emits


def _judge_largest(books: Books, state: EntityState, occasion: Occasion, rule: Limits) -> Iterator[Emit]:
    limit: Limit | None = getattr(rule, "top_ten", None)
    basis = _basis(limit, state, occasion)
    book = books.names(occasion.entity).borrower.book
    if limit is None or basis is None:
        return
    borrowers = book.largest(TOP)
    text_zh, text_en = largest_texts(borrowers)
    judged = Judged(
        limit_name="top_ten",
        limit=limit,
        subject=f"top_ten:{occasion.entity}",
        text_zh=text_zh,
        text_en=text_en,
        exposure=book.largest_total(TOP),
        basis=basis,
        count=len(borrowers),
    )
    yield from _settle(NAMES, rule, judged, occasion, state.standings, state.episodes, judged.subject)


def _settle(
    detector: str,
    rule: Limits,
    judged: Judged,
    occasion: Occasion,
    standings: dict[str, Standing],
    episodes: dict[str, Episode],
    slot: str,
) -> Iterator[Emit]:
    """Bring one part of the book to its level, in `standings`; a warning where it rises, with its episode in `slot`."""
    name, limit = judged.limit_name, judged.limit
    before = standings.get(name)
    held = before.level if before is not None else None
    grown = limit.growth is None or judged.grown_from is not None
    level = next_limit_level(limit, held, judged.exposure, judged.basis, rule.release.value, grown=grown)
    if level is None:
        standings.pop(name, None)
        return
    standing = standings[name] = Standing(level, before.since if before is not None else str(occasion.day))
    if level_rank(level) > level_rank(held):
        anchor = f"{name}|{standing.since}"
        reasons = (judged.reason(level),)
        severity = rule.severities[level]
        finding = occasion.finding(rule, severity, judged.subject, anchor, reasons, judged.count)
        yield from occasion.tell(detector, rule, finding, episodes, slot)


def _judged(rule: Limits, state: EntityState) -> bool:
    return rule.mode != "off" and state.total >= rule.minimum_book.value


def _basis(limit: Limit | None, state: EntityState, occasion: Occasion) -> Decimal | None:
    """What the limit is held against, or None: it is not judged."""
    capital = occasion.capital
    if limit is None:
        return None
    if capital is None:
        return basis_of(limit, state.total, None, None)
    return basis_of(limit, state.total, capital.net_capital, capital.tier1_capital)


def _grown_from(limit: Limit, ends: MonthEnds, day: date) -> tuple[str, Decimal] | None:
    """(month, exposure) that a limit on growth finds outgrown."""
    return None if limit.growth is None else ends.outgrown(day, limit.growth.value)
