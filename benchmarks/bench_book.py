"""A loan book built from events through the stages `borrowers` and `portfolio`, and asked what one more loan would do.

Usage: python benchmarks/bench_book.py --loans 10000 100000 1000000

Every size runs in a process of its own: so many loans to a tenth as many borrowers, a third of them in groups, are
disbursed over three years, in batches of 1,000 as a worker takes them. Then, for each size:

  build s      from the first event to the judged book, and loans built a second
  bytes/loan   growth of the process while it is built (resident memory), over the loans
  event        what one more event takes from `borrowers` to the judged book and its lines, median and 99th percentile
  sums s       to read the book's sums from the states, which a desk does once
  ask          `look_ahead` on these sums with three years of history, median and 99th percentile

The last columns give size, build time, memory and median times as multiples of the first size. What must not grow is
`event` and `ask`. The same seed makes the same book. Nothing is written and no broker is needed; the machine's other
work is in the figures.
"""

import argparse
import gc
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a file: the project's packages stand one folder up

POLICY = ROOT / "deploy" / "policy" / "cn.toml"
ENTITY = "BANK1"
BEGINS = datetime(2023, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=3 * 365)
BATCH = 1_000
DISTANT = datetime(9999, 12, 31, tzinfo=UTC)
SECTIONS = "ABCDEFGHIJKLMNOPQRST"


def loans(first: int, count: int, size: int, borrowers: int) -> Iterator[Any]:
    """Disbursements number `first` and on of a book of `size` loans, in order of time."""
    from models.events import LoanEvent

    for n in range(first, first + count):
        dice = random.Random(n)  # noqa: S311 - a benchmark's dice
        borrower = dice.randrange(borrowers)
        section = dice.choice(SECTIONS)
        kind = dice.choice(("none", "development", "mortgage")) if section == "K" else "none"
        yield LoanEvent(
            event_id=f"E{n}",
            event_time=BEGINS + SPAN * (n / size),
            entity=ENTITY,
            loan_id=f"L{n}",
            borrower_id=f"B{borrower}",
            group_id=f"G{borrower // 4}" if borrower % 3 == 0 else None,
            kind="disbursed",
            industry=section,
            amount=Decimal(min(int(dice.paretovariate(1.2) * 5_000_000), 10**10)).scaleb(-2),
            currency="CNY",
            real_estate=kind,  # type: ignore[arg-type]
            region=f"CN-{11 + dice.randrange(31)}",
        )


