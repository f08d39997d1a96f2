"""Ask: how far a history lies from what a model was trained on."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from rich.table import Table

from connectors.account_texts import Language
from connectors.errors import LiandongError
from connectors.model_file import load_model
from connectors.policy_file import load_policies
from connectors.reports.drift import page
from connectors.sources.mapping import load_mapping
from connectors.sources.spill import history
from models.anomaly.batch import feature_frame
from models.anomaly.drift import Counts, count, drifts
from models.anomaly.features import FEATURES
from models.anomaly.model import Model
from streams.commands.asking import FormatOption, MappingOption, PolicyOption
from streams.commands.output import Format, command, out, print_json, progress, read_settings
from streams.commands.train import DirectoryOption, whole_hash
from streams.judging import Pace

LEAST = 200  # rows of a week: with fewer the index is mostly chance


@command
def drift(
    file: Annotated[Path, typer.Argument(metavar="HISTORY", help="CSV, JSON lines or Parquet of transactions.")],
    mapping: MappingOption,
    model: Annotated[str, typer.Option(help="Hash of the model; its first digits will do.")],
    policy: PolicyOption = None,
    models: DirectoryOption = None,
    folder: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("."),
    language: Annotated[Language, typer.Option("--language", "-l", help="Of the page.")] = "en",
    format: FormatOption = Format.TEXT,
) -> None:
    """Hold a history against what a model was trained on: the stability index of each feature and of the score.

    Writes a page with plots, in all and by week.
    """
    settings = read_settings()
    store = models or settings.models
    name = whole_hash(model, store)
    judge = load_model(name, store)
    used = load_policies(policy or settings.policy_path())
    plan = load_mapping(mapping)
    if plan.kind != "transactions":
        raise LiandongError(f"{mapping} maps {plan.kind}", "a model scores transactions")
    whole, weeks = Counts(), dict[date, Counts]()
    first, last = date.max, date.min
    with progress() as bar, history(file, plan, settings.data_dir, Pace(bar, "reading")) as past:
        tell, done = Pace(bar, "scoring"), 0
        for part in past:
            rows = feature_frame(part.accepted, used)
            for monday, counts in _by_week(judge, rows):
                whole.add(counts)
                weeks.setdefault(monday, Counts()).add(counts)
            if rows.height:
                days: Any = rows.select(pl.col("day").min().alias("first"), pl.col("day").max().alias("last")).row(0)
                first, last = min(first, days[0]), max(last, days[1])
            tell(done := done + part.events, past.events)
    if not whole.rows:
        raise LiandongError(f"{file} has no transaction of a customer", "give another history")
    found = drifts(judge.card, whole)
    drawn = {day: counts for day, counts in sorted(weeks.items()) if counts.rows >= LEAST}
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"liandong-drift-{name[:16]}.html"
    written.write_text(page(name, judge.card, drawn, whole, (first, last), LEAST, language), encoding="utf-8")
    if format is Format.JSON:
        answer = {"model": name, "rows": whole.rows, "refused": whole.refused, "drift": found, "written": str(written)}
        print_json(answer)
        return
    table = Table(title=f"{whole.rows:,} transactions, {first} to {last}, against model {name[:16]}")
    for column in ("feature", "PSI", "state"):
        table.add_column(column, justify="right" if column == "PSI" else "left")
    for one in found:
        table.add_row(one.name, f"{one.index:.3f}", one.stability)
    out.print(table)
    out.print(f"written to {written}", markup=False)


def _by_week(judge: Model, rows: pl.DataFrame) -> list[tuple[date, Counts]]:
    """The counts of each week, by its Monday. What is not finite is refused, and counted as that."""
    found = []
    weeks = rows.with_columns(pl.col("day").dt.truncate("1w").alias("week")).partition_by("week", as_dict=True)
    for (monday,), some in weeks.items():
        matrix = some.select(one.id for one in FEATURES).to_numpy().astype(np.float64)
        sound = np.isfinite(matrix).all(axis=1)
        matrix = matrix[sound]
        counts = count(judge, matrix, judge.score(matrix))
        counts.refused = int((~sound).sum())
        found.append((monday, counts))
    return found
