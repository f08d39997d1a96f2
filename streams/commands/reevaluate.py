"""Ask: reevaluate."""

from collections import Counter
from typing import Annotated

import typer
from rich.table import Table

from connectors.address import with_broker
from connectors.policy_file import load_policies
from streams.commands.output import Format, command, notes, out, print_json, progress, read_settings
from streams.commands.running import PolicyOption
from streams.reevaluation import find_differences, send
from streams.reference import load_references


@command
def reevaluate(
    policy: PolicyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be told.")] = False,
    format: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> None:
    """Judge history again after reference data that came late; the workers tell what is new or graver, marked late.

    A policy version, a rate or a watch list entry may be published after events that it governs. What was told and
    would not be told now stands: somebody has acted on it.
    """
    settings = with_broker(read_settings())
    policies = load_policies(policy or settings.policy_path(), settings.models)
    load_references(settings, policies)
    with progress() as bar:
        task = bar.add_task("judging again", total=None)
        found = find_differences(settings, policies, lambda done, of: bar.update(task, completed=done, total=of))
    sent = 0 if dry_run else send(settings, found)
    counts = Counter((one.detector, one.change) for one in found)
    detectors = sorted({one.detector for one in found})
    if format is Format.JSON:
        print_json(
            {
                "sent": sent,
                "detectors": {
                    name: {change: counts[name, change] for change in ("new", "graver", "gone")} for name in detectors
                },
                "warnings": [
                    {"warning_id": one.warning_id, "detector": one.detector, "change": one.change} for one in found
                ],
            }
        )
        return
    if not found:
        out.print("history gives the same warnings as were told")
        return
    table = Table(title="Against what was told")
    for name in ("detector", "new", "graver", "told, and would not be now"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for name in detectors:
        table.add_row(name, *(f"{counts[name, change]:,}" for change in ("new", "graver", "gone")))
    out.print(table)
    if dry_run:
        notes.print("nothing was sent; without --dry-run the workers tell what is new or graver")
    else:
        out.print(f"sent {sent:,} to the workers, who tell them marked late")
