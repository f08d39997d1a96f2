"""The price of a change of policy, as tables."""

from decimal import Decimal

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
        out.print(_work(price))
    if price.quality_before or price.quality_after:
        out.print(_quality(price))
    for title, ids in (("gained", price.gained), ("lost", price.lost)):
        for detector, some in ids.items():
            more = f" … and {len(some) - MOST_IDS:,} more" if len(some) > MOST_IDS else ""
            out.print(f"{title} by {detector}: {' '.join(some[:MOST_IDS])}{more}", markup=False)


def _work(price: Price) -> Table:
    table = Table(title="Work: one task a warning and department, before → after")
    for name in ("department", "tasks", "hours", "hours there are", "missed", "open at the end"):
        table.add_column(name, justify="left" if name == "department" else "right")
    old, new = ({one.department: one for one in work} for work in (price.workload_before, price.workload_after))
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name), new.get(name)
        cells = [
            _both(a and f"{a.tasks:,}", b and f"{b.tasks:,}"),
            _both(a and f"{a.hours:,.1f}", b and f"{b.hours:,.1f}"),
            _both(a and f"{a.capacity:,.0f}", b and f"{b.capacity:,.0f}"),
            _both(a and f"{a.missed:,}", b and f"{b.missed:,}"),
            _both(a and f"{a.open:,}", b and f"{b.open:,}"),
        ]
        table.add_row(name, *cells)
    return table


def _both(before: str | Workload | None, after: str | Workload | None) -> str:
    return f"{before or '0'} → {after or '0'}"


def _quality(price: Price) -> Table:
    table = Table(title="Against the labels, before → after")
    for name in ("detector", "flagged", "right", "precision", "recall"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    old, new = ({one.detector: one for one in some} for some in (price.quality_before, price.quality_after))
    for name in sorted(old.keys() | new.keys()):
        pair: tuple[Quality | None, Quality | None] = (old.get(name), new.get(name))
        table.add_row(
            name,
            " → ".join("0" if one is None else f"{one.flagged:,}" for one in pair),
            " → ".join("0" if one is None else f"{one.right:,}" for one in pair),
            " → ".join(_share(one and one.precision) for one in pair),
            " → ".join(_share(one and one.recall) for one in pair),
        )
    return table


def _share(value: Decimal | Quality | None) -> str:
    return "none" if value is None else f"{value}"
