"""Reference topics: what judges events, read as it stands, checked before it is written, taken into a history.

Every worker and every command that judges loads the same records in the same order, so that all judge alike.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError
from msgspec.structs import asdict

from connectors.codec import Codec
from connectors.errors import LiandongError
from connectors.letters import dead_letter_of
from connectors.records import TopicReader
from connectors.refusals import Undecodable
from connectors.settings import Settings
from connectors.writer import EventWriter
from models.calendar import BankCalendar
from models.dead_letter import DeadLetter
from models.policy import PolicyError, PolicyHistory, published_policy
from models.reference import Mute, PolicyVersion, Rate
from models.watch_list import WatchEntry

Reference = PolicyVersion | Rate | WatchEntry | Mute

POLICY, RATES, WATCH_LIST, MUTES = "policy", "rates", "watch-list", "mutes"
REFERENCES = (POLICY, RATES, WATCH_LIST, MUTES)
NOT_AGAIN = "events already judged are not judged again until `liandong reevaluate`"

_CODEC = Codec()


class VersionConflict(LiandongError):
    """Workers would judge by different versions of one name."""


class Loaded(NamedTuple):
    """What a loading found.

    Args:
        ends: where to read on, by partition.
        taken: what changed the history, in the order in which it was taken.
        refused: what must not be used.
        approved: the versions that are approved on the topic, by key.
    """

    ends: dict[TopicPartition, int]
    taken: list[Reference]
    refused: list[DeadLetter]
    approved: dict[str, PolicyVersion]


@contextmanager
def reading(settings: Settings) -> Iterator[TopicReader]:
    """A reader, closed after use.

    Raises:
        LiandongError: no broker answers.
    """
    try:
        reader = TopicReader(settings)
    except KafkaError as error:
        raise LiandongError(
            f"no broker answers at {settings.bootstrap_text} ({error})", "start it, or set KAFKA_BOOTSTRAP"
        ) from error
    with reader:
        yield reader


def newest(reader: TopicReader, topic: str) -> dict[str, Any]:
    """What stands on a reference topic by its key: the newest record of each that decodes."""
    return {event.key: event for _, event in reader.events(topic)}


def made(topic: str, fields: dict[str, Any]) -> Any:
    """An item of a reference topic, read as the workers will read it, so that none is sent which they would refuse.

    Raises:
        LiandongError: a field is wrong; the message names it.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return _CODEC.read(topic, msgspec.json.encode(given))
    except Undecodable as refusal:
        raise LiandongError(f"{refusal.field or topic}: {refusal.detail}") from refusal


def amended(topic: str, item: Reference, **changes: Any) -> Any:
    """The same item with some fields set, checked as `made` checks it."""
    return made(topic, asdict(item) | changes)


def publish(settings: Settings, topic: str, items: Iterable[Reference]) -> None:
    """Write items under their keys and wait until the broker has them all.

    Raises:
        LiandongError: it has not.
    """
    try:
        with EventWriter(settings) as writer:
            for item in items:
                writer.write(topic, item)
    except KafkaError as error:
        raise LiandongError(f"the broker did not take it: {error}", "check the broker, then try again") from error


def load_references(settings: Settings, policies: PolicyHistory) -> Loaded:
    """Read the reference topics to their ends and take what stands there into a history.

    Args:
        policies: as the policy file makes it; changed in place.

    Raises:
        VersionConflict: a version on the topic has the name of one in the history, and other figures.
        LiandongError: a topic is missing or cannot be read.
    """
    with reading(settings) as reader:
        ends = reader.ends(*REFERENCES)
        records: dict[tuple[str, bytes], tuple[Any, Reference]] = {}
        refused = []
        for record in reader.records(*REFERENCES):
            place = TopicPartition(record.topic, record.partition)
            ends[place] = max(ends[place], record.offset + 1)
            try:
                item = _CODEC.decode(record.topic, record.key, record.value, record.headers)
            except Undecodable as refusal:
                refused.append(letter_of(record, refusal))
            else:
                records[record.topic, record.key] = record, item
    loaded = Loaded(ends, [], refused, {})
    for record, item in sorted(records.values(), key=_order):
        try:
            if take(policies, item, loaded.approved):
                loaded.taken.append(item)
        except PolicyError as error:
            refused.append(letter_of(record, refusal_of(item, error)))
    return loaded


