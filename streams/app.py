"""The Faust worker: one app, one consumer group, one agent a stage, each behind the batch seam.

`run_worker` runs it in this process until SIGINT or SIGTERM, and leaves with a non-zero code on anything
unexpected: an event that could not be processed is then read again after the restart, never lost.
"""

import asyncio
import gc
import logging
import os
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

from aiokafka.errors import KafkaError
from faust.types import TP, EventT
from yarl import URL

from connectors.errors import LiandongError
from models.stage import Stage
from streams.batch_consumer import Batch, BatchApp, BatchConsumer, BatchSchema
from streams.liveness import Stalls
from streams.outbox import Outbox
from streams.state import StateTable
from streams.step import DEAD_LETTERS, Codec, NoMetrics, RunnerMetrics, StageRunner

log = logging.getLogger("liandong.worker")

STOP_WITHIN = 10.0  # seconds from a signal to the end of the process
TICK_EVERY = 1.0  # seconds
STALL_SECONDS = 30.0  # far above the time of a batch, or that a partition waits for its neighbours' backlog
ASK_BROKER_EVERY = 10.0  # seconds, and for how long an answer is waited for
CONCURRENT_BATCHES = 4  # of one stage, on different partitions: one waits for the broker while the next computes


class WorkerSettings(Protocol):
    """What the worker needs of `connectors.settings.Settings`."""

    @property
    def app_id(self) -> str: ...

    @property
    def partitions(self) -> int: ...

    @property
    def max_batch(self) -> int: ...

    @property
    def session_timeout_seconds(self) -> float: ...

    def aiokafka_options(self) -> dict[str, Any]: ...

    def faust_broker(self) -> str: ...

    def faust_broker_credentials(self) -> Any: ...


def _now() -> datetime:
    return datetime.now(UTC)


