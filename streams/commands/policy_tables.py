"""Policies in tables: every figure of one, and what tells two apart."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct
from rich.table import Table

from models.policy import Amounts, Figure, Policy, parts

FIGURES = ("figure", "value", "unit", "source")
DIFFERENCES = ("figure", "old", "new", "unit")


class Difference(NamedTuple):
    """One line that differs; None where a version does not have it."""

    figure: str
    old: str | None
    new: str | None
    unit: str


def figures(policy: Policy) -> Iterator[tuple[str, str, str, str]]:
    """(figure, value, unit, source) of every figure."""
    for path, part in parts(policy):
        if isinstance(part, Figure):
            yield path, f"{part.value:f}", part.unit, part.source
        elif isinstance(part, Amounts):
            yield from ((f"{path}.{code}", f"{value:f}", code, part.source) for code, value in part.amounts.items())


def differences(one: Policy, other: Policy) -> list[Difference]:
    """Everything in which two versions differ: figures, their sources, modes, departments, measures.

    >>> from pathlib import Path
    >>> from models.policy import parse_policy
    >>> text = Path("deploy/policy/cn.toml").read_text(encoding="utf-8")
    >>> changed = text.replace('lateness = { value = 3,', 'lateness = { value = 4,')
    >>> [tuple(line) for line in differences(parse_policy(text), parse_policy(changed))]
    [('events.lateness', '3', '4', "days behind the customer's newest event")]
    """
    old, new = dict(_lines(one)), dict(_lines(other))
    found = []
    for path in [*old, *(path for path in new if path not in old)]:
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        units = {line[1] for line in (before, after) if line is not None}
        if len(units) == 1:
            found.append(Difference(path, before and before[0], after and after[0], units.pop()))
        else:  # 5 days are no 5 hours
            found.append(Difference(path, before and " ".join(before), after and " ".join(after), ""))
    return found


def differences_table(title: str, found: list[Difference]) -> Table:
    """For people."""
    table = Table(title=title)
    for name in DIFFERENCES:
        table.add_column(name, overflow="fold")
    for line in found:
        table.add_row(line.figure, line.old or "none", line.new or "none", line.unit)
    return table


def _lines(policy: Policy) -> Iterator[tuple[str, tuple[str, str]]]:
    """(path, (value, unit)) of everything that is no table."""
    inside = "\n"  # no path begins so
    for path, part in parts(policy):
        if path.startswith(inside):
            continue
        if isinstance(part, Figure):
            inside = f"{path}."
            yield path, (f"{part.value:f}", part.unit)
            yield f"{path}.source", (part.source, "")
        elif isinstance(part, tuple):
            yield path, (", ".join(str(one) for one in part), "")
        elif part is not None and not isinstance(part, Struct | Mapping):
            unit = path.rpartition(".")[2] if ".amounts." in path else ""
            yield path, (f"{part:f}" if unit else str(part), unit)