def take(policies: PolicyHistory, item: Reference, approved: dict[str, PolicyVersion]) -> bool:
    """Take one item into a history, as `PolicyHistory.take`.

    Args:
        approved: the versions taken so far, by key; added to.

    Raises:
        PolicyError: it must not be used.
        VersionConflict: a version would get other figures than it had, or lose its approval.
    """
    if not isinstance(item, PolicyVersion):
        return policies.take(item)
    if item.state != "approved":
        if item.key in approved:
            raise VersionConflict(
                f"policy {item.version} was approved and is {item.state} now",
                "start all workers again, so that they judge by the same versions",
            )
        return False
    policy = published_policy(item)
    if any(one.version == policy.version and one != policy for one in policies.known):
        raise VersionConflict(
            f"policy {item.version} on the topic has other figures than the {item.version} in use here; "
            "a version is immutable",
            f"use the approved text (liandong policy show {item.version} --toml > policy.toml, then "
            "LIANDONG_POLICY=policy.toml), or give the changed file a version name of its own and propose it",
        )
    changed = policies.take(policy)
    approved[item.key] = item
    return changed


def letter_of(record: Any, refusal: Undecodable) -> DeadLetter:
    """The dead letter of a record: the very same from every worker at every start, so it bears the broker's time."""
    return dead_letter_of(record, refusal, datetime.fromtimestamp(record.timestamp / 1000, UTC))


def refusal_of(item: Reference, error: PolicyError) -> Undecodable:
    """Why an item that can be read must not be used."""
    if isinstance(item, Rate):
        return Undecodable("bad_rate", "currency", str(error))
    return Undecodable("bad_policy", "text", str(error))


def first_day(item: Reference, calendar: BankCalendar, since: WatchEntry | None = None) -> date | None:
    """The first day in the bank's zone that an item has a say in the judging of; None for a mute, which judges nothing.

    Args:
        since: the entry that it replaces.
    """
    if isinstance(item, PolicyVersion):
        return calendar.day_of(item.valid_from)
    if isinstance(item, Rate):
        return item.as_of
    if isinstance(item, WatchEntry):
        if since is not None and (since.kind, since.value, since.valid_from) == (
            item.kind,
            item.value,
            item.valid_from,
        ):
            return min(one for one in (since.valid_until, item.valid_until, date.max) if one is not None)
        return item.valid_from if since is None else min(since.valid_from, item.valid_from)
    return None


def said(item: Reference, today: date, calendar: BankCalendar, since: WatchEntry | None = None) -> str:
    """What a change does, in one line without names of people: `policy cn-2026.2 holds from 2026-12-01`."""
    day = first_day(item, calendar, since)
    if isinstance(item, PolicyVersion):
        text = f"policy {item.version} holds from {day}"
    elif isinstance(item, Rate):
        text = f"rate {item.currency} {item.rate} holds from {item.as_of}"
    elif isinstance(item, WatchEntry):
        text = f"watch-list entry {item.entry_id} holds from {item.valid_from}"
        text += f" until {item.valid_until}" if item.valid_until else ""
    else:
        state = "lifted" if item.lifted_by else "approved" if item.approved_by else "proposed"
        text = f"mute {item.mute_id} of {item.detector} ({state}) holds from {item.starts_at.isoformat()} "
        text += f"until {item.ends.isoformat()}"
    return f"{text}; {NOT_AGAIN}" if day is not None and day <= today else text


def _order(entry: tuple[Any, Reference]) -> tuple[int, datetime, str]:
    """Versions first, in the order of their approval: which of two that exclude each other is taken must not depend
    on the partitions in which they happen to stand."""
    item = entry[1]
    approved = item.approved_at if isinstance(item, PolicyVersion) else None
    return REFERENCES.index(entry[0].topic), approved or datetime.min.replace(tzinfo=UTC), item.key
