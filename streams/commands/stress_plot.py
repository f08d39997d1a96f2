"""The picture of a stress: expected loss and share of the book of each industry, before and after."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from connectors.errors import LiandongError
from models.credit.industry import industry_name
from models.credit.stress import StressLine
from models.policy import LEVELS
from streams.commands.asked_book import Asked

MOST = 15  # industries, the largest first; those that are shocked always
BEFORE, AFTER, HIT = "#9aa5b1", "#3d6b99", "#c0392b"
_CHINESE = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei", "SimHei", "PingFang SC")
_LINES = dict(zip(LEVELS, ("#d4a72c", "#e07b39", "#6c3483"), strict=True))


def draw(target: Path, lines: Sequence[StressLine], shocked: Sequence[str], shock: str, asked: Asked) -> None:
    """Write the picture; its kind is that of the file's name.

    Args:
        shock: what happens to the industries that are shocked, in words.

    Raises:
        LiandongError: the file cannot be written.
    """
    *industries, total = lines
    shown = [one for number, one in enumerate(industries) if number < MOST or one.industry in shocked][::-1]
    scale, unit = _unit(max((max(one.loss_before, one.loss_after) for one in shown), default=Decimal(0)))
    chinese = _chinese_font()
    size = 13, 2.6 + 0.46 * len(shown)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1))
    FigureCanvasAgg(figure)
    losses, shares = figure.subplots(1, 2, sharey=True)
    figure.suptitle(
        f"{asked.book.entity} on {asked.book.day}, stress of {', '.join(dict.fromkeys(shocked))}: {shock}\n"
        f"Expected loss of a year {asked.money(total.loss_before)} → {asked.money(total.loss_after)} {asked.base}",
        fontsize=13,
    )
    _bars(losses, [(one.loss_before / scale, one.loss_after / scale) for one in shown], shown, shocked)
    losses.set_title("Expected loss (exposure × PD × LGD)", fontsize=11)
    losses.set_xlabel(f"{unit}{asked.base}")
    names = [_name(one.industry, asked, chinese) for one in shown]
    losses.set_yticks(range(len(shown)), names, fontfamily=[*chinese, "DejaVu Sans"])
    _bars(shares, [(one.share_before or 0, one.share_after or 0) for one in shown], shown, shocked)
    shares.set_title("Share of the book, with the levels of the policy", fontsize=11)
    shares.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    rule = asked.policy.detectors.industry_concentration
    if rule.mode != "off":
        for level in LEVELS:
            shares.axvline(float(rule.share[level]), color=_LINES[level], linestyle="--", linewidth=1.2, label=level)
    if left := len(industries) - len(shown):
        losses.annotate(
            f"without {left} smaller {'industry' if left == 1 else 'industries'}",
            (1, 0),
            (-4, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            color="#66707a",
        )
    handles, labels = shares.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    try:
        figure.savefig(target, dpi=130)
    except OSError as error:
        remedy = "name a file in a folder that you may write to"
        raise LiandongError(f"cannot write {target}: {error.strerror or error}", remedy) from error


def _bars(axes: Any, pairs: Sequence[tuple[Any, Any]], shown: Sequence[StressLine], shocked: Sequence[str]) -> None:
    """Two bars an industry, what is after below what is before, that of an industry that is shocked in red."""
    places = range(len(shown))
    axes.barh([at + 0.2 for at in places], [float(one) for one, _ in pairs], 0.38, color=BEFORE, label="before")
    for label, colour, hit in (("after", AFTER, False), ("after, shocked", HIT, True)):
        mine = [at for at in places if (shown[at].industry in shocked) is hit]
        axes.barh([at - 0.2 for at in mine], [float(pairs[at][1]) for at in mine], 0.38, color=colour, label=label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#e3e7eb")
    axes.set_axisbelow(True)
    axes.margins(y=0.02)


def _unit(largest: Decimal) -> tuple[Decimal, str]:
    for exponent, name in ((9, "billion "), (6, "million "), (3, "thousand ")):
        if largest >= 10**exponent:
            return Decimal(10**exponent), name
    return Decimal(1), ""


def _name(member: str, asked: Asked, chinese: Sequence[str]) -> str:
    english = industry_name(member, asked.scheme)
    text = member if english == member else f"{member} {fill(english, 34)}"
    named = industry_name(member, asked.scheme, "zh")
    return f"{text}\n{named}" if chinese and named not in (member, english) else text


def _chinese_font() -> list[str]:
    """The first font with Chinese signs that this computer has; none where there is none."""
    there = {one.name for one in font_manager.fontManager.ttflist}
    return [name for name in _CHINESE if name in there][:1]
