"""Keep: policy."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectors.policy_file import load_policy
from models.policy import Amounts, Figure, Part
from streams.commands.output import Format, command, out, print_json, read_settings


@command
def policy(
    file: Annotated[Path | None, typer.Argument(help="Policy file; default: LIANDONG_POLICY.")] = None,
    format: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> None:
    """Check a policy file and print every figure with its unit and source."""
    used = load_policy(file or read_settings().policy_path())
    rows = list(_figures(used, ""))
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


def _figures(part: object, path: str) -> list[tuple[str, str, str, str]]:
    if isinstance(part, Figure):
        return [(path, f"{part.value:f}", part.unit, part.source)]
    if isinstance(part, Amounts):
        return [(f"{path}.{code}", f"{value:f}", code, part.source) for code, value in part.amounts.items()]
    rows: list[tuple[str, str, str, str]] = []
    if isinstance(part, Part):
        for name in part.__struct_fields__:
            rows += _figures(getattr(part, name), f"{path}.{name}".lstrip("."))
    elif isinstance(part, dict):
        for name, value in part.items():
            rows += _figures(value, f"{path}.{name}")
    return rows
