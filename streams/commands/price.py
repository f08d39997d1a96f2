"""The price of a change of policy, as tables."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from rich.table import Table

from models.pricing import Price, Quality, Workload
from streams.commands.output import out

MOST_IDS = 10  # of each detector; --format json has all


def print_price(price: Price) -> None:
    """Show warnings, work and quality under both policies."""
    out.print(f"{price.before} against {price.after}, over {price.days:,} days", markup=False)
    if price.before == price.after:
        out.print("note: both policies bear the same version; give the new one a name of its own", style="yellow")
    table = Table(title="Warnings")
    for name in ("detector", "before", "a day", "after", "a day", "gained", "lost", "graver", "milder"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for one in price.detectors:
        counts = (one.gained, one.lost, one.graver, one.milder)
        table.add_row(
            one.detector,
            f"{one.before:,}",
            f"{one.before_a_day}",
            f"{one.after:,}",
            f"{one.after_a_day}",
            *(f"{count:,}" for count in counts),
        )
    out.print(table if price.detectors else "no warnings under either policy")
    if price.workload_before or price.workload_after:
        out.print(
            _beside(
                "Work: one task a warning and department, before → after",
                ("department", "tasks", "hours", "hours there are", "missed", "open at the end"),
                _work,
                {one.department: one for one in price.workload_before},
                {one.department: one for one in price.workload_after},
            )
        )
    if price.quality_before or price.quality_after:
        out.print(
            _beside(
                "Against the labels, before → after",
                ("detector", "flagged", "right", "precision", "recall"),
                _quality,
                {one.detector: one for one in price.quality_before},
                {one.detector: one for one in price.quality_after},
            )
        )
    for title, ids in (("gained", price.gained), ("lost", price.lost)):
        for detector, some in ids.items():
            more = f" … and {len(some) - MOST_IDS:,} more" if len(some) > MOST_IDS else ""
            out.print(f"{title} by {detector}: {' '.join(some[:MOST_IDS])}{more}", markup=False)


def _work(one: Workload | None) -> tuple[str, ...]:
    if one is None:
        return ("0",) * 5
    return f"{one.tasks:,}", f"{one.hours:,.1f}", f"{one.capacity:,.0f}", f"{one.missed:,}", f"{one.open:,}"


def _quality(one: Quality | None) -> tuple[str, ...]:
    if one is None:
        return "0", "0", "none", "none"
    return f"{one.flagged:,}", f"{one.right:,}", _share(one.precision), _share(one.recall)


def _beside(
    title: str,
    columns: tuple[str, ...],
    cells: Callable[[Any], tuple[str, ...]],
    old: dict[str, Any],
    new: dict[str, Any],
) -> Table:
    """A line for each name on either side, its cells before and after."""
    table = Table(title=title)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    for name in sorted(old.keys() | new.keys()):
        pairs = zip(cells(old.get(name)), cells(new.get(name)), strict=True)
        table.add_row(name, *(f"{before} → {after}" for before, after in pairs))
    return table


def _share(value: Decimal | None) -> str:
    return "none" if value is None else f"{value}"
