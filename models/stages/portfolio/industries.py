"""industry_concentration: each industry's share of an entity's book, its multiple of net capital and its growth, and
the HHI of the book over its industries.
"""

from collections.abc import Iterator
from decimal import Decimal

from models.credit.indices_exact import EXACT
from models.credit.industry import UNKNOWN
from models.credit.industry_findings import RisenIndustry, hhi_reason
from models.credit.limits import industry_lines, level_rank, next_book_level, next_level
from models.policy import IndustryConcentration
from models.stage import Emit
from models.stages.portfolio.books import Books
from models.stages.portfolio.occasion import Occasion
from models.stages.portfolio.states import HHI, EntityState, Standing

DETECTOR = "industry_concentration"


def judge_industries(books: Books, state: EntityState, occasion: Occasion) -> Iterator[Emit]:
    """Bring every industry, and the book's HHI, to its level; a warning for each that rises.

    Growth is that up to the day to which the book is judged: what comes late changes the book of today, which years
    ago was another.
    """
    rule = occasion.policy.detectors.industry_concentration
    if rule.mode == "off":
        return
    enough = state.total >= rule.minimum_book.value and state.total > 0
    if not enough or state.loans < rule.minimum_loans.whole:
        return
    capital = occasion.capital.net_capital if occasion.capital else None
    day = occasion.policy.bank_calendar.day_of(state.judged_to or occasion.at)
    lines = industry_lines(rule, state.total, capital)
    squares = Decimal(0)
    for name in sorted(state.members):
        member = state.members[name]
        squares = EXACT.add(squares, EXACT.multiply(member.exposure, member.exposure))
        if name == UNKNOWN:
            continue
        then = member.ends.before(day, rule.growth.months.whole) if rule.growth is not None else None
        before = member.level
        member.level = next_level(before, member.exposure, then, lines)
        if member.level != before:
            books.touch(occasion.entity, ("industry", name))
        if before is None and member.level is not None:
            member.since = str(occasion.day)
        if member.level is not None and level_rank(member.level) > level_rank(before):
            subject = f"industry:{occasion.entity}:{name}"
            risen = RisenIndustry(
                name=name,
                rule=rule,
                level=member.level,
                line=lines.reached[member.level],
                exposure=member.exposure,
                net_capital=capital,
                then=then,
                day=day,
            )
            reasons = tuple(risen.reasons(state.industries))
            severity = rule.severities[member.level]
            finding = occasion.finding(rule, severity, subject, member.since, reasons, member.loans)
            yield from occasion.tell(DETECTOR, rule, finding, state.episodes, subject)
    yield from _judge_hhi(state, squares, rule, occasion)
    books.touch(occasion.entity)


def _judge_hhi(state: EntityState, squares: Decimal, rule: IndustryConcentration, occasion: Occasion) -> Iterator[Emit]:
    if rule.hhi is None:
        return
    before = state.standings.get(HHI)
    held = before.level if before is not None else None
    level = next_book_level(rule.hhi, held, squares, state.total, rule.release.value)
    if level is None:
        state.standings.pop(HHI, None)
        return
    standing = state.standings[HHI] = Standing(level, before.since if before is not None else str(occasion.day))
    if level_rank(level) > level_rank(held):
        subject = f"book:{occasion.entity}"
        reasons = (hhi_reason(state.industries, level, rule.hhi[level], rule),)
        severity = rule.severities[level]
        anchor = f"{HHI}|{standing.since}"
        finding = occasion.finding(rule, severity, subject, anchor, reasons, state.loans)
        yield from occasion.tell(DETECTOR, rule, finding, state.episodes, subject)
