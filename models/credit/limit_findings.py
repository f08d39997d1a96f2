"""What is said when a part of an entity's book rises above a level of one of the policy's limits."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from models.credit.indices_exact import six_places
from models.credit.limits import line_of
from models.policy import Level, Limit
from models.risk_warning import Reason

# (Chinese, English)
LEVEL_NAMES: Mapping[Level, tuple[str, str]] = {
    "observation": ("观察", "observation"),
    "warning": ("预警", "warning"),
    "control": ("控制", "control"),
}
UNITS: Mapping[str, str] = {
    "book": "share of the book",
    "net_capital": "times net capital",
    "tier1_capital": "times Tier 1 capital",
}
_CAPITAL_ZH: Mapping[str, str] = {"net_capital": "资本净额", "tier1_capital": "一级资本净额"}
_REAL_ESTATE: Mapping[str, tuple[str, str]] = {
    "total": ("房地产贷款", "Real estate loans are"),
    "development": ("房地产开发贷款", "Real estate development loans are"),
    "mortgage": ("个人住房贷款", "Residential mortgages are"),
}
_NAMES: Mapping[str, tuple[str, str]] = {
    "borrower": ("借款人{}的贷款", "Loans to the borrower {} are"),
    "group": ("集团{}的贷款", "Loans to the group {} are"),
}


class Judged(Struct, frozen=True, kw_only=True):
    """A part of the book beside its limit.

    Args:
        limit_name: key of the limit in the policy.
        subject: what the warning is about, e.g. `borrower:BANK1:B1`.
        text_zh, text_en: what the exposure is, as the beginning of a sentence, the English one with its verb.
        exposure, basis: in the base currency; the basis is above zero.
        count: loans with a balance behind it, or borrowers.
        grown_from: (month, exposure) that it has grown from, where the limit asks for growth.
    """

    limit_name: str
    limit: Limit
    subject: str
    text_zh: str
    text_en: str
    exposure: Decimal
    basis: Decimal
    count: int
    grown_from: tuple[str, Decimal] | None = None

    def reason(self, level: Level) -> Reason:
        """Why a level is reached. `observed` has six places, `threshold` is exact, with the region's allowance."""
        observed = six_places(Fraction(self.exposure) / Fraction(self.basis))
        line = line_of(self.limit, level)
        above = self.limit.op == ">"
        level_zh, level_en = LEVEL_NAMES[level]
        reached_zh, reached_en = ("超过", "above") if above else ("达到", "at or above")
        unit = UNITS[self.limit.basis]
        if self.limit.basis == "book":
            text_zh = f"{self.text_zh}占全部贷款的{observed}，{reached_zh}{level_zh}线{line:f}"
            text_en = f"{self.text_en} {observed} of the book, {reached_en} the {level_en} level of {line:f}"
        else:
            capital = _CAPITAL_ZH[self.limit.basis]
            text_zh = f"{self.text_zh}为{capital}的{observed}倍，{reached_zh}{level_zh}线{line:f}倍"
            text_en = f"{self.text_en} {observed} {unit}, {reached_en} the {level_en} level of {line:f}"
        if self.grown_from is not None:
            month, before = self.grown_from
            text_zh += f"；自{month}末的{before:f}增至{self.exposure:f}"
            text_en += f", and grew from {before:f} at the end of {month} to {self.exposure:f}"
        return Reason(
            code=self.limit_name,
            observed=str(observed),
            threshold=f"{line:f}",
            unit=unit,
            text_zh=f"{text_zh}。",
            text_en=f"{text_en}.",
        )


def real_estate_texts(kind: str) -> tuple[str, str]:
    """How a sentence on `total`, `development` or `mortgage` begins, in Chinese and English."""
    return _REAL_ESTATE[kind]


def name_texts(dimension: str, name: str) -> tuple[str, str]:
    """The same for a borrower or a group."""
    text_zh, text_en = _NAMES[dimension]
    return text_zh.format(name), text_en.format(name)


def largest_texts(borrowers: Sequence[str]) -> tuple[str, str]:
    """The same for the largest borrowers together, largest first.

    >>> largest_texts(["B1"])[1], largest_texts(["B2", "B1"])[1]
    ('The largest borrower (B1) is', 'The 2 largest borrowers (B2, B1) together are')
    """
    names = ", ".join(borrowers)
    if len(borrowers) == 1:
        return f"最大借款人（{names}）的贷款", f"The largest borrower ({names}) is"
    text_zh = f"最大{len(borrowers)}家借款人（{'、'.join(borrowers)}）的贷款合计"
    return text_zh, f"The {len(borrowers)} largest borrowers ({names}) together are"
