"""A broker as a child process: started, waited for, stopped, and never left behind."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from connectors.broker.errors import BrokerError, BrokerStartError, DataDirInUseError

KEEPER = Path(__file__).with_name("keeper.py")
GRACE_SECONDS = 10.0
LOG_TAIL_LINES = 15
LOG_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Facts:
    """What is known of a broker before it runs; see the attributes of `RunningBroker`."""

    port: int
    kind: Literal["kafka", "fallback"]
    version: str
    notice: str | None
    data_dir: Path
    log: Path


class RunningBroker:
    """A broker that runs as our child. As a context manager it is stopped on leaving.

    Attributes:
        bootstrap: where clients connect, `127.0.0.1:PORT`.
        kind: `kafka`, or `fallback` for the broker from PyPI.
        version: the broker's own version.
        notice: one plain line on what this broker does not keep; None for Apache Kafka, which keeps everything.
        pid: the broker's process.
        data_dir: where its data stands.
        log: the file that holds what it has to say.

    >>> with start_broker(None) as broker:  # doctest: +SKIP
    ...     KafkaProducer(bootstrap_servers=broker.bootstrap)
    """

    def __init__(self, facts: Facts, keeper: "subprocess.Popen[str]", pid: int, remove: Path | None) -> None:
        self.bootstrap = f"127.0.0.1:{facts.port}"
        self.kind = facts.kind
        self.version = facts.version
        self.notice = facts.notice
        self.data_dir = facts.data_dir
        self.log = facts.log
        self.pid = pid
        self._keeper = keeper
        self._remove = remove

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the broker's process is still there."""
        return self._keeper.poll() is None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the broker ends by itself; returns its exit code (128 + n when ended by signal n).

        Raises:
            TimeoutError: it still runs after `timeout` seconds.
        """
        try:
            return self._keeper.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the broker at {self.bootstrap} still runs after {timeout} s") from error

    def stop(self, timeout: float = GRACE_SECONDS) -> None:
        """Stop cleanly; by force what is not gone after `timeout` seconds. Harmless when it is stopped already."""
        stdin = self._keeper.stdin
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(f"{timeout}\n")
                stdin.flush()
            with contextlib.suppress(BrokenPipeError):
                stdin.close()
        try:
            self._keeper.wait(timeout + 5.0)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._keeper.kill()
            self._keeper.wait()
        if self._remove is not None:
            shutil.rmtree(self._remove, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock on a data folder; the open file may be handed to a child, which then holds it on.

    Raises:
        DataDirInUseError: another broker has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".broker.lock").open("a")
    except OSError as error:
        raise BrokerError(f"{folder} cannot hold a broker's data ({error.strerror})", "name another folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirInUseError(
                f"another broker runs on {folder}", "use that one, stop it, or name another folder"
            ) from error
        yield file


def launch(
    command: Sequence[str | Path], *, facts: Facts, lock: IO[str], output: Path, remove: Path | None
) -> RunningBroker:
    """Start a broker's command under a keeper.

    It gets a session of its own: Ctrl-C at the terminal reaches our process alone, which stops workers first.

    Args:
        command: what to run.
        facts: what is known of it.
        lock: the data folder's lock, held on by the keeper.
        output: takes what the command prints.
        remove: a folder to delete when the broker was stopped.
    """
    with output.open("wb") as file:
        keeper = subprocess.Popen(  # noqa: S603  # our own script, and a command that this package composes
            [sys.executable, "-I", "-S", KEEPER, str(GRACE_SECONDS), remove or "-", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
    assert keeper.stdout is not None  # noqa: S101  # a pipe was asked for
    with keeper.stdout as answer:
        pid = answer.readline()
    if not pid:
        keeper.wait()
        raise BrokerStartError(f"{command[0]} could not be run", tail(output))
    return RunningBroker(facts, keeper, int(pid), remove)


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody uses just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def await_answer(broker: RunningBroker, seconds: float) -> None:
    """Wait until the broker answers an administrative request. It is stopped when it does not.

    Raises:
        BrokerStartError: it ended, or did not answer in `seconds`.
    """
    end = time.monotonic() + seconds
    why = f"did not answer within {seconds:g} s"
    while time.monotonic() < end:
        if not broker.running:
            why = f"ended with code {broker.wait()} before it answered"
            break
        if _answers(broker.bootstrap):
            return
        time.sleep(0.02)
    # What Java itself has to say (no memory, a wrong flag) never reaches Kafka's log.
    texts = [f"the end of {file}:\n{tail(file)}" for file in sorted({broker.log, broker.log.with_suffix(".out")})]
    broker.stop(2.0)
    raise BrokerStartError(f"the {broker.kind} broker {why}", "\n".join(texts))


def _answers(bootstrap: str) -> bool:
    host, port = bootstrap.split(":")
    try:
        socket.create_connection((host, int(port)), 1.0).close()
    except OSError:
        return False
    from kafka import KafkaAdminClient  # takes long to import: only once there is somebody to ask
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000, bootstrap_timeout_ms=5000)
    except KafkaError:
        return False
    try:
        admin.list_topics()
    except KafkaError:
        return False
    finally:
        admin.close()
    return True


def tail(log: Path) -> str:
    """The last lines of a log, or a word that there are none."""
    if not log.is_file():
        return "(no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:]) or "(the log is empty)"
