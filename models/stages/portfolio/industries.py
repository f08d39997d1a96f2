"""industry_concentration: each industry's share of an entity's book, and its multiple of net capital."""

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction

from models.credit.indices_exact import EXACT, six_places
from models.credit.industry import UNKNOWN, industry_name
from models.credit.limit_findings import LEVEL_NAMES
from models.credit.limits import level_rank, next_level
from models.credit.running import RunningBook
from models.policy import Policy
from models.risk_warning import Reason
from models.stage import Emit
from models.stages.portfolio.books import Books
from models.stages.portfolio.occasion import Occasion
from models.stages.portfolio.states import EntityState

DETECTOR = "industry_concentration"


def judge_industries(books: Books, state: EntityState, occasion: Occasion) -> Iterator[Emit]:
    """Bring every industry to its level; a warning for each that rises."""
    rule = occasion.policy.detectors.industry_concentration
    if rule.mode == "off":
        return
    enough = state.total >= rule.minimum_book.value and state.total > 0
    if not enough or state.loans < rule.minimum_loans.whole:
        return
    capital = occasion.capital.net_capital if occasion.capital else None
    for name in sorted(state.members):
        if name == UNKNOWN:
            continue
        member = state.members[name]
        before = member.level
        member.level = next_level(before, member.exposure, state.total, capital, rule)
        if member.level != before:
            books.touch(occasion.entity, ("industry", name))
        if before is None and member.level is not None:
            member.since = str(occasion.day)
        if member.level is not None and level_rank(member.level) > level_rank(before):
            subject = f"industry:{occasion.entity}:{name}"
            reasons = tuple(_reasons(state, name, capital, occasion.policy))
            severity = rule.severities[member.level]
            finding = occasion.finding(rule, severity, subject, member.since, reasons, member.loans)
            yield from occasion.tell(DETECTOR, rule, finding, state.episodes, subject)
    books.touch(occasion.entity)


def _reasons(state: EntityState, name: str, capital: Decimal | None, policy: Policy) -> Iterator[Reason]:
    rule = policy.detectors.industry_concentration
    member = state.members[name]
    level = member.level
    assert level is not None  # noqa: S101 - reasons are given for levels that are reached
    level_zh, level_en = LEVEL_NAMES[level]
    name_zh, name_en = (industry_name(name, rule.scheme, language) for language in ("zh", "en"))
    figure = rule.share[level]
    if member.exposure >= EXACT.multiply(figure, state.total):
        book = RunningBook({key: one.exposure for key, one in state.members.items()})
        share = book.share(name)
        indices = f"HHI {book.hhi}, CR4 {book.cr(4)}, N {book.effective_number}"
        yield Reason(
            code="share_of_book",
            observed=str(share),
            threshold=f"{figure:f}",
            unit="share",
            text_zh=f"{name_zh}贷款占比{share}，达到{level_zh}线{figure}。{indices}",
            text_en=f"{name_en} holds {share} of the book, at or above the {level_en} level of {figure}. {indices}",
        )
    if capital is not None and member.exposure >= EXACT.multiply(rule.net_capital[level], capital):
        times, multiple = six_places(Fraction(member.exposure) / Fraction(capital)), rule.net_capital[level]
        yield Reason(
            code="times_net_capital",
            observed=str(times),
            threshold=f"{multiple:f}",
            unit="times net capital",
            text_zh=f"{name_zh}贷款为资本净额的{times}倍，达到{level_zh}线{multiple}倍。",
            text_en=f"{name_en} is {times} times net capital, at or above the {level_en} level of {multiple}.",
        )
