"""Run: the projector that fills the database. Keep: the database itself."""

import signal
import threading
from contextlib import nullcontext
from importlib.metadata import version
from typing import Annotated

import typer

from connectors.address import with_broker
from connectors.certificates import certificates_watched
from connectors.metrics import Metrics, metrics_shown
from connectors.store.comparison import Comparison, compare_store
from connectors.store.engine import answering, open_store
from connectors.store.projector import Projector, rebuild
from connectors.store.versions import found, upgrade, wanted
from streams.commands.output import Format, command, log_to_stderr, notes, out, print_json, progress, read_settings
from streams.playground import READY


@command
def project(
    once: Annotated[bool, typer.Option("--once", help="Fill it with what the topics hold now, and end.")] = False,
) -> None:
    """Fill the database from the topics, and keep it so until Ctrl-C. The desk reads it."""
    settings = with_broker(read_settings())
    log_to_stderr(settings, "kafka", "alembic")  # they tell of every connection and look at a table
    metrics = Metrics()
    metrics.build(version("liandong"), "")
    engine = open_store(settings)
    with answering(engine):
        before, after = upgrade(engine)
    if before != after:
        notes.print(f"{engine.url!r}: version {before} -> {after}", markup=False)
    metrics.database("projector", up=True, version=after)
    try:
        with (
            nullcontext() if once else metrics_shown(settings, "projector", metrics),
            certificates_watched(settings, metrics.certificate),
            answering(engine),
            Projector(settings, engine, metrics) as projector,
        ):
            if once:
                _to_the_end(projector)
                return
            stop = threading.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            waiting = projector.look()
            print(f"{READY} projecting into {engine.url!r}, {waiting:,} records wait", flush=True)
            projector.run(stop)
    finally:
        engine.dispose()


def _to_the_end(projector: Projector) -> None:
    done, total = 0, projector.look()
    with progress() as bar:
        task = bar.add_task("projecting", total=total)
        # Only what stood there at the start: on a busy broker the end would run ahead for ever.
        while done < total:
            count = projector.step()
            done += count
            bar.update(task, completed=done)
            # Offsets are not records: where some were compacted away the end comes sooner than was counted.
            if not count and not projector.look():
                break
    projector.look()  # for the desk, which shows how much waits
    out.print(f"{done:,} records projected", markup=False)


@command
def database(
    upgrade_: Annotated[bool, typer.Option("--upgrade", help="Bring its tables to this release's version.")] = False,
    rebuild_: Annotated[
        bool, typer.Option("--rebuild", help="Empty it; the projector fills it again from the topics.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Hold every row against the topics.")] = False,
    format: Annotated[Format, typer.Option("--format")] = Format.TEXT,
) -> None:
    """Show the version of the database; exit 1 where this release needs another, or --verify finds a difference.

    Changes nothing unless told.
    """
    settings = read_settings()
    engine = open_store(settings, read_only=not (upgrade_ or rebuild_))
    try:
        with answering(engine):
            if upgrade_ or rebuild_:
                upgrade(engine)
            if rebuild_:
                rebuild(engine)
            with engine.connect() as connection:
                version_ = found(connection)
            compared = compare_store(with_broker(settings), engine) if verify and version_ >= wanted() else []
    finally:
        engine.dispose()
    fits = version_ == wanted()
    if format is Format.JSON:
        answer = {"database": repr(engine.url), "version": version_, "wanted": wanted(), "fits": fits}
        print_json(answer | ({"compared": compared} if verify else {}))
    else:
        out.print(repr(engine.url), markup=False)
        out.print(f"version {version_ or 'none: it has no tables yet'}; this release has {wanted()}", markup=False)
        if rebuild_:
            out.print("emptied: `liandong project` fills it again")
        elif version_ < wanted():
            out.print("mend: liandong database --upgrade")
        for one in compared:
            wrong = [f"{len(ids):,} {what}: {_first(ids)}" for what, ids in _differences(one) if ids]
            out.print("; ".join((f"{one.topic}: {one.same:,} as on the topic", *wrong)), markup=False)
    if not fits or not all(one.agrees for one in compared):
        raise typer.Exit(1)


def _first(ids: tuple[str, ...], most: int = 3) -> str:
    return ", ".join(ids[:most]) + (" …" if len(ids) > most else "")


def _differences(one: Comparison) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("missing", one.missing), ("stale", one.stale), ("in the database alone", one.extra))
