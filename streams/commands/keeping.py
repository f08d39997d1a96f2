"""Keep: policy."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectors.policy_file import load_policy
from models.policy import Amounts, Figure, Policy, parts
from streams.commands.output import Format, command, out, print_json, read_settings


@command
def policy(
    file: Annotated[Path | None, typer.Argument(help="Policy file; default: LIANDONG_POLICY.")] = None,
    format: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> None:
    """Check a policy file and print every figure with its unit and source."""
    used = load_policy(file or read_settings().policy_path())
    rows = list(_figures(used))
    if format is Format.JSON:
        print_json({"version": used.version, "figures": [dict(zip(_COLUMNS, row, strict=True)) for row in rows]})
        return
    table = Table(title=f"{used.policy.title_en} · {used.policy.title_zh} · {used.version}")
    for name in _COLUMNS:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(f"proposed by {used.policy.proposed_by}, approved by {used.policy.approved_by}", markup=False)


_COLUMNS = ("figure", "value", "unit", "source")


def _figures(policy: Policy) -> Iterator[tuple[str, str, str, str]]:
    for path, part in parts(policy):
        if isinstance(part, Figure):
            yield path, f"{part.value:f}", part.unit, part.source
        elif isinstance(part, Amounts):
            yield from ((f"{path}.{code}", f"{value:f}", code, part.source) for code, value in part.amounts.items())
