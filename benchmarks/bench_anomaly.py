"""How well the anomaly model ranks what somebody should look at, beside the rules and simple baselines; and its cost.

Usage: python benchmarks/bench_anomaly.py amlsim FOLDER          IBM's AMLSim sample, every amount set to 1.00
       python benchmarks/bench_anomaly.py simulated [--customers 2000 --days 90 --seeds 7 8 9]
       python benchmarks/bench_anomaly.py rerank [--customers 4000 --days 90 --seeds 7 8 9 --noise 0.05]
       python benchmarks/bench_anomaly.py cost [--customers 1000 10000 100000]
       python benchmarks/bench_anomaly.py equality [--transactions 1000000]
       python benchmarks/bench_anomaly.py stream [--transactions 100000]

`amlsim` and `simulated` split by time: every model is trained on the first four fifths of the days, all figures are of
the last fifth. What is ranked there: in AMLSim accounts with any transaction in those days (its labels name accounts,
not days), in the simulator customers on a day (positive: an event of a planted scenario is on it).

  AP      average precision of the ranking; `random` shows the share of positives
  P, R    precision and recall of the highest in rank within the budget of --budget warnings a day
  rules   the warnings of customer rules: by severity, then by number; whoever has none comes last, in random order
  rules and ...   the better of the two ranks

`rerank` lets the simulated bank's people decide on every warning of the rules and of the model, wrongly in --noise of
them; a re-ranker learns from those of the first three fifths of the days, and the queue of the rest is put in order by
severity and by it: AP, and the share of what was planted within the first tenth of the queue.

With several --seeds, `simulated` plays as many banks and gives the means over them: few customers are planted in each.
`cost` measures, in one process: microseconds an event for the features and for scoring them in batches of 1, 10, 100
and 1,000 rows, and bytes of state a customer; as multiples of the first size, too. `equality` holds the features of
the stream against those of the batch on simulated events. `stream` plays them through all stages in one process
without models, learning habits, and judging by one model. Nothing is written and no broker is needed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file: the project's packages stand one folder up

import msgspec  # noqa: E402
import numpy as np  # noqa: E402
import polars as pl  # noqa: E402
from msgspec.structs import replace  # noqa: E402
from sklearn.metrics import average_precision_score  # noqa: E402

from connectors.sources import load_mapping, read  # noqa: E402
from connectors.sources.simulator import simulate  # noqa: E402
from models import oracle  # noqa: E402
from models.anomaly.batch import feature_frame  # noqa: E402
from models.anomaly.candidates import KINDS  # noqa: E402
from models.anomaly.features import FEATURES, AnomalyState, features  # noqa: E402
from models.anomaly.feedback import DETECTORS, learn, queue_frame  # noqa: E402
from models.anomaly.model import Model  # noqa: E402
from models.anomaly.training import VALIDATED, customer_days, train  # noqa: E402
from models.events import Transaction  # noqa: E402
from models.pipeline import LocalPipeline  # noqa: E402
from models.policy import PolicyHistory, parse_policy  # noqa: E402
from models.risk_warning import severity_rank  # noqa: E402

DEPLOY = ROOT / "deploy"
START = date(2026, 3, 2)
NAMES = [one.id for one in FEATURES]
# Rules about customers' behaviour: what posts report, or the law wants filed, is no guess.
RULES = (
    "frequent_large_transfers",
    "structuring",
    "scatter_gather",
    "dormant_reactivation",
    "missing_control",
    "suspicious_counterparty",
)


class Question(NamedTuple):
    """What is ranked.

    Args:
        rows: features of all days.
        units: customer_id (and day), with `positive`: what may be ranked on the days of the test.
        warned: the same keys, with `rule`: how high the rules put it.
        budget: how many may be looked at in all.
    """

    rows: pl.DataFrame
    units: pl.DataFrame
    warned: pl.DataFrame
    budget: int

    @property
    def key(self) -> list[str]:
        return [name for name in ("customer_id", "day") if name in self.units.columns]


class Score(NamedTuple):
    """How a ranking did."""

    name: str
    average_precision: float
    precision: float
    recall: float


def shipped(name: str) -> PolicyHistory:
    return PolicyHistory(parse_policy((DEPLOY / "policy" / f"{name}.toml").read_bytes(), name))


def first_day_of_test(rows: pl.DataFrame) -> date:
    days: list[date] = rows["day"].unique().sort().to_list()
    return days[len(days) - max(1, len(days) // VALIDATED)]


def severities(warnings: pl.DataFrame, *key: str) -> pl.DataFrame:
    """How high the rules put each: the gravest severity, then how many they are."""
    ranks = [severity_rank(one) for one in warnings["severity"]]
    named = warnings.with_columns(
        pl.col("subject").str.strip_prefix("customer:").alias("customer_id"), pl.Series("rank", ranks, dtype=pl.Int64)
    )
    rule = (1 + pl.col("rank").max()) + pl.len() / 1000
    return named.group_by(*key).agg(rule.cast(pl.Float64).alias("rule"))


def amlsim(folder: Path, budget: float) -> Question:
    """Accounts of the sample on the last fifth of its days, all amounts alike."""
    mapped = read(folder / "transactions.csv.gz", load_mapping(DEPLOY / "mappings" / "amlsim.toml"))
    events = mapped.accepted.with_columns(pl.lit("1.00").str.to_decimal(scale=2).alias("amount"))
    policies = shipped("amlsim")
    rows = feature_frame(events, policies)
    first = first_day_of_test(rows)
    nodes = pl.read_csv(folder / "nodes.csv.gz", columns=["nodeid", "isFraud"]).cast({"nodeid": pl.String})
    labelled = nodes.filter(pl.col("isFraud") == 1)["nodeid"]
    test = rows.filter(pl.col("day") >= first)
    units = test.select("customer_id").unique().sort("customer_id")
    units = units.with_columns(pl.col("customer_id").is_in(labelled.implode()).alias("positive"))
    warnings = oracle.warnings(transactions=events, policies=policies)
    warnings = warnings.filter(
        pl.col("detector").is_in(RULES), pl.col("event_time").dt.date() >= first, pl.col("subject").str.starts_with("c")
    )
    days = test["day"].n_unique()
    return Question(rows, units, severities(warnings, "customer_id"), int(budget * days))


def simulated(seed: int, customers: int, days: int, budget: float) -> Question:
    """Customers on a day of a simulated bank, with what was planted there."""
    policies = shipped("cn")
    policy = policies.latest
    bank = simulate(seed, customers, days, START, policy)
    made = [one for one in bank if isinstance(one, Transaction)]
    end = START + timedelta(days=days * 5 // 6)  # nothing is planted in the last sixth
    zone = policy.calendar.timezone
    day = pl.col("event_time").dt.convert_time_zone(zone).dt.date()
    events = oracle.from_events(made).filter(day < end)
    planted = {name for label in bank.labels for name in label.event_ids}
    rows = feature_frame(events, policies).with_columns(pl.col("event_id").is_in(list(planted)).alias("planted"))
    first = first_day_of_test(rows)
    test = rows.filter(pl.col("day") >= first)
    units = test.group_by("customer_id", "day").agg(pl.col("planted").any().alias("positive"))
    warnings = oracle.warnings(transactions=events, policies=policies).filter(
        pl.col("detector").is_in(RULES), pl.col("subject").str.starts_with("customer:")
    )
    warned = severities(warnings.with_columns(day.alias("day")), "customer_id", "day")
    return Question(
        rows.drop("planted"), units.sort("day", "customer_id"), warned, int(budget * test["day"].n_unique())
    )


def highest(question: Question, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The highest score of each unit."""
    scored = question.rows.select(*question.key).with_columns(pl.Series("score", scores))
    best = scored.group_by(*question.key).agg(pl.col("score").max())
    return question.units.join(best, on=question.key, how="left")["score"].to_numpy()


