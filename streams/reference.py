"""Keeps a worker's policies, rates, watch list and mutes as they stand on the reference topics.

They are read to their ends before the first batch (`connectors.references.load_references`) and followed from
there on, in the worker's loop: a change falls between two events, never into one.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.codec import Codec
from connectors.references import Loaded, Reference, letter_of, load_references, refusal_of, said, take
from connectors.refusals import Undecodable
from connectors.settings import Settings
from models.dead_letter import DeadLetter
from models.policy import PolicyError, PolicyHistory
from models.reference import PolicyVersion
from models.watch_list import WatchEntry
from streams.outbox import Outbox, partition_of
from streams.step import DEAD_LETTERS, RunnerMetrics

__all__ = ["ReferenceFollower", "load_references"]

log = logging.getLogger("liandong.reference")

POLL_MS = 500
NAME = "reference"  # as the stages are called in the metrics


def _now() -> datetime:
    return datetime.now(UTC)


class ReferenceFollower:
    """Follows the reference topics from where their loading ended.

    Args:
        settings: the broker and its security.
        policies: the history that the stages judge by; changed in place.
        loaded: what the loading found.
        metrics: counts what is refused.
        in_force: told the version that judges today's events, at the start and whenever it is another one.
        clock: the wall clock.
    """

    def __init__(
        self,
        settings: Settings,
        policies: PolicyHistory,
        loaded: Loaded,
        metrics: RunnerMetrics,
        in_force: Callable[[str], None],
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._settings = settings
        self._policies = policies
        self._ends = {TopicPartition(*place): offset for place, offset in loaded.ends.items()}
        self._approved = dict(loaded.approved)
        self._entries = {one.entry_id: one for one in loaded.taken if isinstance(one, WatchEntry)}
        self._owed = list(loaded.refused)
        self._metrics = metrics
        self._tell = in_force
        self._clock = clock
        self._calendar = policies.latest.bank_calendar
        self._shown = ""
        self._year = 0
        self._codec = Codec()
        for item in loaded.taken:
            if isinstance(item, PolicyVersion):
                log.info("policy %s holds from %s", item.version, self._calendar.day_of(item.valid_from))
        log.info("%d references loaded", len(loaded.taken))

    async def run(self, outbox: Outbox) -> None:
        """Follow for ever.

        Args:
            outbox: started; takes the dead letters.

        Raises:
            VersionConflict: a version got other figures or lost its approval: this worker must stop.
            aiokafka.errors.KafkaError: what retrying does not mend, such as a right that is missing.
        """
        consumer = AIOKafkaConsumer(
            **self._settings.aiokafka_options(), enable_auto_commit=False, auto_offset_reset="none"
        )
        await consumer.start()
        try:
            consumer.assign(list(self._ends))
            for place, offset in self._ends.items():
                consumer.seek(place, offset)
            while True:
                self._show()
                await self._bury(outbox)
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    for record in records:
                        self.apply(record)
        finally:
            await consumer.stop()

    def apply(self, record: Any) -> None:
        """Take one record into the history, or note its dead letter.

        Raises:
            VersionConflict: as `run`.
        """
        try:
            item: Reference = self._codec.decode(record.topic, record.key, record.value, record.headers)
            try:
                changed = take(self._policies, item, self._approved)
            except PolicyError as error:
                raise refusal_of(item, error) from error
        except Undecodable as refusal:
            self._owed.append(letter_of(record, refusal))
            return
        if not changed:
            return
        before = self._entries.get(item.key)
        if isinstance(item, WatchEntry):
            self._entries[item.key] = item
        log.info("%s", said(item, self._calendar.day_of(self._clock()), self._calendar, before))

    def _show(self) -> None:
        """Say which version judges today's events, when it is another one than a moment ago."""
        now = self._clock()
        policy = self._policies.at(now)
        version, year = policy.version, policy.bank_calendar.day_of(now).year
        if version != self._shown:
            log.info("policy %s is in force", version)
            self._shown = version
            self._tell(version)
        if year != self._year:
            self._year = year
            if gap := policy.bank_calendar.gap(year):
                log.warning("%s", gap)

    async def _bury(self, outbox: Outbox) -> None:
        while self._owed:
            letter = self._owed[0]
            await self._write(outbox, letter)
            self._owed.pop(0)
            self._metrics.refused(NAME, letter.source_topic, letter.reason)
            log.error("%s is refused: %s: %s", letter.dead_letter_id, letter.reason, letter.detail)

    async def _write(self, outbox: Outbox, letter: DeadLetter) -> None:
        value, headers = self._codec.encode(DEAD_LETTERS, letter)
        key = letter.key.encode()
        partition = partition_of(key, await outbox.partitions(DEAD_LETTERS))
        await outbox.write(DEAD_LETTERS, partition, [(key, value, headers)])
