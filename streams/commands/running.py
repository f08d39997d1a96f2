"""Run: broker, topics, worker."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from connectors.address import Address, announced, with_broker
from connectors.admin import ensure_topics, fix, verify_topics
from connectors.broker import start_broker
from connectors.topics import TOPICS
from streams.commands.output import Format, command, log_to_stderr, notes, out, print_json, read_settings
from streams.wiring import changelog_topics, run

PolicyOption = Annotated[Path | None, typer.Option("--policy", "-p", help="Policy file; default: LIANDONG_POLICY.")]


@command
def broker(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where clients connect; default: a free port.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where its data stands; default: LIANDONG_DATA_DIR.")] = None,
) -> None:
    """Keep a broker of our own running until Ctrl-C; the other commands find it by themselves."""
    settings = read_settings()
    folder = data_dir or settings.data_dir
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with start_broker(
        folder / "broker", settings.broker, port, cache_dir=settings.cache_dir, say=notes.print
    ) as running:
        out.print(running.notice or f"Apache Kafka {running.version}", markup=False)
        with announced(folder, Address(running.bootstrap, running.kind, running.pid)):
            out.print(f"KAFKA_BOOTSTRAP={running.bootstrap}   data in {folder}   Ctrl-C stops it", markup=False)
            while not stop.wait(0.5):
                if not running.running:
                    notes.print("error: the broker has ended by itself; see its log", style="bold red")
                    raise typer.Exit(1)
    out.print("stopped")


@command
def topics(
    create: Annotated[bool, typer.Option("--create", help="Create what is missing.")] = False,
    fix_drift: Annotated[bool, typer.Option("--fix", help="Set configs back to the catalogue's.")] = False,
    grow: Annotated[bool, typer.Option("--grow", help="With --fix: add partitions (stop workers first).")] = False,
    format: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> None:
    """Compare the broker's topics with the catalogue; exit 1 when they differ. Changes nothing unless told."""
    settings = with_broker(read_settings())
    extra = changelog_topics(settings)
    created = ensure_topics(settings, extra) if create or fix_drift else []
    drifts = verify_topics(settings, extra)
    if fix_drift and drifts:
        fix(settings, drifts, extra, grow=grow)
        drifts = verify_topics(settings, extra)
    if format is Format.JSON:
        print_json({"created": created, "drift": drifts})
    else:
        table = Table(title=f"{settings.partitions} partitions each")
        for name in ("topic", "key", "cleanup", "what it carries"):
            table.add_column(name)
        for spec in TOPICS.values():
            table.add_row(spec.name, spec.key, spec.configs.get("cleanup.policy", "delete"), spec.description)
        out.print(table)
        for name in created:
            out.print(f"created {name}", markup=False)
        for drift in drifts:
            out.print(f"differs: {drift}", style="yellow", markup=False)
        out.print("all topics are as the catalogue has them" if not drifts else "mend: liandong topics --fix")
    if drifts:
        raise typer.Exit(1)


@command
def worker(
    policy: Annotated[
        Path | None, typer.Option("--policy", "-p", help="Policy file; default: LIANDONG_POLICY.")
    ] = None,
    create_topics: Annotated[
        bool, typer.Option("--create-topics/--no-create-topics", help="Create missing ones first.")
    ] = True,
) -> None:
    """Detect and track: run all stages until Ctrl-C. Start as many as there are partitions to share the load."""
    settings = with_broker(read_settings())
    log_to_stderr(settings)
    if create_topics:
        ensure_topics(settings, changelog_topics(settings))
    raise typer.Exit(run(settings, policy or settings.policy_path()))
