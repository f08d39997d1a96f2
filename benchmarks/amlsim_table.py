"""What scatter_gather finds on IBM's AMLSim sample, beside a baseline and beside mere activity.

Prints the table of docs/scatter_gather.md.

Usage: python -m benchmarks.amlsim_table FOLDER

FOLDER has transactions.csv.gz and nodes.csv.gz. Of the labels only `isFraud` is read; no amount is looked at, since the
labels leak through it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from connectors.sources import load_mapping, read
from models import oracle
from models.policy import PolicyHistory, parse_policy

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
BASELINE_SENDERS, BASELINE_STEPS = 5, 5
# Activity over the whole file, which no rule for warnings could wait for.
ACTIVITY = {"counterparties": pl.col("counterparty.account_id").n_unique(), "transactions": pl.len()}


class Score(NamedTuple):
    """How a set of accounts meets the labelled ones; figures between 0 and 1."""

    name: str
    flagged: int
    right: int
    precision: float
    recall: float
    f1: float


class Sample(NamedTuple):
    """The sample as the pipeline reads it.

    Args:
        events: account transactions in the canonical columns, two a transfer.
        accounts: every account of the sample.
        labelled: those that are part of a planted pattern.
    """

    events: pl.DataFrame
    accounts: frozenset[str]
    labelled: frozenset[str]


def load(folder: Path) -> Sample:
    """Read the sample.

    Raises:
        FileNotFoundError: the folder lacks one of the two files.
    """
    mapped = read(folder / "transactions.csv.gz", load_mapping(DEPLOY / "mappings" / "amlsim.toml"))
    nodes = pl.read_csv(folder / "nodes.csv.gz", columns=["nodeid", "isFraud"]).cast({"nodeid": pl.String})
    labelled = nodes.filter(pl.col("isFraud") == 1)["nodeid"]
    return Sample(mapped.accepted, frozenset(nodes["nodeid"]), frozenset(labelled))


def shipped() -> PolicyHistory:
    return PolicyHistory(parse_policy((DEPLOY / "policy" / "amlsim.toml").read_bytes(), "amlsim.toml"))


def found(sample: Sample) -> pl.DataFrame:
    """The oracle's warnings under the shipped policy, with the account and the shape of each."""
    warnings = oracle.warnings(transactions=sample.events, policies=shipped())
    return warnings.filter(pl.col("detector") == "scatter_gather").with_columns(
        pl.col("subject").str.strip_prefix("customer:").alias("account"),
        pl.col("anchor").str.split("|").list.first().alias("shape"),
    )


def scores(sample: Sample, warnings: pl.DataFrame) -> Iterator[Score]:
    """The rows of the table."""
    flagged = frozenset(warnings["account"])
    yield _score("every account", sample.accounts, sample)
    for what, count in ACTIVITY.items():
        yield _score(f"as many accounts, those with most {what}", busiest(sample, count, len(flagged)), sample)
    yield _score(f"baseline: {BASELINE_SENDERS} senders in {BASELINE_STEPS} days", baseline(sample), sample)
    for shape in ("gather", "scatter"):
        yield _score(f"rule, {shape} only", frozenset(warnings.filter(pl.col("shape") == shape)["account"]), sample)
    yield _score("rule, amounts off", flagged, sample)


def baseline(sample: Sample) -> frozenset[str]:
    """Accounts that have five distinct senders within some five days."""
    most = _most(sample, "in", BASELINE_STEPS)
    return frozenset(account for account, number in most.items() if number >= BASELINE_SENDERS)


def busiest(sample: Sample, count: pl.Expr, number: int) -> frozenset[str]:
    """The accounts with most activity: at least so many, with all that tie with the last of them."""
    counts = sample.events.group_by("account_id").agg(count.alias("count"))
    least = counts["count"].sort(descending=True)[number - 1]
    return frozenset(counts.filter(pl.col("count") >= least)["account_id"])


def missed(sample: Sample, warnings: pl.DataFrame) -> dict[str, int]:
    """Labelled accounts without a warning, by what is lacking: each account counted once, at the first that fits."""
    rule = shipped().latest.detectors.scatter_gather
    days = rule.within.whole
    payers, payees = _most(sample, "in", days), _most(sample, "out", days)
    reasons = {
        "no transaction in the file": 0,
        "money on one side only, in the whole file": 0,
        f"never {rule.many_payers.whole} payers or {rule.many_payees.whole} payees inside {days} days": 0,
        "enough of them, but not new, not unusual, or nothing on the other side": 0,
    }
    names = list(reasons)
    for account in sample.labelled - frozenset(warnings["account"]):
        came, went = payers.get(account, 0), payees.get(account, 0)
        if not came and not went:
            reasons[names[0]] += 1
        elif not came or not went:
            reasons[names[1]] += 1
        elif came < rule.many_payers.whole and went < rule.many_payees.whole:
            reasons[names[2]] += 1
        else:
            reasons[names[3]] += 1
    return reasons


def _most(sample: Sample, direction: str, days: int) -> dict[str, int]:
    """By account, the most distinct counterparties of one direction inside so many days."""
    dealt = sample.events.filter(pl.col("direction") == direction).select(
        "account_id", pl.col("counterparty.account_id").alias("other"), pl.col("event_time").dt.date().alias("day")
    )
    # A day counts for the windows that end with it or with one of the days after it.
    windows = pl.concat([dealt.unique().with_columns(pl.col("day").dt.offset_by(f"{n}d")) for n in range(days)])
    most = windows.group_by("account_id", "day").agg(pl.col("other").n_unique()).group_by("account_id").max()
    return dict(most.select("account_id", "other").iter_rows())


def _score(name: str, flagged: frozenset[str], sample: Sample) -> Score:
    right, labelled = len(flagged & sample.labelled), len(sample.labelled)
    f1 = 2 * right / (len(flagged) + labelled)
    return Score(name, len(flagged), right, right / len(flagged), right / labelled, f1)


def line(one: Score) -> str:
    """A row of the table in Markdown."""
    return f"| {one.name} | {one.flagged:,} | {one.right:,} | {one.precision:.3f} | {one.recall:.3f} | {one.f1:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    sample = load(parser.parse_args().folder)
    warnings = found(sample)
    print("| | accounts | of them labelled | P | R | F1 |")
    print("|---|---:|---:|---:|---:|---:|")
    for one in scores(sample, warnings):
        print(line(one))
    gone = missed(sample, warnings)
    print(f"\n{sum(gone.values()):,} of {len(sample.labelled):,} labelled accounts have no warning:")
    for reason, number in gone.items():
        print(f"- {number:,}: {reason}")


if __name__ == "__main__":
    main()
