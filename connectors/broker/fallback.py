"""The broker from PyPI that stands in where Apache Kafka cannot be had: noida-db, of which only Kafka's part runs."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from connectors.broker.errors import FallbackMissingError
from connectors.broker.process import Facts, RunningBroker, await_answer, free_ports, launch, locked

START_SECONDS = 30.0
NOTICE = (
    "This broker (noida-db) stands in for Apache Kafka: what was acknowledged in the last seconds before it is "
    "killed may be lost, a dead consumer keeps its partitions until it is removed, and an idle one costs much CPU."
)


def fallback_program(cache: Path) -> tuple[Path, str]:
    """The broker's program and its version.

    Raises:
        FallbackMissingError: the package, or its program for this machine, is not installed.
    """
    remedy = "`pip install noida-db`, or install Java 17 and Maven for Apache Kafka"
    if find_spec("noida_db") is None:
        raise FallbackMissingError("the package noida-db is not installed", remedy)
    program = Path(str(files("noida_db") / "noida-db"))
    try:
        found = version("noida-db")
    except PackageNotFoundError:
        found = "unknown"
    if not program.is_file():
        raise FallbackMissingError(f"noida-db carries no program for this machine ({program})", remedy)
    if not os.access(program, os.X_OK):  # a wheel need not keep the bit, and the package may be read-only
        cache.mkdir(parents=True, exist_ok=True)
        copy = cache / f"noida-db-{found}"
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
        program = copy
    return program, found


def start_fallback(
    data_dir: Path, port: int | None, cache: Path, *, temporary: bool, because: str = ""
) -> RunningBroker:
    """Start it on a folder. See `start_broker`; `because` says in its notice why it is not Apache Kafka."""
    program, found = fallback_program(cache)
    with locked(data_dir) as lock:
        home = data_dir / "fallback"
        home.mkdir(exist_ok=True)
        port = port or free_ports(1)[0]
        log = home / "broker.out"
        log.unlink(missing_ok=True)
        command = [str(program), "start", "--only", "kafka", "--kafka-port", str(port), "--host", "127.0.0.1"]
        notice = f"{NOTICE} ({because})" if because else NOTICE
        broker = launch(
            [*command, "--data-dir", str(home / "data")],
            lock=lock,
            output=log,
            remove=data_dir if temporary else None,
            facts=Facts(port, "fallback", f"noida-db {found}", notice, data_dir, log),
        )
    await_answer(broker, START_SECONDS)
    return broker
