"""Loans through any number of partitions at any speed into one book, with restarts; policies with other figures."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from models.events import CapitalPosition
from models.messages import PortfolioEntry, Suspensions
from models.pipeline import MemoryStates
from models.policy import Policy, PolicyHistory, parse_policy
from models.risk_warning import RiskWarning
from models.stage import Emit, Record, Tick
from models.stages.borrowers import BorrowersStage
from models.stages.portfolio import PortfolioStage
from tests.data import ROOT

ARRIVED = datetime(2026, 6, 1, tzinfo=UTC)


def altered(name: str, *changes: tuple[str, str, str]) -> Policy:
    """A shipped policy with some of its text changed: (table, old, new), each once."""
    text = (ROOT / "deploy" / "policy" / name).read_text(encoding="utf-8")
    for table, old, new in changes:
        head, mark, rest = text.partition(f"[{table}]\n")
        body, following, after = rest.partition("\n[")
        assert mark, table
        assert old in body, (table, old)
        text = f"{head}{mark}{body.replace(old, new, 1)}{following}{after}"
    return parse_policy(text, name)


def capital(net: str, tier1: str, as_of: date = date(2026, 3, 1), **fields: Any) -> CapitalPosition:
    """Of BANK1 in yuan, unless told otherwise."""
    values: dict[str, Any] = {"entity": "BANK1", "as_of": as_of}
    return CapitalPosition(net_capital=Decimal(net), tier1_capital=Decimal(tier1), **(values | fields))


class Merged:
    """What came of loans from several partitions in one book.

    Attributes:
        warnings: the last revision of each by id.
        lines: the last line of each key.
        states: of the portfolio.
    """

    def __init__(self) -> None:
        self.warnings: dict[str, RiskWarning] = {}
        self.lines: dict[str, PortfolioEntry] = {}
        self.states = MemoryStates(0)

    def told(self) -> dict[str, tuple[Any, ...]]:
        """What must not depend on partitions and speed."""
        return {
            key: (one.severity, one.reasons, one.event_ids, one.event_count, one.window, one.revision)
            for key, one in self.warnings.items()
        }

    def book(self) -> dict[str, tuple[Any, ...]]:
        """Shares and indices of a line are as old as its last change, what is compared here is the member's own."""
        return {key: (one.exposure, one.loans, one.level) for key, one in self.lines.items()}

    def take(self, emits: Sequence[Emit]) -> None:
        for emit in emits:
            if emit.topic == "warnings":
                self.warnings[emit.value.warning_id] = emit.value
            elif emit.topic == "portfolio":
                self.lines[emit.value.key] = emit.value


def merged(
    policies: PolicyHistory, records: Sequence[Any], partitions: int, seed: int, *, restarts: bool = False
) -> Merged:
    """Run loans over several partitions at random speeds, with resent batches, into one portfolio partition.

    Args:
        records: loan events in the order of their arrival; capital positions are there before all of them, what is
            suspended comes at random among them, in its own order.
        restarts: carry the portfolio's states through their bytes, to a stage that knows nothing else, every now and
            then.
    """
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    borrowers, portfolio = BorrowersStage(policies, partitions, settle=timedelta()), PortfolioStage(policies)
    states = {number: MemoryStates(number) for number in range(partitions)}
    queues: dict[int, list[Record]] = {number: [] for number in range(partitions)}
    suspended: list[Suspensions] = []
    found = Merged()
    for position, event in enumerate(records):
        arrived = ARRIVED + timedelta(seconds=position)
        if isinstance(event, CapitalPosition):
            found.take(list(portfolio.apply(found.states, Record("capital", 0, 0, arrived, event, arrived))))
        elif isinstance(event, Suspensions):
            suspended.append(event)
        else:
            number = sum(event.borrower_id.encode()) % partitions
            queues[number].append(Record("loans", number, len(queues[number]), arrived, event, arrived))

    def show(topic: str, message: Any) -> None:
        nonlocal portfolio
        for _ in range(dice.choice((1, 1, 2))):
            found.take(list(portfolio.apply(found.states, Record(topic, 0, 0, ARRIVED, message, ARRIVED))))
        found.take(list(portfolio.flush(found.states)))
        if restarts and dice.random() < 0.3:
            found.states, portfolio = through_bytes(found.states), PortfolioStage(policies)

    def deliver(emits: Sequence[Emit]) -> None:
        for emit in emits:
            if emit.topic == "portfolio.deltas" and emit.partition in (None, 0):
                show("portfolio.deltas", emit.value)

    while any(queues.values()) or suspended:
        if suspended and (not any(queues.values()) or dice.random() < 0.3):
            show("suspensions", suspended.pop(0))
            continue
        number = dice.choice([one for one in queues if queues[one]])
        size = dice.randint(1, 30)
        batch, queues[number] = queues[number][:size], queues[number][size:]
        for record in batch:
            borrowers.apply(states[number], record)
        deliver(list(borrowers.flush(states[number])))
    for number in range(partitions):
        end = ARRIVED + timedelta(days=1)
        deliver(list(borrowers.tick(states[number], Tick(end, caught_up=True, idle_seconds=60))))
    return found


def through_bytes(states: MemoryStates) -> MemoryStates:
    """The same states in another object, each from its bytes: what a worker's restart shows a stage."""
    other = MemoryStates(states.partition)
    for key, state in states.values.items():
        stored = msgspec.msgpack.Encoder(decimal_format="string").encode(state)
        other.values[key] = msgspec.msgpack.decode(stored, type=type(state))
    return other
