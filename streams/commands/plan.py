"""Run: how large a pipeline must be for a bank."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from connectors.errors import LiandongError
from models.sizing import GIB, Load, Measured, Plan
from models.sizing import plan as sized
from streams.commands.output import Format, command, out, print_json, read_settings

SIZING = "sizing.toml"


@command
def plan(
    transactions: Annotated[float, typer.Option(help="A day, such as 5e8.")],
    customers: Annotated[float, typer.Option(help="With any transaction within a year, such as 1e8.")],
    peak: Annotated[float, typer.Option(min=1, help="The busiest second over the day's mean.")] = 4.0,
    keep_days: Annotated[float, typer.Option(min=1, help="For which transactions stay on their topic.")] = 3653.0,
    replication: Annotated[int, typer.Option(min=1, help="Copies of every topic.")] = 3,
    worker_memory: Annotated[float, typer.Option(help="GiB that a worker may have.")] = 16.0,
    busy: Annotated[float, typer.Option(help="Share of a core that a worker may use in the busiest second.")] = 0.5,
    state_bytes: Annotated[
        float | None, typer.Option(help="Of a customer's state, if you have measured your own.")
    ] = None,
    measured: Annotated[Path | None, typer.Option(help="Figures of your own machines; default: those shipped.")] = None,
    format: Annotated[Format, typer.Option("--format", help="Text for people or one JSON object.")] = Format.TEXT,
) -> None:
    """Size a pipeline: partitions, workers, memory, disk and recovery time, from measured figures. Needs no broker."""
    figures = read_measured(measured or read_settings().deploy_dir() / SIZING)
    if state_bytes is not None:
        figures = msgspec.structs.replace(figures, state_bytes=state_bytes)
    load = Load(
        transactions=transactions,
        customers=customers,
        peak=peak,
        keep_days=keep_days,
        replication=replication,
        worker_bytes=worker_memory * GIB,
        busy=busy,
    )
    try:
        found = sized(load, figures)
    except ValueError as error:
        raise LiandongError(str(error), "see `liandong plan --help`") from error
    if format is Format.JSON:
        print_json({"load": load, "measured": figures, "plan": found})
        return
    table = Table(title=f"{transactions:,.0f} transactions a day of {customers:,.0f} customers", show_header=False)
    for name, text in lines(found):
        table.add_row(name, text)
    out.print(table)
    out.print(f"measured: {figures.source}", markup=False)


def read_measured(file: Path) -> Measured:
    """The figures in a file.

    Raises:
        LiandongError: it cannot be read, or a figure is missing, unknown or no number above zero.
    """
    try:
        found = msgspec.toml.decode(file.read_bytes(), type=Measured, strict=False)
    except (OSError, msgspec.MsgspecError) as error:
        raise LiandongError(f"{file}: {error}", "give a file like deploy/sizing.toml") from error
    for name in found.__struct_fields__:
        value = getattr(found, name)
        if isinstance(value, float) and not 0 < value < float("inf"):
            raise LiandongError(f"{file}: {name} must be above zero, not {value}", "measure it anew")
    return found


def lines(found: Plan) -> list[tuple[str, str]]:
    """A plan as it is shown."""
    mean, busiest = found.events_a_second
    return [
        ("transactions a second", f"{mean:,.0f}, in the busiest second {busiest:,.0f}"),
        ("workers", f"{found.workers:,}, one of them to lose: {_why(found)}"),
        ("partitions", f"{found.partitions:,} of every topic"),
        ("states", size(found.state)),
        ("memory of a worker", f"{size(found.worker_memory)}, when one is lost"),
        ("disk for transactions", size(found.topic_disk)),
        ("disk for states", size(found.changelog_disk)),
        ("changelog in the busiest second", f"{size(found.network)} a second, before replication"),
        ("recovery of one worker", f"{found.recovery_seconds:,.0f} s"),
    ]


def size(count: float) -> str:
    """Bytes for people.

    >>> size(2**40 * 1.5), size(2**20 * 200), size(10)
    ('1.5 TiB', '200 MiB', '10 B')
    """
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.3g} PiB"


def _why(found: Plan) -> str:
    what = "memory" if found.for_memory > found.for_processor else "the processor"
    return f"{what} asks for most ({found.for_processor:,} by processor, {found.for_memory:,} by memory)"