def rankings(question: Question, seed: int, policy_version: str) -> Iterable[tuple[str, np.ndarray[Any, Any]]]:
    """(name, a score for each unit) of everything that is compared."""
    first = first_day_of_test(question.rows)
    rows = question.rows.filter(pl.col("day") >= first)
    asked = question._replace(rows=rows)
    matrix = rows.select(NAMES).to_numpy()
    dice = np.random.default_rng(seed)
    chance = dice.random(question.units.height)
    yield "random", chance
    yield "robust z of the amount", highest(asked, np.abs(rows["amount_vs_habit"].to_numpy()))
    yield "number of transactions on a day", highest(asked, rows["tempo_day"].to_numpy())
    warned = question.units.join(question.warned, on=question.key, how="left")["rule"].fill_null(0).to_numpy()
    by_rules = warned + chance / 10_000
    yield "rules alone", by_rules
    for kind in KINDS:
        model = train(question.rows, kind=kind, seed=seed, policy_version=policy_version)
        scores = highest(asked, model.score(matrix))
        yield f"model alone, {kind}", scores
        if kind != "robust_z":
            yield f"rules and {kind}", np.maximum(_ranks(by_rules) * (warned > 0), _ranks(scores))


def _ranks(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """From 0 for the lowest to 1 for the highest."""
    return np.argsort(np.argsort(scores)) / max(1, len(scores) - 1)


def judged(question: Question, seed: int, policy_version: str) -> list[Score]:
    positive = question.units["positive"].to_numpy()
    found = []
    for name, scores in rankings(question, seed, policy_version):
        top = np.argsort(-scores, kind="stable")[: question.budget]
        right = int(positive[top].sum())
        found.append(
            Score(
                name,
                float(average_precision_score(positive, scores)),
                right / max(1, len(top)),
                right / max(1, int(positive.sum())),
            )
        )
    return found


def told(question: Question) -> None:
    positive = int(question.units["positive"].sum())
    print(f"{question.units.height:,} ranked, {positive:,} of them positive; budget {question.budget:,} in all")


def table(runs: list[list[Score]]) -> None:
    """The means over several runs."""
    print("\n| | AP | P at the budget | R at the budget |\n|---|---:|---:|---:|")
    for ones in zip(*runs, strict=True):
        figures = np.mean([one[1:] for one in ones], axis=0)
        print(f"| {ones[0].name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |")


# --- feedback ---


def reranked(seed: int, customers: int, days: int, budget: float, noise: float) -> list[Score]:
    """The queue of the later days in two orders."""
    policies = shipped("cn")
    policy = policies.latest
    bank = simulate(seed, customers, days, START, policy)
    made = [one for one in bank if isinstance(one, Transaction)]
    end = START + timedelta(days=days * 5 // 6)
    day = pl.col("event_time").dt.convert_time_zone(policy.calendar.timezone).dt.date()
    events = oracle.from_events(made).filter(day < end)
    planted = [name for label in bank.labels for name in label.event_ids]
    rows = feature_frame(events, policies)
    right = rows.filter(pl.col("event_id").is_in(planted)).select("customer_id", "day").unique()
    first = START + timedelta(days=days * 5 // 6 * 3 // 5)
    model = train(rows.filter(pl.col("day") < first), kind="hbos", seed=seed, policy_version=policy.version)
    strange = customer_days(model.score(rows.select(NAMES).to_numpy()), rows)
    strange = strange.filter(pl.col("score") >= model.card.threshold(budget)).with_columns(
        pl.lit("anomaly").alias("detector"), pl.lit(1).alias("rank")
    )
    warnings = oracle.warnings(transactions=events, policies=policies).filter(pl.col("detector").is_in(DETECTORS))
    ranks = [severity_rank(one) for one in warnings["severity"]]
    told = warnings.select(
        pl.col("subject").str.strip_prefix("customer:").alias("customer_id"),
        day.alias("day"),
        "detector",
        pl.Series("rank", ranks, dtype=pl.Int32),
    )
    queue = queue_frame(pl.concat([told, strange.select(told.columns)]), rows)
    keys = ["customer_id", "day"]
    queue = queue.join(right.with_columns(pl.lit(True).alias("planted")), on=keys, how="left", maintain_order="left")
    dice = np.random.default_rng(seed)
    wrong = pl.Series(dice.random(queue.height) < noise)
    queue = queue.with_columns(pl.col("planted").fill_null(False)).with_columns(
        (pl.col("planted") ^ wrong).alias("confirmed")
    )
    past, later = queue.filter(pl.col("day") < first), queue.filter(pl.col("day") >= first)
    positive, tenth = later["planted"].to_numpy(), max(1, later.height // 10)
    print(f"{past.height:,} decided, then {later.height:,} in the queue, {int(positive.sum())} of them planted")
    orders = {
        "by severity, then by number": later["rank"].to_numpy() + later["warnings"].to_numpy() / 1000,
        "re-ranked": learn(past, seed=seed).rank(later),
    }
    found = []
    for name, scores in orders.items():
        hits = int(positive[np.argsort(-scores, kind="stable")[:tenth]].sum())
        average = float(average_precision_score(positive, scores))
        found.append(Score(name, average, hits / tenth, hits / max(1, int(positive.sum()))))
    return found


# --- cost ---


def traffic(customers: int, transactions: int) -> list[Transaction]:
    policy = shipped("cn").latest
    bank = simulate(7, customers, max(1, transactions // (2 * customers)) + 20, START, policy)
    made = []
    for event in bank:
        if isinstance(event, Transaction) and event.origin == "customer":
            made.append(event)
            if len(made) == transactions:
                break
    return made


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def scored(model: Model, batches: list[Any]) -> None:
    for one in batches:
        model.score(one)


def cost(sizes: list[int]) -> list[dict[str, float]]:
    """Of each number of customers: 20 transactions each, at least 20,000."""
    found = []
    policy = shipped("cn").latest
    for customers in sizes:
        events = traffic(customers, max(20_000, 20 * customers))
        states: dict[str, AnomalyState] = {}
        rows: list[tuple[float, ...]] = []

        def all_of_them(
            events: list[Transaction] = events,
            states: dict[str, AnomalyState] = states,
            rows: list[tuple[float, ...]] = rows,
        ) -> None:
            for event in events:
                state = states.get(event.customer_id) or states.setdefault(event.customer_id, AnomalyState())
                rows.append(features(state, event, policy))

        spent = seconds(all_of_them)
        matrix = np.array(rows[-20_000:])
        frame = pl.DataFrame(matrix, schema=NAMES).with_columns(
            pl.Series("event_id", [f"e{n}" for n in range(len(matrix))]),
            pl.Series("customer_id", [f"c{n % 100}" for n in range(len(matrix))]),
            pl.Series("day", [START + timedelta(days=n % 20) for n in range(len(matrix))]),
        )
        model = train(frame, kind="isolation_forest", seed=7, policy_version=policy.version)
        line: dict[str, float] = {
            "customers": len(states),
            "events": len(events),
            "features_us": 1e6 * spent / len(events),
            "state_bytes": sum(len(msgspec.msgpack.encode(one)) for one in states.values()) / len(states),
        }
        for size in (1, 10, 100, 1000):
            batches = [matrix[n : n + size] for n in range(0, min(len(matrix), 200 * size), size)]
            spent = seconds(partial(scored, model, batches))
            line[f"score_us_{size}"] = 1e6 * spent / sum(len(one) for one in batches)
        found.append(line)
        print(json.dumps(line), flush=True)
    return found


def equality(transactions: int) -> float:
    """The greatest difference between the stream's features and the batch's."""
    policies = shipped("cn")
    policy = policies.latest
    bank = simulate(7, 1000, 40, START, policy, transactions=transactions)
    events = [one for one in bank if isinstance(one, Transaction)]
    states: dict[str, AnomalyState] = {}
    rows = []
    for event in events:
        if event.origin == "customer":
            state = states.get(event.customer_id) or states.setdefault(event.customer_id, AnomalyState())
            rows.append(features(state, event, policies.at(event.event_time)))
    batch = feature_frame(oracle.from_events(events), policies)
    assert batch["event_id"].to_list() == [one.event_id for one in events if one.origin == "customer"]
    worst = float(np.abs(batch.select(NAMES).to_numpy() - np.array(rows)).max())
    print(f"{len(rows):,} customers' transactions of {len(events):,}: features differ by {worst:.1e} at most")
    return worst


def stream(transactions: int) -> dict[str, float]:
    """How long the whole pipeline takes without models, learning habits, and judging: ratios in one run, in turns."""
    policy = shipped("cn").latest
    bank = simulate(7, 1000, 40, START, policy, transactions=transactions)
    events = [one for one in bank if isinstance(one, Transaction)]
    name = "a" * 64
    rows = feature_frame(oracle.from_events(events), shipped("cn"))
    model = train(rows, kind="hbos", seed=7, policy_version="cn", params={})

    def run(**fields: Any) -> None:
        rule = replace(policy.detectors.anomaly, **fields)
        policies = PolicyHistory(replace(policy, detectors=replace(policy.detectors, anomaly=rule)))
        policies.models = {name: model}
        LocalPipeline(policies).run(("transactions", one) for one in events)

    ways: dict[str, dict[str, Any]] = {
        "without models": {"mode": "off"},
        "learning habits": {"mode": "live"},
        "judging by one model": {"mode": "live", "model": name},
    }
    found = {way: min(seconds(lambda fields=fields: run(**fields)) for _ in range(2)) for way, fields in ways.items()}
    base = found["without models"]
    for way, took in found.items():
        print(f"{way}: {took / len(events) * 1e6:.0f} us an event, {took / base:.2f} times")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("amlsim")
    one.add_argument("folder", type=Path)
    two = commands.add_parser("simulated")
    two.add_argument("--customers", type=int, default=2000)
    two.add_argument("--days", type=int, default=90)
    three = commands.add_parser("rerank")
    three.add_argument("--customers", type=int, default=4000)
    three.add_argument("--days", type=int, default=90)
    three.add_argument("--noise", type=float, default=0.05, help="share of wrong decisions")
    for command in (one, two, three):
        command.add_argument("--seeds", type=int, nargs="+", default=[7])
        command.add_argument("--budget", type=float, default=20, help="warnings a day")
    commands.add_parser("cost").add_argument("--customers", type=int, nargs="+", default=[1000, 10_000, 100_000])
    commands.add_parser("equality").add_argument("--transactions", type=int, default=1_000_000)
    commands.add_parser("stream").add_argument("--transactions", type=int, default=100_000)
    given = parser.parse_args()
    match given.command:
        case "amlsim":
            question = amlsim(given.folder, given.budget)
            told(question)
            table([judged(question, seed, "amlsim") for seed in given.seeds])
        case "simulated":
            runs = []
            for seed in given.seeds:
                question = simulated(seed, given.customers, given.days, given.budget)
                told(question)
                runs.append(judged(question, seed, "cn"))
            table(runs)
        case "rerank":
            table([reranked(seed, given.customers, given.days, given.budget, given.noise) for seed in given.seeds])
        case "stream":
            stream(given.transactions)
        case "cost":
            lines = cost(given.customers)
            print("\nas multiples of the first:")
            for line in lines[1:]:
                print(json.dumps({name: round(value / lines[0][name], 2) for name, value in line.items()}))
        case _:
            if equality(given.transactions) > 1e-9:
                raise SystemExit(1)


if __name__ == "__main__":
    main()