def run(size: int) -> dict[str, Any]:
    """Build a book of this size in this process, and measure it."""
    from connectors.policy_file import load_policies
    from models.events import CapitalPosition
    from models.messages import LoanWatermark
    from models.pipeline import MemoryStates
    from models.stage import Record
    from models.stages.borrowers import BorrowersStage
    from models.stages.portfolio import PortfolioStage
    from models.stages.portfolio.states import EntityState

    policies = load_policies(POLICY)
    borrowers, portfolio = BorrowersStage(policies, 1), PortfolioStage(policies)
    lending, books = MemoryStates(), MemoryStates()
    net = Decimal(size) * 200_000
    capital = CapitalPosition(entity=ENTITY, as_of=date(2023, 1, 1), net_capital=net, tier1_capital=net)

    def judge(event: Any, at: datetime) -> None:
        for _ in portfolio.apply(books, Record("portfolio.deltas", 0, 0, at, event, at)):
            pass

    def settle(at: datetime) -> None:
        for emit in borrowers.flush(lending):
            if emit.topic == "portfolio.deltas":
                judge(emit.value, at)
        for _ in portfolio.flush(books):
            pass

    def take(number: int, event: Any) -> None:
        record = Record("loans", 0, number, event.event_time, event, event.event_time)
        for _ in borrowers.apply(lending, record):
            pass

    judge(capital, BEGINS)
    gc.collect()
    memory, began = resident(), time.perf_counter()
    for number, event in enumerate(loans(0, size, size, size // 10)):
        take(number, event)
        if (number + 1) % BATCH == 0:
            settle(event.event_time)
            if (number + 1) % 50_000 == 0:
                print(f"{number + 1:,} of {size:,} loans", file=sys.stderr)
    settle(BEGINS + SPAN)
    # Nothing is on its way any more: from here on every event is judged at once.
    judge(LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=DISTANT), BEGINS + SPAN)
    build = time.perf_counter() - began
    gc.collect()
    grown = resident() - memory

    def one_more(number: int, event: Any) -> None:
        take(number, event)
        settle(event.event_time)

    more = enumerate(loans(size, 2_000, size, size // 10), start=size)
    event_times = timed(one_more, list(more))
    state = books.load(ENTITY, EntityState)
    assert state is not None
    assert state.loans == size + 2_000, "every event is in the book"
    sums_s, ask_times = ask(books, state, net)
    return {
        "loans": size,
        "build": build,
        "bytes": grown / size,
        "event": percentiles(event_times),
        "sums": sums_s,
        "ask": percentiles(ask_times),
    }


def ask(books: Any, state: Any, net: Decimal) -> tuple[float, list[float]]:
    """Read the book's sums from the portfolio's states, then put loans to them.

    Returns:
        Seconds for the sums, and for each question.
    """
    from connectors.policy_file import load_policies
    from models.credit.indices_granularity import Risk
    from models.credit.lookahead import BookSums, MonthlyHistory, ProposedLoan, look_ahead
    from models.credit.lookahead_industry import all_limits
    from models.credit.lookahead_limits import Capital
    from models.credit.running import RunningBook
    from models.credit.running_granularity import RunningGranularity
    from models.stages.portfolio.states import Name

    began = time.perf_counter()
    names: dict[Any, dict[str, Decimal]] = {"borrower": {}, "group": {}}
    for one in books.values.values():
        if isinstance(one, Name):
            names[one.dimension][one.member] = one.exposure
    parts = {name: {key: one.exposure for key, one in part.items()} for name, part in state.parts.items()}
    parts["real_estate"] = {key: parts["real_estate"].get(key, Decimal(0)) for key in ("development", "mortgage")}
    industries = {key: one.exposure for key, one in state.members.items()}
    risk = Risk(Decimal("0.01"), Decimal("0.45"))
    dimensions: dict[Any, RunningBook] = {
        name: RunningBook(exposures) for name, exposures in ({"industry": industries} | names | parts).items()
    }
    sums = BookSums(
        total=state.total,
        dimensions=dimensions,
        granularity=RunningGranularity(names["borrower"], dict.fromkeys(names["borrower"], risk)),
    )
    prepared = time.perf_counter() - began
    dice = random.Random(1)  # noqa: S311 - a benchmark's dice
    months = closings(state.total)
    limits, capital = all_limits(load_policies(POLICY).latest), Capital(net, net)
    borrowers = list(names["borrower"])
    hhi = closings(dimensions["industry"].hhi or Decimal(0))

    def put(number: int, loan: ProposedLoan) -> None:
        series = {
            dimension: {member: closings(dimensions[dimension].exposure(member))}
            for dimension, member in loan.members().items()
        }
        history = MonthlyHistory(totals=months, exposures=series, past=series["industry"], hhi=hhi)
        found = look_ahead(sums, loan, limits, capital, date(2026, 1, 1), history)
        assert found.granularity_after is not None
        assert len(found.limits) > 10

    questions = [
        ProposedLoan(
            industry=dice.choice(SECTIONS),
            amount=Decimal(dice.randrange(1, 10**8)),
            borrower=dice.choice(borrowers),
            group=f"G{dice.randrange(len(borrowers) // 4)}",
            region="CN-43",
            real_estate=dice.choice(("none", "development", "mortgage")),
        )
        for _ in range(300)
    ]
    return prepared, timed(put, list(enumerate(questions)))


def closings(exposure: Decimal) -> tuple[Decimal, ...]:
    """Month ends of an exposure that has grown evenly for three years, in cents."""
    return tuple((exposure * n / 36).quantize(Decimal("0.01")) for n in range(1, 37))


def timed(work: Callable[[int, Any], None], items: list[tuple[int, Any]]) -> list[float]:
    """Seconds that each item takes."""
    found = []
    for number, item in items:
        began = time.perf_counter()
        work(number, item)
        found.append(time.perf_counter() - began)
    return found


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    ranked = sorted(seconds)
    return ranked[len(ranked) // 2], ranked[int(len(ranked) * 0.99)]


def resident() -> int:
    """Bytes of memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loans", type=int, nargs="+", default=[10_000, 100_000], help="sizes, smallest first")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # a size's own process
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run(args.one)))
        return 0
    if min(args.loans) < 1_000:
        parser.error("a book of fewer than 1,000 loans says nothing")
    first: dict[str, Any] = {}
    print(
        f"{'loans':>10}{'build s':>9}{'loans/s':>9}{'bytes/loan':>12}{'event ms':>10}{'99 %':>8}{'sums s':>8}"
        f"{'ask ms':>8}{'99 %':>8}   size, build, memory, event, ask: times the first size"
    )
    for size in args.loans:
        print(f"a book of {size:,} loans", file=sys.stderr)
        own = [sys.executable, __file__, "--one", str(size)]
        done = subprocess.run(own, check=True, stdout=subprocess.PIPE)  # noqa: S603 - this file itself
        one = json.loads(done.stdout)
        first = first or one
        ratios = [one["loans"] / first["loans"], one["build"] / first["build"]]
        ratios.append(one["bytes"] * one["loans"] / (first["bytes"] * first["loans"]))
        ratios += [one[name][0] / first[name][0] for name in ("event", "ask")]
        event, asked = ([1000 * seconds for seconds in one[name]] for name in ("event", "ask"))
        print(
            f"{one['loans']:>10,}{one['build']:>9.1f}{one['loans'] / one['build']:>9,.0f}{one['bytes']:>12,.0f}"
            f"{event[0]:>10.2f}{event[1]:>8.2f}{one['sums']:>8.2f}{asked[0]:>8.2f}{asked[1]:>8.2f}   "
            + " ".join(f"{ratio:.2f}x" for ratio in ratios),
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
