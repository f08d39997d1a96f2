"""Dirt on a clean stream: events that come twice or late, and bytes that are no events at all."""

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from connectors.sources.simulator.agenda import Event
from connectors.sources.simulator.dice import Dice
from models.events import CapitalPosition, LoanEvent, PostReport, Transaction
from models.policy import Policy


class Poison(NamedTuple):
    """Bytes that must be refused; `field` is the one at fault, which the dead letter should name."""

    topic: str
    key: str
    value: bytes
    field: str


def disturbed(events: Iterable[Event], seed: int, duplicates: float, late: float, policy: Policy) -> Iterator[Event]:
    """The same events in an order of arrival that is not that of their times, some of them twice.

    What comes late stays inside the policy's lateness, so that nothing of it is refused and the set of warnings is
    the one of the clean stream. Loans and capital come twice, but never late.

    Args:
        events: in event-time order.
        duplicates: share of events that come again, up to the lateness after the first.
        late: share of transactions and reports that come up to nine tenths of the lateness after their time.
    """
    dice = Dice(seed, "disturb")
    waiting: list[tuple[datetime, int, Event]] = []
    for number, event in enumerate(events):
        at = None if isinstance(event, CapitalPosition) else event.event_time
        # Let go before the newer event, not after it: however long the pause, none is over its lateness.
        while waiting and (at is None or waiting[0][0] < at):
            yield heapq.heappop(waiting)[2]
        again = dice.chance(duplicates)
        held = dice.chance(late) and isinstance(event, Transaction | PostReport)
        release = _later(at, dice, policy) if at is not None else None
        if held and release is not None:
            heapq.heappush(waiting, (release, 2 * number, event))
        else:
            yield event
        if again and release is not None:
            heapq.heappush(waiting, (release, 2 * number + 1, event))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _later(at: datetime, dice: Dice, policy: Policy) -> datetime:
    return at + timedelta(seconds=dice.uniform(1, 0.9 * policy.lateness.total_seconds()))


# Each turns a good transaction's plain JSON fields into bad bytes; beside it, what the dead letter should name.
_SPOILED: tuple[tuple[str, bytes, bytes], ...] = (
    ("amount", b'"amount":"', b'"amount":"NaN","was":"'),
    ("amount", b'"amount":"', b'"amount":"1,'),
    ("amount", b'"amount":"', b'"amount":"-'),
    ("event_time", b'"event_time":"', b'"event_time":"on '),
    ("currency", b'"currency":"', b'"currency":"x'),
    ("event_id", b'"event_id":', b'"event_number":'),
)


def poisoned(events: Iterable[Event], seed: int, share: float) -> Iterator[Event | Poison]:
    """The same events, with spoiled copies of transactions strewn in: each must be refused, and none hurt its
    neighbours. The copies bear ids of their own (`-x` at the end), so that refusing them loses nothing."""
    dice = Dice(seed, "poison")
    for event in events:
        yield event
        if isinstance(event, Transaction) and dice.chance(share):
            field, good, bad = dice.pick(_SPOILED)
            clean = msgspec.json.encode(msgspec.structs.replace(event, event_id=f"{event.event_id}-x"))
            yield Poison("transactions", event.key, clean.replace(good, bad, 1), field)


def topic_of(event: Event) -> str:
    """The topic that an event belongs on."""
    if isinstance(event, Transaction):
        return "transactions"
    if isinstance(event, PostReport):
        return "reports"
    return "loans" if isinstance(event, LoanEvent) else "capital"
