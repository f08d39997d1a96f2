"""A year of transactions through `liandong backtest`: rows a second, peak memory, and how both grow with the rows.

Usage: python benchmarks/bench_backtest.py --rows 1000000 2000000 5000000 10000000 [--against]

Every size runs in a process of its own, so that its peak memory is its own; the file is made before, by another one.
Customers make 100 transactions a year on average, with a long tail of busy ones; amounts follow a power law, and
counterparties are drawn by one, too. The same seed makes the same file. Without --against the oracle judges by one
policy; with it a second one, in which cash is reported from 20,000 yuan on, is priced against the first.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file: the project's packages stand one folder up

POLICY = ROOT / "deploy" / "policy" / "cn.toml"
YEAR_BEGINS = np.datetime64("2025-01-01T00:00:00", "us")
YEAR_SECONDS = 365 * 86_400
CHUNK = 500_000
A_CUSTOMER = 100  # transactions a year, on average
BUSIEST = 5_000  # transactions a year of the busiest customer, about

MAPPING = """
name = "year"
kind = "transactions"
timezone = "Asia/Shanghai"
[fields]
event_id = "id"
event_time = "time"
customer_id = "customer"
customer_kind = { column = "kind", map = { P = "person", E = "entity" } }
account_id = "account"
direction = { column = "way", map = { C = "in", D = "out" } }
amount = "amount"
currency = "currency"
method = { column = "how", map = { cash = "cash", wire = "transfer" } }
cross_border = { column = "abroad", map = { Y = true, N = false } }
channel = "channel"
branch_id = "branch"
teller_id = "teller"
counterparty.account_id = "other"
counterparty.name = "other_name"
counterparty.country = "country"
controls.identity_verified = { column = "verified", map = { Y = true, N = false } }
"""


def year(rows: int, seed: int = 20250101) -> Iterator[pl.DataFrame]:
    """The transactions of a year in order of time, in chunks, as a bank would export them (all columns text)."""
    customers = max(rows // A_CUSTOMER, 10)
    shares = np.random.default_rng(seed).pareto(1.5, customers) + 0.2
    shares = np.minimum(shares, BUSIEST / A_CUSTOMER * shares.mean())
    bounds = np.cumsum(shares / shares.sum())
    for number, first in enumerate(range(0, rows, CHUNK)):
        count = min(CHUNK, rows - first)
        dice = np.random.default_rng((seed, number))
        begin, end = first / rows * YEAR_SECONDS, (first + count) / rows * YEAR_SECONDS
        seconds = np.sort(dice.uniform(begin, end, count)).astype("int64")
        owner = np.minimum(np.searchsorted(bounds, dice.random(count)), customers - 1)
        # Half the dealings are with one of five usual counterparties, the others with anyone.
        usual = (owner * 31 + dice.integers(0, 5, count) * 7919) % customers
        anyone = np.minimum((dice.pareto(1.2, count) * customers / 50).astype("int64"), customers - 1)
        other = np.where(dice.random(count) < 0.5, usual, anyone)
        cash, foreign = dice.random(count) < 0.15, dice.random(count) < 0.03
        fen = np.minimum((dice.pareto(1.1, count) + 0.05) * 60_000, 5e11).astype("int64") + 1
        frame = pl.DataFrame(
            {
                "n": np.arange(first + 1, first + count + 1),
                "at": YEAR_BEGINS + seconds.astype("timedelta64[s]"),
                "owner": owner,
                "other": other,
                "fen": fen,
                "way": dice.random(count) < 0.5,
                "cash": cash,
                "foreign": foreign,
                "abroad": dice.random(count) < 0.02,
                "country": dice.integers(0, 20, count),
                "branch": dice.integers(0, 40, count),
                "counter": dice.random(count) < 0.2,
                "verified": dice.random(count) < 0.98,
            }
        )
        yield frame.select(_exported())


def _exported() -> list[pl.Expr]:
    def choice(column: str, yes: str, no: str) -> pl.Expr:
        return pl.when(column).then(pl.lit(yes)).otherwise(pl.lit(no))

    countries = pl.Series(["CN"] * 12 + ["HK", "US", "DE", "JP", "SG", "GB", "FR", "KP"])
    transfer = ~pl.col("cash")
    cents = (pl.col("fen") % 100).cast(pl.String).str.zfill(2)
    return [
        pl.format("T{}", "n").alias("id"),
        pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S+08:00").alias("time"),
        pl.format("C{}", "owner").alias("customer"),
        pl.when(pl.col("owner") % 8 == 0).then(pl.lit("E")).otherwise(pl.lit("P")).alias("kind"),
        pl.format("6222{}", pl.col("owner").cast(pl.String).str.zfill(8)).alias("account"),
        choice("way", "C", "D").alias("way"),
        pl.format("{}.{}", pl.col("fen") // 100, cents).alias("amount"),
        choice("foreign", "USD", "CNY").alias("currency"),
        choice("cash", "cash", "wire").alias("how"),
        pl.when(pl.col("abroad") & transfer).then(pl.lit("Y")).otherwise(pl.lit("N")).alias("abroad"),
        choice("counter", "counter", "mobile").alias("channel"),
        pl.format("B{}", "branch").alias("branch"),
        pl.when("counter").then(pl.format("L{}", "branch")).alias("teller"),
        pl.when(transfer).then(pl.format("6222{}", pl.col("other").cast(pl.String).str.zfill(8))).alias("other"),
        pl.when(transfer).then(pl.format("Counterparty {}", "other")).alias("other_name"),
        pl.when(pl.col("abroad") & transfer).then(pl.lit(countries).gather(pl.col("country"))).alias("country"),
        choice("verified", "Y", "N").alias("verified"),
    ]


def write_year(path: Path, rows: int) -> None:
    """Write the year as CSV, a chunk at a time."""
    with path.open("wb") as sink:
        for number, chunk in enumerate(year(rows)):
            chunk.write_csv(sink, include_header=number == 0)


def run(path: Path, against: bool) -> dict[str, Any]:
    """Read and judge a year in this process, as the command does, and measure it."""
    from connectors.policy_file import load_policies
    from connectors.sources import parse_mapping
    from connectors.sources.spill import history
    from models.policy import PolicyHistory, parse_policy
    from streams.backtest import Engine, run_backtest
    from streams.commands.output import progress
    from streams.judging import Pace
    from streams.pricing import run_pricing

    policies = load_policies(POLICY)
    began = time.perf_counter()
    with progress() as bar, history(path, parse_mapping(MAPPING), path.parent, Pace(bar, "reading")) as past:
        read = time.perf_counter()
        if against:
            text = POLICY.read_text("utf-8").replace('version = "', 'version = "lower-', 1)
            text = text.replace('CNY = "50000"', 'CNY = "20000"', 1)
            price = run_pricing(past, policies, PolicyHistory(parse_policy(text)), frozenset(), bar)
            warnings = sum(one.before + one.after for one in price.detectors)
        else:
            warnings = sum(run_backtest(past, policies, Engine.ORACLE, bar).warnings.values())
        judged = time.perf_counter()
        rows, buckets, rejected = past.whole.rows, past.buckets, past.whole.rejected_rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": rows, "rejected": rejected, "buckets": buckets, "warnings": warnings,
        "reading": read - began, "judging": judged - read, "rate": rows / (judged - began), "peak": peak,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000], help="sizes, smallest first")
    parser.add_argument("--against", action="store_true", help="price a second policy against the first")
    parser.add_argument("--folder", type=Path, help="where files go; default: a temporary folder")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # a size's own process
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_year(args.write, args.rows[0])
        return 0
    if args.one:
        print(json.dumps(run(args.one, args.against)))
        return 0
    first: dict[str, Any] = {}
    print(
        f"{'rows':>12}{'buckets':>9}{'warnings':>10}{'reading s':>11}{'judging s':>11}{'rows/s':>10}{'peak MiB':>10}",
        end="",
    )
    print("   rows, time, memory: times the first size")
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            path = Path(folder, "year.csv")
            print(f"writing {rows:,} rows", file=sys.stderr)
            own = [sys.executable, __file__, "--rows", str(rows)]
            subprocess.run([*own, "--write", str(path)], check=True)  # noqa: S603 - this file itself
            options = ["--against"] if args.against else []
            done = subprocess.run([*own, "--one", str(path), *options], check=True, stdout=subprocess.PIPE)  # noqa: S603
        one = json.loads(done.stdout)
        first = first or one
        spent, before = (each["reading"] + each["judging"] for each in (one, first))
        growth = f"{one['rows'] / first['rows']:.0f}x {spent / before:.2f}x {one['peak'] / first['peak']:.2f}x"
        print(
            f"{one['rows']:>12,}{one['buckets']:>9}{one['warnings']:>10,}{one['reading']:>11.1f}{one['judging']:>11.1f}"
            f"{one['rate']:>10,.0f}{one['peak']:>10,.0f}   {growth}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
