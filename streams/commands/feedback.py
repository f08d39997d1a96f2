"""Ask: what departments decided, as a lesson; and the queue of customers' cases in the order that it teaches."""

from collections.abc import Iterable
from typing import Annotated, Any

import polars as pl
import typer
from rich.progress import Progress

from connectors.cases import read_cases
from connectors.errors import LiandongError
from connectors.model_file import load_reranker, save_model
from connectors.records import TopicReader
from connectors.settings import Settings
from models import oracle
from models.anomaly.batch import feature_frame
from models.anomaly.feedback import DETECTORS, decisions, learn, queue_frame
from models.anomaly.training import Untrainable
from models.policy import PolicyHistory
from models.response.case import Case
from models.revisions import newest
from models.risk_warning import RiskWarning, severity_rank
from streams.commands.keeping import FormatOption, broker_settings, in_use, show
from streams.commands.output import Format, command, out, print_json, progress
from streams.commands.train import DirectoryOption, whole_hash
from streams.commands.train import app as app

COLUMNS = ("place", "case_id", "score", "severity", "detectors", "opened_at")
KEYS = ["customer_id", "day"]


@app.command("learn")
@command
def learn_(
    seed: Annotated[int, typer.Option(help="Of all that is left to chance.")] = 7,
    directory: DirectoryOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Train a re-ranker on what was decided: cases worked through against cases dismissed by two.

    It orders the queue (`liandong models queue`) and leaves no warning out.
    """
    settings = broker_settings()
    policies, _ = in_use(settings)
    with progress() as bar:
        told, cases = _told(settings, policies, bar), read_cases(settings)
        labels = _labels(cases.values())
        queue = queue_frame(told, _features(settings, policies, bar))
        decided = _decided(told, labels)
        try:
            ranker = learn(queue.join(decided, on=KEYS, how="inner"), seed=seed)
        except Untrainable as error:
            raise LiandongError(str(error), "decide on more cases first") from error
    file = save_model(ranker, directory or settings.models)
    card = ranker.card
    if format is Format.JSON:
        print_json({"hash": file.stem, "file": str(file), "card": card})
        return
    out.print(
        f"learned from {card.decided:,} customers' days, {card.confirmed:,} of them confirmed, {card.days[0]} to "
        f"{card.days[1]}\nkept as {file}",
        markup=False,
    )


@app.command("queue")
@command
def queue_(
    reranker: Annotated[
        str | None, typer.Option(help="Hash of a re-ranker; without one the gravest case comes first, then the oldest.")
    ] = None,
    directory: DirectoryOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the open cases on customers in the order in which to look into them."""
    settings = broker_settings()
    policies, _ = in_use(settings)
    found = [one for one in read_cases(settings).values() if _queued(one)]
    found.sort(key=lambda one: (-severity_rank(one.severity), one.opened_at, one.case_id))
    scores: dict[str, float] = {}
    if reranker is not None:
        folder = directory or settings.models
        ranker = load_reranker(whole_hash(reranker, folder), folder)
        with progress() as bar:
            told = _told(settings, policies, bar)
            queue = queue_frame(told, _features(settings, policies, bar))
        ranks = queue.select(KEYS).with_columns(pl.Series("score", ranker.rank(queue), dtype=pl.Float64))
        scores = _by_case(ranks, told, found)
        found.sort(key=lambda one: -scores.get(one.case_id, float("-inf")))
    rows = [_row(place, case, scores.get(case.case_id)) for place, case in enumerate(found, 1)]
    show(format, "Cases to look into", COLUMNS, rows, "no open case on a customer")


def _queued(case: Case) -> bool:
    return case.state == "open" and case.mode == "live" and case.subject.startswith("customer:")


def _row(place: int, case: Case, score: float | None) -> dict[str, Any]:
    detectors = ", ".join(sorted({ref.detector for ref in case.warnings}))
    return {
        "place": place,
        "case_id": case.case_id,
        "score": None if score is None else f"{score:.3f}",
        "severity": case.severity,
        "detectors": detectors,
        "opened_at": case.opened_at,
    }


def newest_warnings(settings: Settings) -> dict[str, RiskWarning]:
    """Each warning as it stands, by id."""
    with TopicReader(settings) as reader:
        return newest((one for _, one in reader.events("warnings")), lambda one: one.warning_id)


def _told(settings: Settings, policies: PolicyHistory, bar: Progress) -> pl.DataFrame:
    """warning_id, customer_id, day, detector, rank of each live warning on a customer, as it stands."""
    task = bar.add_task("reading warnings", total=None)
    told = newest_warnings(settings)
    bar.remove_task(task)
    day_of = policies.latest.bank_calendar.day_of
    rows = [
        (
            one.warning_id,
            one.subject.partition(":")[2],
            day_of(one.event_time),
            one.detector,
            severity_rank(one.severity),
        )
        for one in told.values()
        if one.mode == "live" and one.subject.startswith("customer:") and one.detector in DETECTORS
    ]
    schema = {
        "warning_id": pl.String,
        "customer_id": pl.String,
        "day": pl.Date,
        "detector": pl.String,
        "rank": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _features(settings: Settings, policies: PolicyHistory, bar: Progress) -> pl.DataFrame:
    task = bar.add_task("reading transactions", total=None)
    with TopicReader(settings) as reader:
        events = [event for _, event in reader.events("transactions")]
    bar.update(task, description=f"features of {len(events):,} transactions")
    return feature_frame(oracle.from_events(events), policies)


def _labels(cases: Iterable[Case]) -> pl.DataFrame:
    """warning_id, confirmed."""
    rows = [(one.warning_id, one.confirmed) for one in decisions(cases)]
    return pl.DataFrame(rows, schema={"warning_id": pl.String, "confirmed": pl.Boolean}, orient="row")


def _decided(told: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """customer_id, day, confirmed: a day counts as confirmed where any of its warnings does."""
    return told.join(labels, on="warning_id", how="inner").group_by(KEYS).agg(pl.col("confirmed").any())


def _by_case(ranks: pl.DataFrame, told: pl.DataFrame, cases: Iterable[Case]) -> dict[str, float]:
    """The highest rank of any day on which a case's warnings are."""
    places = told.join(ranks, on=KEYS, how="inner")
    by_warning: dict[str, float] = dict(places.select("warning_id", "score").iter_rows())
    found = {}
    for case in cases:
        scores = [by_warning[ref.warning_id] for ref in case.warnings if ref.warning_id in by_warning]
        if scores:
            found[case.case_id] = max(scores)
    return found
