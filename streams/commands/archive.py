"""Keep: an archive of all topics, and the way back, into another number of partitions or another cluster."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectors.archive import read_manifest, write_archive
from connectors.progress import GroupProgress
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.topics import TOPICS
from streams.commands.keeping import FormatOption, YesOption, broker_settings
from streams.commands.output import Format, command, notes, out, print_json, progress
from streams.playground import WorkerProcess
from streams.restore import INPUTS, LeftOut, Outcome, make_anew, outcome, play

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the archive.")]
SHOWN = 10  # ids of a difference


@command
def archive(folder: FolderArgument, format: FormatOption = Format.TEXT) -> None:
    """Copy every record on every topic into Parquet files, to keep them or to move them with `liandong restore`."""
    settings = broker_settings()
    with TopicReader(settings) as reader:
        ends = reader.ends(*TOPICS)
        inputs = {place: end for place, end in ends.items() if place.topic in INPUTS}
        with GroupProgress(settings) as workers:
            behind = workers.behind(inputs)
        with progress() as bar:
            task = bar.add_task("records", total=sum(ends.values()))
            manifest = write_archive(reader, settings, folder, behind, lambda count: bar.advance(task, count))
        came = sum(reader.ends(*INPUTS).values()) - sum(inputs.values())
    if format is Format.JSON:
        print_json(manifest)
        return
    table = Table(title=f"{folder}: {sum(manifest.records.values()):,} records")
    for column in ("topic", "records"):
        table.add_column(column, justify="right" if column == "records" else "left")
    for topic, count in manifest.records.items():
        table.add_row(topic, f"{count:,}")
    out.print(table)
    left = (
        f"the workers have still to judge {behind:,} of them" if behind else "the workers have judged all that was sent"
    )
    out.print(left, markup=False)
    if came:
        notes.print(f"note: {came:,} records came in meanwhile; to move, stop the feeds first", markup=False)


@command
def restore(
    folder: FolderArgument,
    every: Annotated[
        float,
        typer.Option(
            "--slice",
            min=0,
            help="Minutes of arrival that are played as one: the fewer, the more exactly as it was, and the longer it "
            "takes; 0: every action meets just what had come before it.",
        ),
    ] = 60,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes here while it plays.")] = 1,
    yes: YesOption = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Make all topics anew with LIANDONG_PARTITIONS partitions and play an archive into them. Stop workers first.

    What was sent is sent again and judged again; cases, deadlines and warnings come out with the ids that they had.
    It ends with what differs from the archive.
    """
    settings = broker_settings()
    manifest = read_manifest(folder)
    total = sum(manifest.records[topic] for topic in INPUTS)
    notes.print(
        f"{folder}: {total:,} records sent, of {manifest.made_at:%Y-%m-%d %H:%M} UTC, from {manifest.partitions} to "
        f"{settings.partitions} partitions at {settings.bootstrap_text}",
        markup=False,
    )
    if not yes:
        typer.confirm(f"Delete all that stands on the topics of {settings.app_id} there now?", abort=True, err=True)
    make_anew(settings, folder)
    left_out = _play(settings, folder, timedelta(minutes=every), workers, total)
    found = outcome(folder, _ids(settings))
    if format is Format.JSON:
        print_json({"left_out": {"mended": len(left_out.mended), "future": len(left_out.future)}, "outcome": found})
        return
    _tell(left_out, found)


def _play(settings: Settings, folder: Path, length: timedelta, count: int, total: int) -> LeftOut:
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    running: list[WorkerProcess] = []
    try:
        for number in range(1, count + 1):
            running.append(WorkerProcess(settings, logs / f"worker-{number}.log"))
        for worker in running:
            worker.wait_ready()
        with progress() as bar:
            task = bar.add_task("records", total=total)

            def advance(sent: int) -> None:
                bar.advance(task, sent)
                for worker in running:
                    worker.check()

            return play(settings, folder, length, advance)
    finally:
        for worker in running:
            worker.stop()


def _ids(settings: Settings) -> dict[str, set[str]]:
    with TopicReader(settings) as reader:
        return {
            "warnings": {one.warning_id for _, one in reader.events("warnings")},
            "cases": {one.case_id for _, one in reader.events("cases")},
        }


def _tell(left_out: LeftOut, found: Outcome) -> None:
    if left_out.mended:
        out.print(f"{len(left_out.mended):,} refused records were repaired later: only the repaired ones were sent")
    if left_out.future:
        out.print(f"{len(left_out.future):,} records from the future of their time were left out: see the archive")
    for topic, same in found.both.items():
        out.print(f"{topic}: {same:,} as before", markup=False)
        for what, ids in (("no longer there", found.missing[topic]), ("new", found.extra[topic])):
            if ids:
                shown = ", ".join(ids[:SHOWN]) + (", …" if len(ids) > SHOWN else "")
                out.print(f"{topic}: {len(ids):,} {what}: {shown}", style="yellow", markup=False)
    if not found.same:
        out.print(
            "What differs was judged by figures that came later, or answered within one slice: see docs/upgrades.md",
            markup=False,
        )
    out.print("next: start the workers, then the feeds", markup=False)
