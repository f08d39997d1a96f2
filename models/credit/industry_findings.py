"""What is said when an industry, or the whole book over its industries, rises to a level of the policy."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from models.credit.indices_exact import six_places
from models.credit.indices_growth import growth
from models.credit.industry import industry_name
from models.credit.limit_findings import LEVEL_NAMES
from models.credit.limits import IndustryLine
from models.credit.month_ends import month_before
from models.credit.running import RunningBook
from models.policy import IndustryConcentration, Level
from models.risk_warning import Reason

LARGEST = 3


class RisenIndustry(Struct, frozen=True, kw_only=True):
    """An industry that has risen to a level.

    Args:
        line: of that level.
        exposure: in the base currency, like `net_capital` and `then`, what it has grown from; None where not known.
        day: up to which the book is judged.
    """

    name: str
    rule: IndustryConcentration
    level: Level
    line: IndustryLine
    exposure: Decimal
    net_capital: Decimal | None
    then: Decimal | None
    day: date

    def reasons(self, book: Mapping[str, Decimal]) -> Iterator[Reason]:
        """What reaches the level of share, net capital and growth, in this order.

        Args:
            book: exposures of all industries, that not known too.
        """
        if self.line.by_share(self.exposure):
            yield self._share_of_book(RunningBook(book))
        if self.net_capital is not None and self.line.by_capital(self.exposure):
            yield self._times_net_capital(self.net_capital)
        if self.then is not None and self.line.by_growth(self.exposure, self.then):
            yield self._growth(self.then)

    def _share_of_book(self, book: RunningBook) -> Reason:
        (name_zh, name_en), (level_zh, level_en) = _names(self.name, self.rule), LEVEL_NAMES[self.level]
        figure, share = self.rule.share[self.level], book.share(self.name)
        indices = f"HHI {book.hhi}, CR4 {book.cr(4)}, N {book.effective_number}"
        return Reason(
            code="share_of_book",
            observed=str(share),
            threshold=f"{figure:f}",
            unit="share",
            text_zh=f"{name_zh}贷款占比{share}，达到{level_zh}线{figure}。{indices}",
            text_en=f"{name_en} holds {share} of the book, at or above the {level_en} level of {figure}. {indices}",
        )

    def _times_net_capital(self, net_capital: Decimal) -> Reason:
        (name_zh, name_en), (level_zh, level_en) = _names(self.name, self.rule), LEVEL_NAMES[self.level]
        times, multiple = six_places(Fraction(self.exposure) / Fraction(net_capital)), self.rule.net_capital[self.level]
        return Reason(
            code="times_net_capital",
            observed=str(times),
            threshold=f"{multiple:f}",
            unit="times net capital",
            text_zh=f"{name_zh}贷款为资本净额的{times}倍，达到{level_zh}线{multiple}倍。",
            text_en=f"{name_en} is {times} times net capital, at or above the {level_en} level of {multiple}.",
        )

    def _growth(self, then: Decimal) -> Reason:
        (name_zh, name_en), (level_zh, level_en) = _names(self.name, self.rule), LEVEL_NAMES[self.level]
        rule = self.rule.growth
        assert rule is not None  # noqa: S101 - a line of growth is that of a rule on growth
        figure, grown = rule.figures[self.level], growth(self.exposure, then)
        month, now = month_before(self.day, rule.months.whole), self.exposure
        return Reason(
            code="growth",
            observed=str(grown),
            threshold=f"{figure:f}",
            unit="growth",
            text_zh=f"{name_zh}贷款自{month}末的{then:f}增至{now:f}，增长{grown}，达到{level_zh}线{figure:f}。",
            text_en=f"{name_en} grew by {grown}, from {then:f} at the end of {month} to {now:f}, "
            f"at or above the {level_en} level of {figure:f}.",
        )


def hhi_reason(book: Mapping[str, Decimal], level: Level, figure: Decimal, rule: IndustryConcentration) -> Reason:
    """Why a book is at a level of HHI.

    Args:
        book: exposures of all industries, that not known too; one at least above zero.
        figure: of the level.
    """
    level_zh, level_en = LEVEL_NAMES[level]
    running = RunningBook(book)
    largest = sorted((name for name in book if book[name]), key=lambda name: (-book[name], name))[:LARGEST]
    shares = [(*_names(name, rule), running.share(name)) for name in largest]
    largest_zh = "、".join(f"{name}{share}" for name, _, share in shares)
    largest_en = ", ".join(f"{name} {share}" for _, name, share in shares)
    cr4, number = running.cr(4), running.effective_number
    return Reason(
        code="hhi",
        observed=str(running.hhi),
        threshold=f"{figure:f}",
        unit="HHI",
        text_zh=f"全部贷款按行业的HHI为{running.hhi}，达到{level_zh}线{figure:f}。CR4 {cr4}，有效行业数{number}。"
        f"占比最大：{largest_zh}。",
        text_en=f"The book's HHI over its industries is {running.hhi}, at or above the {level_en} level of {figure:f}. "
        f"CR4 {cr4}, effective number {number}. Largest: {largest_en}.",
    )


def _names(name: str, rule: IndustryConcentration) -> tuple[str, str]:
    """(Chinese, English)."""
    return industry_name(name, rule.scheme, "zh"), industry_name(name, rule.scheme, "en")
