"""A whole Liandong on this machine: a broker, the topics and processes, started and stopped together."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from msgspec.structs import replace

from connectors.admin import ensure_topics
from connectors.broker import RunningBroker, start_broker
from connectors.errors import LiandongError
from connectors.settings import Settings, child_environment
from streams.wiring import changelog_topics

READY = "ready:"
STOP_SECONDS = 15.0


class ProcessFailed(LiandongError):
    """A process ended by itself, or was not ready in time."""


class Service:
    """A `liandong worker`, `project` or `desk` in a process of its own, with its log in a file.

    Args:
        settings: what it is told by its environment; it must name a broker.
        name: of the command; `arguments` follow it.
        log: where its log goes.
        metrics_port: 0 for none.
    """

    def __init__(
        self, settings: Settings, name: str, arguments: Sequence[str], log: Path, metrics_port: int = 0
    ) -> None:
        self.name = name
        self.log = log
        self.metrics_port = metrics_port
        environment = child_environment(
            KAFKA_BOOTSTRAP=",".join(settings.bootstrap),
            LIANDONG_APP_ID=settings.app_id,
            LIANDONG_PARTITIONS=str(settings.partitions),
            LIANDONG_IDLE_SECONDS=str(settings.idle_seconds),
            LIANDONG_SESSION_TIMEOUT_SECONDS=str(settings.session_timeout_seconds),
            LIANDONG_MAX_BATCH=str(settings.max_batch),
            LIANDONG_POLICY=str(settings.policy_path()),
            LIANDONG_MODELS=str(settings.models),
            LIANDONG_METRICS_PORT=str(metrics_port),
            LIANDONG_DATA_DIR=str(settings.data_dir),
            LIANDONG_DATABASE=settings.database,
            LIANDONG_DATABASE_PASSWORD=settings.database_password or "",
        )
        with log.open("ab") as sink:
            self._offset = sink.tell()
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "streams.cli", name, *arguments], env=environment, stdout=sink, stderr=sink
            )

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until it says so: a worker once it holds its partitions and their state is recovered.

        Raises:
            ProcessFailed: it ended, or was not ready in time; the message ends with the tail of its log.
        """
        deadline = time.monotonic() + timeout
        while READY not in self._said():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"the {self.name} was not ready within {timeout:.0f} s; {self.log} ends:\n{self._tail()}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise ProcessFailed when it has ended."""
        if (code := self.process.poll()) is not None:
            raise ProcessFailed(f"the {self.name} ended with code {code}; {self.log} ends:\n{self._tail()}")

    def kill(self) -> None:
        """End it at once, as a crash of the machine would."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = STOP_SECONDS) -> int:
        """Ask it to stop, and end it by force when it does not; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def _said(self) -> str:
        with self.log.open("rb") as file:
            file.seek(self._offset)
            return file.read().decode(errors="replace")

    def _tail(self, lines: int = 15) -> str:
        return "\n".join(self._said().splitlines()[-lines:])


class WorkerProcess(Service):
    """A `liandong worker`."""

    def __init__(self, settings: Settings, log: Path, metrics_port: int = 0) -> None:
        super().__init__(settings, "worker", (), log, metrics_port)


class Playground:
    """Starts what is missing on entry and stops what it started on exit.

    Args:
        settings: with the user's broker, or none: then one is started in `data_dir`.
        data_dir: a folder for the broker's data and the workers' logs; None for a temporary broker.
        say: told, in a line, what goes on.
    """

    def __init__(self, settings: Settings, logs: Path, data_dir: Path | None, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.broker: RunningBroker | None = None
        self.workers: list[WorkerProcess] = []
        self.services: list[Service] = []
        self._logs, self._data_dir, self._say = logs, data_dir, say

    def __enter__(self) -> "Playground":
        self._logs.mkdir(parents=True, exist_ok=True)
        try:
            if not self.settings.bootstrap:
                self.broker = start_broker(
                    self._data_dir, self.settings.broker, cache_dir=self.settings.cache_dir, say=self._say
                )
                self.settings = replace(self.settings, bootstrap=(self.broker.bootstrap,))
                self._say(self.broker.notice or f"Apache Kafka {self.broker.version} at {self.broker.bootstrap}")
            ensure_topics(self.settings, changelog_topics(self.settings))
        except BaseException:
            self._stop()
            raise
        return self

    def start_worker(self, metrics_port: int = 0) -> WorkerProcess:
        """Start one more worker and wait until it is ready."""
        worker = WorkerProcess(self.settings, self._logs / f"worker-{len(self.workers) + 1}.log", metrics_port)
        self.workers.append(worker)
        worker.wait_ready()
        return worker

    def start(self, name: str, *arguments: str, metrics_port: int = 0) -> Service:
        """Start a `project` or `desk`, with arguments of the command, and wait until it is ready."""
        service = Service(self.settings, name, arguments, self._logs / f"{name}.log", metrics_port)
        self.services.append(service)
        service.wait_ready()
        return service

    def check(self) -> None:
        """Raise ProcessFailed when any of them has ended."""
        for process in (*self.workers, *self.services):
            process.check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        for process in (*reversed(self.services), *self.workers):
            process.stop()
        if self.broker is not None:
            self.broker.stop()


def free_port(wanted: int) -> int:
    """`wanted` where it is free on loopback, else any free one."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise LiandongError("no free port on loopback", "end a program that holds many ports")
