"""A stress as text: expected loss of each industry before and after, and the use of limits."""

from decimal import Decimal

from rich.markup import escape
from rich.table import Table

from models.credit.lookahead_limits import Use
from models.credit.stress import LimitUse, Shock, StressLine
from streams.commands.asked_book import Asked, named
from streams.commands.output import out


def print_stress(asked: Asked, lines: tuple[StressLine, ...], members: list[str], shock: Shock) -> None:
    """Show an answer to a person."""
    whose = ", ".join(named(one, asked.scheme) for one in dict.fromkeys(members))
    out.print(f"{asked.book.entity} on {asked.book.day}, {whose} shocked: {shock_text(shock)}", markup=False)
    table = Table(title=f"Expected loss of a year in {asked.base}, before → after")
    for name in ("industry", "exposure", "PD", "LGD", "expected loss", "of the book"):
        table.add_column(name, justify="left" if name == "industry" else "right", overflow="fold")
    for one in lines:
        hit = one.industry in members
        table.add_row(
            "total" if one.industry == "total" else escape(named(one.industry, asked.scheme)),
            _beside(asked.money(one.ead_before), asked.money(one.ead_after), " →\n"),
            _beside(_plain(one.pd_before), _plain(one.pd_after)),
            _beside(_plain(one.lgd_before), _plain(one.lgd_after)),
            _beside(asked.money(one.loss_before), asked.money(one.loss_after), " →\n"),
            _beside(_share(one.share_before), _share(one.share_after), " →\n"),
            style="bold" if hit or one.industry == "total" else None,
        )
    out.print(table)
    rows = [(one, use) for one in lines for use in one.limits if use.after is not None or use.before is not None]
    shown = [(one, use) for one, use in rows if one.industry in members or _broken(use.before) or _broken(use.after)]
    if shown:
        out.print(_limits(asked, shown))
    if unshown := len(rows) - len(shown):
        out.print(f"kept before and after, by industries that are not shocked: {unshown:,} limits (--format json)")
    asked.print_assumed()


def shock_text(shock: Shock) -> str:
    """A shock in words: `PD × 2, LGD + 0.10, exposure +20 %`."""
    said = []
    for name in ("pd", "lgd"):
        times, plus = getattr(shock, f"{name}_times"), getattr(shock, f"{name}_plus")
        if times != 1:
            said.append(f"{name.upper()} × {times}")
        if plus:
            said.append(f"{name.upper()} {'+' if plus > 0 else '-'} {abs(plus)}")
    if shock.growth:
        said.append(f"exposure {(shock.growth * 100).normalize():+f} %")
    return ", ".join(said) or "nothing changes"


def _limits(asked: Asked, shown: list[tuple[StressLine, LimitUse]]) -> Table:
    table = Table(title="Use of limits: the industry's figure over the limit's, 1 is the limit itself")
    for name in ("industry", "limit", "use before → after", "headroom after", ""):
        table.add_column(name, justify="right" if name.startswith(("use", "head")) else "left", overflow="fold")
    for one, use in shown:
        before, after = _broken(use.before), _broken(use.after)
        verdict, style = {
            (False, True): ("WOULD BREAK", "bold red"),
            (True, True): ("is broken", "yellow"),
            (True, False): ("mended", "green"),
        }.get((before, after), ("kept", None))
        room = use.after.headroom if use.after is not None else None
        table.add_row(
            escape(named(one.industry, asked.scheme)),
            use.limit.removeprefix("detectors.industry_concentration."),
            _beside(_used(use.before), _used(use.after)),
            asked.money(room),
            verdict,
            style=style,
        )
    return table


def _broken(use: Use | None) -> bool:
    return use is not None and use.broken


def _used(use: Use | None) -> str:
    return "none" if use is None else f"{use.used:.4f}"


def _plain(figure: Decimal | None) -> str:
    return "" if figure is None else f"{figure.normalize():f}"


def _share(figure: Decimal | None) -> str:
    return "none" if figure is None else str(figure)


def _beside(before: str, after: str, arrow: str = " → ") -> str:
    return before if before == after else f"{before}{arrow}{after}"
