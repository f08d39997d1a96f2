"""Ask: a model of what is usual, trained on a history; and the models that there are."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table

from connectors.errors import LiandongError
from connectors.model_file import load_file, save_model, stored_models
from connectors.policy_file import load_policies
from connectors.sources.mapping import load_mapping
from connectors.sources.spill import history
from models.anomaly.batch import feature_frame
from models.anomaly.candidates import KINDS, Kind
from models.anomaly.features import FEATURES
from models.anomaly.feedback import Reranker, RerankerCard
from models.anomaly.model import Card, Model
from models.anomaly.training import Untrainable, train
from models.policy.rules import MAX_BUDGET
from streams.commands.asking import FormatOption, MappingOption, PolicyOption
from streams.commands.output import Format, command, out, print_json, progress, read_settings
from streams.judging import Pace

SHOWN = 16  # digits of a hash, enough to name it
app = typer.Typer(help="Trained models: list them, show one.", no_args_is_help=True)
DirectoryOption = Annotated[Path | None, typer.Option("--models", help="Their folder; default: LIANDONG_MODELS.")]


@command
def training(
    file: Annotated[Path, typer.Argument(metavar="HISTORY", help="CSV, JSON lines or Parquet of transactions.")],
    mapping: MappingOption,
    policy: PolicyOption = None,
    kind: Annotated[str, typer.Option(help=", ".join(KINDS))] = "hbos",
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.")] = 7,
    param: Annotated[
        list[str] | None, typer.Option(help="Of the detector, such as n_estimators=200; may be given again.")
    ] = None,
    budget: Annotated[float, typer.Option(help="Warnings a day for which to show the threshold.")] = 20.0,
    models: DirectoryOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Train an anomaly model on a history, and keep it under the hash of its bytes.

    The last fifth of the days is kept back: its scores say from which one on a warning is due. The same history, seed
    and libraries give the same hash. A model judges nothing until a policy names it in [detectors.anomaly].
    """
    if kind not in KINDS:
        raise LiandongError(f"there is no detector {kind}", f"known are {', '.join(KINDS)}")
    if not 0 < budget <= MAX_BUDGET:
        raise LiandongError(f"--budget is above 0 and at most {MAX_BUDGET}, not {budget:g}", "give another")
    settings = read_settings()
    used = load_policies(policy or settings.policy_path())
    plan = load_mapping(mapping)
    if plan.kind != "transactions":
        raise LiandongError(f"{mapping} maps {plan.kind}", "a model is trained on transactions")
    with progress() as bar, history(file, plan, settings.data_dir, Pace(bar, "reading")) as past:
        tell, rows, done = Pace(bar, "features"), [], 0
        for part in past:
            rows.append(feature_frame(part.accepted, used))
            tell(done := done + part.events, past.events)
        bar.add_task(f"fitting {kind}", total=None)
        model = _trained(pl.concat(rows), kind, seed, used.latest.version, _params(param or []))
    saved = save_model(model, models or settings.models)
    saved.with_suffix(".md").write_text(as_markdown(model.card, saved.stem, budget), encoding="utf-8")
    if format is Format.JSON:
        print_json({"hash": saved.stem, "file": str(saved), "threshold": model.card.threshold(budget), **_plain(model)})
        return
    _show(model.card, saved.stem, budget)
    out.print(f"kept as {saved}", markup=False)


@app.command("list")
@command
def list_(models: DirectoryOption = None, format: FormatOption = Format.TEXT) -> None:
    """List the models of a folder."""
    folder = models or read_settings().models
    found = {name: load_file(name, folder) for name in stored_models(folder)}
    if format is Format.JSON:
        print_json([{"hash": name, **_plain(model)} for name, model in found.items()])
        return
    if not found:
        out.print(f"no models in {folder}: train one with `liandong train`", markup=False)
        return
    table = Table(title=f"Models in {folder}")
    for column in ("hash", "detector", "fitted", "validated", "rows", "policy"):
        table.add_column(column, justify="right" if column == "rows" else "left")
    for name, model in found.items():
        if isinstance(model, Reranker):
            table.add_row(name[:SHOWN], "re-ranker", _span(model.card.days), "", f"{model.card.decided:,}", "")
        else:
            card = model.card
            spans = _span(card.fitted), _span(card.validated)
            table.add_row(name[:SHOWN], card.kind, *spans, f"{card.rows:,}", card.policy_version)
    out.print(table)


