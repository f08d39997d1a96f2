"""Where the bars of a pack's charts stand; the page draws them, with the reader's own fonts.

All lengths are in units of the drawing, which is `WIDTH` wide and is scaled as a whole.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from models.response.kpi import Key, Kpi, Ratio
from models.response.pack import Line, Pack
from models.response.pack_text import Language, period_text, share_text
from models.response.period import Period

WIDTH = 700
LEFT = 190  # of the bars; names stand before it
FULL = 440  # a share of one
MOST = 20
_ROW = 36
_HEIGHT = 110  # of a column that is a share of one
_TOP = 30


class Bar(Struct, frozen=True):
    """A share in the period and in the one before. Widths are None where there was nothing to count."""

    name: str
    y: int
    now: float | None
    now_text: str
    before: float | None
    before_text: str


class Column(Struct, frozen=True):
    """A month's two shares. Heights are None where there was nothing to count."""

    name: str
    x: float
    width: float
    heights: tuple[float | None, ...]
    texts: tuple[str, ...]


class Bars(Struct, frozen=True):
    height: int
    bars: tuple[Bar, ...]


class Columns(Struct, frozen=True):
    height: int
    base: int
    names: tuple[str, ...]
    columns: tuple[Column, ...]


def bars(lines: Sequence[tuple[str, Line]], none: str) -> Bars | None:
    """Shares side by side, at most `MOST`; None where fewer than two would be drawn: a table says that better.

    Args:
        lines: each with its name. What is no share is left out.
        none: what stands in place of a bar where there was nothing to count.
    """
    drawn = [(name, line) for name, line in lines if _share(line.now) is not None or _share(line.before) is not None]
    if len(drawn) < 2:
        return None
    found = []
    for number, (name, line) in enumerate(drawn[:MOST]):
        now, before = _share(line.now), _share(line.before)
        widths = (None if one is None else _scaled(one, FULL) for one in (now, before))
        texts = (none if one is None else share_text(one) for one in (now, before))
        (wide, wide_before), (text, text_before) = widths, texts
        found.append(Bar(name, _TOP + number * _ROW, wide, text, wide_before, text_before))
    return Bars(_TOP + len(found) * _ROW + 6, tuple(found))


def by_month(pack: Pack, kpis: tuple[Kpi, ...], names: tuple[str, ...], language: Language) -> Columns | None:
    """Shares over all, month by month; None for a single month, and where no month has anything to count."""
    shares = [[_share(figures.get(Key(kpi))) for kpi in kpis] for _, figures in pack.months]
    if len(shares) < 2 or not any(one is not None for month in shares for one in month):
        return None
    step = WIDTH / len(shares)
    width = min(46.0, step * 0.4)
    columns = []
    for number, ((month, _), values) in enumerate(zip(pack.months, shares, strict=True)):
        heights = tuple(None if one is None else _scaled(one, _HEIGHT) for one in values)
        texts = tuple("–" if one is None else _percent(one, len(shares)) for one in values)
        start = round(number * step + (step - width * len(kpis)) / 2, 1)
        columns.append(Column(_month(month, language), start, round(width, 1), heights, texts))
    return Columns(_TOP + 16 + _HEIGHT + 24, _TOP + 16 + _HEIGHT, names, tuple(columns))


def _percent(share: Decimal, months: int) -> str:
    """Without the sign, which the legend has; a year's columns are too narrow for a decimal."""
    return share_text(share).removesuffix("%") if months <= 6 else f"{share * 100:.0f}"


def _month(month: Period, language: Language) -> str:
    return f"{month.month}月" if language == "zh" else period_text(month, language)


def _share(figure: object) -> Decimal | None:
    return figure.value if isinstance(figure, Ratio) and figure.per == 1 else None


def _scaled(share: Decimal, full: int) -> float:
    return round(float(share) * full, 1)