class Worker(BatchApp):
    """The Faust app of Liandong, with its runners and the future that says why it must stop.

    Args:
        settings: the broker, the group, the sizes.
        stages: what to run; every topic of every stage has `settings.partitions` partitions.
        codec: bytes to events and back.
        metrics: counts.
        clock: the wall clock.
        idempotent: see `Outbox`.
        state_cache_keys: most decoded states to keep per stage and partition.
        group_instance_id: static membership, for brokers that never drop a dead member.
        datadir: where Faust may write; each worker needs its own.
        on_ready: called with the partitions held, after every completed rebalance.
        background: what else runs in the worker's loop for as long as it lives, given the started outbox, from before
            the first batch on; when one of them ends, the worker stops.
        stall_seconds: how long nothing may move where something is left to do.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        stages: Sequence[Stage],
        codec: Codec,
        *,
        metrics: RunnerMetrics | None = None,
        clock: Callable[[], datetime] = _now,
        idempotent: bool = True,
        state_cache_keys: int = 50_000,
        group_instance_id: str | None = None,
        datadir: Path | None = None,
        on_ready: Callable[[set[TP]], None] | None = None,
        background: Sequence[Callable[[Outbox], Coroutine[Any, Any, None]]] = (),
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        session = settings.session_timeout_seconds
        super().__init__(
            settings.app_id,
            max_batch=settings.max_batch,
            broker=settings.faust_broker(),
            broker_credentials=settings.faust_broker_credentials(),
            broker_session_timeout=session,
            broker_heartbeat_interval=session / 3,
            broker_request_timeout=max(session, 40.0),
            broker_commit_interval=0.5,
            broker_rebalance_timeout=max(session, 30.0),
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=2 * 1024 * 1024,
            consumer_group_instance_id=group_instance_id,
            canonical_url=URL(f"http://{uuid.uuid4().hex}"),  # the assignor tells workers apart by it
            datadir=datadir or tempfile.mkdtemp(prefix="liandong-"),
            processing_guarantee="at_least_once",
            store="memory://",
            stream_buffer_maxsize=8,  # batches, not records: a few are enough to keep a stage busy
            stream_wait_empty=True,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=settings.partitions,
            web_enabled=False,
        )
        self.settings = settings
        self.outbox = Outbox(settings.aiokafka_options(), idempotent=idempotent)
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.ready = False
        self.patience: threading.Timer | None = None  # ends the process if a stop hangs
        self._on_ready = on_ready
        self._background = background
        self._metrics = metrics or NoMetrics()
        self._measured: set[tuple[Stage, int]] = set()
        self._stalls = Stalls(stall_seconds)
        self._rebalancing_since: float | None = None
        self._asked_at = 0.0  # when the broker was asked last, by the monotonic clock
        self.runners = [
            StageRunner(stage, codec, self._state_table(stage), self.outbox, self._metrics, clock, state_cache_keys)
            for stage in stages
        ]
        for runner in self.runners:
            self._add_agent(runner)
        self.on_partitions_revoked.connect(self._forget, weak=False)

    def _state_table(self, stage: Stage) -> StateTable:
        table = StateTable(
            self,
            name=f"{stage.name}-state",
            version=stage.state_version,
            partitions=self.settings.partitions,
            outbox=self.outbox,
            fatal=self.fail,
        )
        self.tables.add(table)
        return table

    def _add_agent(self, runner: StageRunner) -> None:
        topic = self.topic(*runner.stage.topics, schema=BatchSchema(), internal=False, allow_empty=True)
        slots = asyncio.Semaphore(CONCURRENT_BATCHES)
        running: set[asyncio.Task[None]] = set()

        async def process(event: EventT[Any]) -> None:
            try:
                batch = cast(Batch, event.value)
                if self.failure is None and cast(BatchConsumer, self.consumer).take(batch):
                    await runner.run(batch)
            except Exception as error:  # whatever it is, the worker stops: nothing may be skipped
                self.fail(error)
            finally:
                slots.release()
                event.ack()  # lets a rebalance or a stop go on; the offset follows Batch.done

        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                await slots.acquire()
                task = asyncio.get_running_loop().create_task(process(event))
                running.add(task)
                task.add_done_callback(running.discard)

        self.agent(topic, name=runner.stage.name)(agent)

    def fail(self, error: BaseException) -> None:
        """Stop the worker because of this; the first call counts."""
        if self.failure is None:
            self.failure = error
            log.critical("stopping: %s", error, exc_info=error)
            self.failed.set()

    # --- rebalance ---

    async def _forget(self, *_: Any, **__: Any) -> None:
        self.ready = False
        for runner in self.runners:
            await runner.drop()

    def on_rebalance_start(self) -> None:
        self.ready = False
        self._rebalancing_since = self._rebalancing_since or time.monotonic()
        super().on_rebalance_start()

    def on_rebalance_end(self) -> None:
        super().on_rebalance_end()
        self.ready = True
        if self._rebalancing_since is not None:
            self._metrics.rebalanced(time.monotonic() - self._rebalancing_since)
            self._rebalancing_since = None
            for runner in self.runners:
                self._metrics.recovered(runner.stage.name, runner.table.recovery_seconds)
        held = {tp for tp in self.consumer.assignment() if tp.topic not in self.tables.changelog_topics}
        for stage, partition in list(self._measured):
            if partition not in {tp.partition for tp in held if tp.topic in stage.topics}:
                self._metrics.forget_partition(stage.topics, stage.name, partition)
                self._measured.discard((stage, partition))
        log.info("ready: %d partitions", len({tp.partition for tp in held}))
        if self._on_ready is not None:
            self._on_ready(held)

    # --- time ---

    async def keep_time(self) -> None:
        """Tick every stage of every partition held, once a second, for ever."""
        while True:
            await asyncio.sleep(TICK_EVERY)
            consumer = cast(BatchConsumer, self.consumer)
            for runner in self.runners:
                for partition, records in runner.table.unread().items():
                    self._metrics.recovering(runner.stage.name, partition, records)
                    self._measured.add((runner.stage, partition))
                for partition in sorted(self._partitions(runner)):
                    if not self.ready or self.failure is not None:
                        break
                    tps = [TP(topic, partition) for topic in runner.stage.topics]
                    await runner.tick(partition, all(consumer.caught_up(tp) for tp in tps))
                    for tp in tps:
                        lag = consumer.lag(tp)
                        behind = runner.behind(tp.topic, partition) if lag else 0.0
                        watermark = runner.watermark_delay(tp.topic, partition)
                        self._metrics.lag(tp.topic, partition, lag, behind, watermark)
            await self._keep_moving(consumer)
            await self._ask_broker()

    async def _ask_broker(self) -> None:
        """Whether the broker answers: what all else waits for."""
        now = time.monotonic()
        if now - self._asked_at < ASK_BROKER_EVERY:
            return
        self._asked_at = now
        try:
            async with asyncio.timeout(ASK_BROKER_EVERY):
                await self.outbox.topics()
        except (KafkaError, TimeoutError):
            self._metrics.broker(up=False)
        else:
            self._metrics.broker(up=True)

    async def _keep_moving(self, consumer: BatchConsumer) -> None:
        """Read again what was fetched and never came: from the committed offsets, where nothing can be lost."""
        if not self.ready or self.failure is not None:
            return
        sources = {tp for tp in consumer.assignment() if tp.topic not in self.tables.changelog_topics}
        stalled = self._stalls.look({tp: consumer.mark(tp) for tp in sources})
        if not stalled and not consumer.missing:
            return
        names = ", ".join(f"{tp.topic}/{tp.partition}: {consumer.mark(tp)}" for tp in sorted(stalled))
        why = f"nothing moved for {self._stalls.after:.0f} s on {names}" if stalled else "a batch never came"
        log.warning("reading again from the committed offsets: %s", why)
        try:
            async with asyncio.timeout(self._stalls.after):
                await consumer.perform_seek()
        except (KafkaError, TimeoutError) as error:  # the broker is away: its return is waited for, as for all else
            log.warning("the broker did not answer: %r", error)

    def _partitions(self, runner: StageRunner) -> set[int]:
        if not self.ready:
            return set()
        topics = set(runner.stage.topics)
        return {tp.partition for tp in self.consumer.assignment() if tp.topic in topics}

    # --- life ---

    async def run(self) -> int:
        """Run until a signal or a failure; the exit code.

        Raises:
            LiandongError: no broker, or a topic is missing or has another number of partitions.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await self._connect()
        self.finalize()
        background: list[asyncio.Task[Any]] = [loop.create_task(self._run_background(one)) for one in self._background]
        starting: asyncio.Task[Any] = loop.create_task(self.start())
        timer: asyncio.Task[Any] = loop.create_task(self.keep_time())
        watches = (stop.wait(), self.failed.wait(), self._watch_crash())
        waits: list[asyncio.Task[Any]] = [starting, timer, *background, *(loop.create_task(one) for one in watches)]
        while not any(task.done() for task in waits):
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if starting in waits and starting.done() and starting.exception() is None:
                waits.remove(starting)
        for task in (starting, timer, *background):
            if task.done() and (error := task.exception()) is not None:
                self.fail(error)
        self.patience = threading.Timer(STOP_WITHIN - 0.5, self._leave)
        self.patience.daemon = True
        self.patience.start()
        for task in waits:
            task.cancel()
        await self._stop()
        return 1 if self.failure is not None else 0

    async def _connect(self) -> None:
        try:
            await self.outbox.start()
        except KafkaError as error:
            where = self.settings.faust_broker()
            raise LiandongError(
                f"no broker answers at {where} ({error!r})", "start it, or set KAFKA_BOOTSTRAP"
            ) from error
        try:
            known = await self.outbox.topics()
            sources = [topic for runner in self.runners for topic in runner.stage.topics]
            for name in [*sources, *(runner.table.changelog_topic_name for runner in self.runners), DEAD_LETTERS]:
                found, wanted = known.get(name, 0), self.settings.partitions
                if found != wanted:
                    raise LiandongError(
                        f"topic {name} has {found} partitions, expected {wanted}", "create them with `liandong topics`"
                    )
        except BaseException:
            await self.outbox.stop()
            raise

    async def _run_background(self, task: Callable[[Outbox], Coroutine[Any, Any, None]]) -> None:
        await task(self.outbox)
        raise RuntimeError(f"{task!r} ended before the worker did")

    async def _watch_crash(self) -> None:
        while not self.crashed:
            await asyncio.sleep(0.2)
        self.fail(self.crash_reason or RuntimeError("Faust crashed"))

    async def _stop(self) -> None:
        log.info("stopping")
        try:
            async with asyncio.timeout(STOP_WITHIN - 4):
                await self.stop()
        except Exception as error:  # Faust's own trouble: all that is left to do is to commit what is done
            log.error("Faust did not stop well: %r", error)
            with suppress(Exception):
                async with asyncio.timeout(2):
                    await self.consumer.commit()
        await self.outbox.stop()
        log.info("stopped")

    def _leave(self) -> None:
        # Nothing is lost: what is not committed is read again.
        log.error("still here %s s after the stop began: leaving at once", STOP_WITHIN - 0.5)
        logging.shutdown()
        os._exit(1 if self.failure is not None else 0)


def build_app(settings: WorkerSettings, stages: Sequence[Stage], codec: Codec, **options: Any) -> Worker:
    """The worker's Faust app, not yet started. Options as of `Worker`. Needs a running event loop."""
    return Worker(settings, stages, codec, **options)


def run_worker(settings: WorkerSettings, stages: Sequence[Stage], codec: Codec, **options: Any) -> int:
    """Run a worker in this process until it is told to stop.

    Returns:
        0 after SIGINT or SIGTERM, 1 when it had to stop by itself.

    Raises:
        LiandongError: it could not start, and why.
    """

    # Hundreds of thousands of states live long; the default thresholds walk them over and over, a fifth of all time.
    gc.set_threshold(50_000, 20, 50)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        worker: Worker | None = None

        async def main() -> int:
            nonlocal worker
            worker = build_app(settings, stages, codec, **options)
            return await worker.run()

        code = runner.run(main())
    if worker is not None and worker.patience is not None:
        worker.patience.cancel()  # only now: Faust's leftovers can hang the closing of the loop as well
    return code


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
