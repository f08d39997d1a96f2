"""Reads what a loan book is made of: loan events from a file or from the topic, and the bank's capital."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
from rich.progress import Progress

from connectors.address import with_broker
from connectors.errors import LiandongError
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.sources.mapping import load_mapping
from connectors.sources.reader import MappedFrame, read
from models import oracle
from models.credit.lookahead_limits import Capital
from models.events import CapitalPosition
from models.money import convert
from models.policy import PolicyHistory
from streams.reference import load_references


def check_source(file: Path | None, mapping: Path | None) -> None:
    """A file needs a mapping, and only a file does.

    Raises:
        LiandongError: one is named without the other.
    """
    if file is not None and mapping is None:
        raise LiandongError(f"{file} needs a mapping", "say with --mapping how its columns become loan events")
    if file is None and mapping is not None:
        raise LiandongError("--mapping is for a file", "name the file, or leave --mapping out to read the topic loans")


def loans_of_file(file: Path, mapping: Path) -> MappedFrame:
    """A file's loan events in its order, and the rows that are none.

    Raises:
        LiandongError: the file or the mapping cannot be read, or the mapping is not of loans.
    """
    plan = load_mapping(mapping)
    if plan.kind != "loans":
        raise LiandongError(f"a book is made of loans, but {mapping} gives {plan.kind}", "name a mapping of kind loans")
    return read(file, plan)


def loans_of_topic(settings: Settings, policies: PolicyHistory, bar: Progress) -> pl.DataFrame:
    """All events of the topic loans in the order of their arrival, one partition after the other.

    Args:
        policies: takes the rates and versions that were published; changed in place.

    Raises:
        LiandongError: no broker, or it could not be read.
    """
    settings = with_broker(settings)
    load_references(settings, policies)
    events, times = [], []
    with TopicReader(settings) as reader:
        task = bar.add_task("reading loans", total=sum(reader.ends("loans").values()))
        for record, event in reader.events("loans"):
            events.append(event)
            times.append(datetime.fromtimestamp(record.timestamp / 1000, UTC))
            if len(events) % 1000 == 0:
                bar.update(task, completed=len(events))
    return oracle.from_events(events, ingest_times=times) if events else pl.DataFrame()


def capital_of_topic(settings: Settings, policies: PolicyHistory, entity: str, day: date) -> Capital:
    """What the topic capital says of an entity for a day.

    Raises:
        LiandongError: as `loans_of_topic`; no exchange rate for the currency that the capital is given in.
    """
    with TopicReader(with_broker(settings)) as reader:
        return capital_on((event for _, event in reader.events("capital")), policies, entity, day)


def capital_on(positions: Iterable[CapitalPosition], policies: PolicyHistory, entity: str, day: date) -> Capital:
    """An entity's newest position that is valid on a day, in the base currency by the newest rates, as the workers
    convert it; of two for one day the one that was sent last.

    Raises:
        LiandongError: there is no exchange rate for its currency.

    Returns:
        Without any position, capital of which nothing is known.
    """
    valid = [one for one in positions if one.entity == entity and one.as_of <= day]
    if not valid:
        return Capital()
    newest = max(reversed(valid), key=lambda one: one.as_of)
    policy = policies.latest
    if newest.currency not in policy.rates:
        raise LiandongError(
            f"the capital of {entity} is in {newest.currency}, for which there is no exchange rate",
            "put one: liandong rates put",
        )
    net, tier1 = (
        convert(amount, newest.currency, policy.money.base, policy.rates)
        for amount in (newest.net_capital, newest.tier1_capital)
    )
    return Capital(net, tier1)
