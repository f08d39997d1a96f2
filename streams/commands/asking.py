"""Ask: backtest, concentration, verify."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from connectors.address import with_broker
from connectors.errors import LiandongError
from connectors.policy_file import load_policies
from connectors.sources.mapping import load_mapping
from connectors.sources.reader import read
from connectors.sources.report import concentration_report
from connectors.sources.spill import history
from streams.backtest import Engine, run_backtest
from streams.commands.output import Format, command, out, print_json, print_rejected, progress, read_settings
from streams.commands.price import print_price
from streams.judging import Pace
from streams.pricing import read_labels, run_pricing
from streams.reference import load_references
from streams.verify import Comparison, compare

MOST_REJECTED = 20  # rows shown; replay shows all

MappingOption = Annotated[Path, typer.Option("--mapping", "-m", help="How the file's columns become events (TOML).")]
PolicyOption = Annotated[Path | None, typer.Option("--policy", "-p", help="Policy file; default: LIANDONG_POLICY.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Text for people or one JSON object.")]


@command
def backtest(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet, gzipped or not.")],
    mapping: MappingOption,
    engine: Annotated[Engine, typer.Option(help="The streaming rules, or the independent oracle.")] = Engine.STREAM,
    policy: PolicyOption = None,
    against: Annotated[
        Path | None, typer.Option(help="A second policy: say what changing to it would bring and cost.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="With --against: CSV of known cases, for precision and recall.")
    ] = None,
    label_id: Annotated[str, typer.Option(help="Its column with the customer's id.")] = "customer_id",
    label: Annotated[str, typer.Option(help="Its column that is 1 or true for a case.")] = "label",
    output: Annotated[Path | None, typer.Option("--out", help="Write the warnings there as JSON lines.")] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Judge a file's history without any broker, by the stream's rules or by the oracle's.

    A file of more than a million events need not fit into memory: they go to a folder in LIANDONG_DATA_DIR meanwhile.
    """
    settings = read_settings()
    used = load_policies(policy or settings.policy_path(), settings.models)
    plan = load_mapping(mapping)
    if against is not None:
        known = read_labels(labels, label_id, label) if labels else frozenset()
        other = load_policies(against, settings.models)
        with progress() as bar, history(file, plan, settings.data_dir, Pace(bar, "reading")) as past:
            cost = run_pricing(past, used, other, known, bar)
        print_json(cost) if format is Format.JSON else print_price(cost)
        return
    if labels is not None:
        raise LiandongError("--labels is for comparing two policies", "give the second one with --against")
    with progress() as bar, history(file, plan, settings.data_dir, Pace(bar, "reading")) as past:
        result = run_backtest(past, used, engine, bar)
    if output is not None:
        with output.open("wb") as sink:
            for line in result.lines():
                sink.write(line + b"\n")
    if format is Format.JSON:
        print_json(result.summary())
        return
    out.print(f"{result.rows:,} rows: {result.accepted:,} accepted, {result.rejected:,} rejected")
    print_rejected(result.mapped, most=MOST_REJECTED)
    table = Table(title=f"Warnings by the {engine.value} under {used.latest.version}")
    table.add_column("detector")
    table.add_column("warnings", justify="right")
    for name, count in result.warnings.items():
        table.add_row(name, f"{count:,}")
    out.print(table)
    for reason, count in result.refused.items():
        out.print(f"{count:,} events refused: {reason}")
    out.print(f"digest {result.digest}")


@command
def concentration(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet with loans.")],
    mapping: MappingOption,
    by: Annotated[str, typer.Option(help="industry, borrower, or a column that the mapping names.")],
    within: Annotated[str | None, typer.Option(help="One result for each value of this column.")] = None,
    known_only: Annotated[bool, typer.Option("--known-only", help="Leave the member `unknown` out.")] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Say how concentrated a loan book is: HHI, effective number, CR4, Gini."""
    mapped = read(file, load_mapping(mapping))
    report = concentration_report(mapped, by, within, known_only)
    if format is Format.JSON:
        print_json(report)
        return
    rows: list[dict[str, Any]] = report if isinstance(report, list) else [report]
    table = Table(title=f"Concentration by {by}" + (f" within {within}" if within else ""))
    names = ["member"] if within else []
    names += ["rows", "total", "members", "hhi", "hhi_normalised", "effective_number", "cr4", "gini"]
    for name in names:
        table.add_column(name, justify="left" if name == "member" else "right")
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in names))
    out.print(f"{mapped.rows:,} rows: {mapped.accepted_rows:,} accepted, {mapped.rejected_rows:,} rejected")
    print_rejected(mapped, most=MOST_REJECTED)
    out.print(table)


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.6f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


@command
def verify(
    policy: PolicyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Compare the warnings on the topics with what the oracle finds in the input topics; exit 0 when they agree."""
    settings = with_broker(read_settings())
    used = load_policies(policy or settings.policy_path(), settings.models)
    load_references(settings, used)
    result = compare(settings, used)
    if format is Format.JSON:
        print_json(result)
    else:
        _print_comparison(result)
    if not result.agrees:
        raise typer.Exit(1)


def _print_comparison(result: Comparison) -> None:
    for topic, count in result.read.items():
        out.print(f"{count:,} records on {topic}")
    table = Table(title="Stream against oracle")
    for name in ("detector", "both", "missing on the topic", "only on the topic"):
        table.add_column(name, justify="left" if name == "detector" else "right")
    for name, (both, missing, extra) in result.by_detector.items():
        table.add_row(name, f"{both:,}", f"{missing:,}", f"{extra:,}")
    out.print(table)
    for title, ids in (("missing on the topic", result.missing), ("only on the topic", result.extra)):
        for line in ids[:20]:
            out.print(f"{title}: {line.warning_id} {line.detector} {line.subject}", markup=False)
        if len(ids) > 20:
            out.print(f"… and {len(ids) - 20:,} more {title}")
    for line in result.other_severity[:20]:
        out.print(f"severity differs: {line.warning_id} {line.detector} {line.subject} ({line.severity})", markup=False)
    out.print("stream and oracle agree" if result.agrees else "stream and oracle DIFFER", style="bold")