@app.command("show")
@command
def show_(
    name: Annotated[str, typer.Argument(metavar="HASH", help="Of the model; its first digits will do.")],
    budget: Annotated[float, typer.Option(help="Warnings a day for which to show the threshold.")] = 20.0,
    models: DirectoryOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show a model's card: what it was made of, and from which score on it would warn."""
    folder = models or read_settings().models
    full = whole_hash(name, folder)
    model = load_file(full, folder)
    print_json({"hash": full, **_plain(model)}) if format is Format.JSON else _show(model.card, full, budget)


def whole_hash(name: str, folder: Path) -> str:
    """The hash that begins so.

    Raises:
        LiandongError: none in the folder does, or several do.
    """
    found = [one for one in stored_models(folder) if one.startswith(name)]
    if len(found) != 1:
        what = f"{len(found)} models begin" if found else "no model begins"
        raise LiandongError(f"{what} with {name} in {folder}", "`liandong models list` shows them")
    return found[0]


def as_markdown(card: Card, name: str, budget: float) -> str:
    """A model card, for people."""
    lines = [f"# Model {name}", "", "| | |", "|---|---|"]
    lines += [f"| {what} | {value} |" for what, value in _facts(card, budget)]
    lines += ["", "| feature | unit | window | 5 % | median | 95 % |", "|---|---|---|---:|---:|---:|"]
    for feature, lay in zip(FEATURES, card.reference, strict=True):
        figures = " | ".join(f"{value:.3f}" for value in (lay.low, lay.median, lay.high))
        lines.append(f"| {feature.id}: {feature.text_en} | {feature.unit} | {feature.window} | {figures} |")
    lines += [
        "",
        "It says how unusual a transaction is beside its customer's last 30 days, not that anything is wrong. It has "
        "learned from what was, crimes among it; what happens every day it does not find.",
        "",
    ]
    return "\n".join(lines)


def _trained(rows: pl.DataFrame, kind: Any, seed: int, version: str, params: dict[str, float]) -> Model:
    detector: Kind = kind
    try:
        return train(rows, kind=detector, seed=seed, policy_version=version, params=params)
    except Untrainable as error:
        raise LiandongError(str(error), "see `liandong train --help`") from error
    except TypeError as error:
        raise LiandongError(f"--param: {error}", f"give parameters that {kind} has") from error


def _params(given: list[str]) -> dict[str, float]:
    found = {}
    for one in given:
        name, mark, value = one.partition("=")
        try:
            number = float(value)
        except ValueError:
            mark = ""
        if not (name and mark):
            raise LiandongError(f"--param {one}: not like n_estimators=200", "give a name and a number")
        found[name] = int(number) if number.is_integer() and "." not in value else number
    return found


def _plain(model: Model | Reranker) -> dict[str, Any]:
    return {"card": {name: getattr(model.card, name) for name in model.card.__struct_fields__ if name != "tail"}}


def _facts(card: Card | RerankerCard, budget: float) -> list[tuple[str, str]]:
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(card.versions.items()))
    if isinstance(card, RerankerCard):
        return [
            ("re-ranker", f"seed {card.seed}, {len(card.columns)} columns"),
            ("learned from", f"{card.decided:,} customers' days, {card.confirmed:,} confirmed, {_span(card.days)}"),
            ("decisions", f"SHA-256 {card.data_hash}"),
            ("libraries", libraries),
        ]
    return [
        ("detector", f"{card.kind}, seed {card.seed}" + "".join(f", {k}={v:g}" for k, v in card.params.items())),
        ("features", f"{len(card.features)}, version {card.feature_version}"),
        ("policy", card.policy_version),
        ("history", f"{card.rows:,} transactions of {card.customers:,} customers, SHA-256 {card.data_hash}"),
        ("fitted on", f"{card.fitted_rows:,} transactions, {_span(card.fitted)}"),
        ("validated on", f"{card.customer_days:,} customers on {card.days} days, {_span(card.validated)}"),
        (
            f"{budget:g} warnings a day",
            f"from a score of {card.threshold(budget):.6f} on, the {100 * card.quantile(budget):.3f} % quantile",
        ),
        ("libraries", libraries),
        *((name, f"{value:g}") for name, value in card.metrics.items()),
    ]


def _show(card: Card | RerankerCard, name: str, budget: float) -> None:
    table = Table(title=f"Model {name}", show_header=False)
    for what, value in _facts(card, budget):
        table.add_row(what, value)
    out.print(table)


def _span(days: tuple[Any, Any]) -> str:
    return f"{days[0]} to {days[1]}"
