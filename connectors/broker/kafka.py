"""Apache Kafka itself: one KRaft node, broker and controller at once, on loopback, as a child process."""

import base64
import hashlib
import os
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from connectors.broker.errors import BrokerStartError
from connectors.broker.jars import Say, expected, fetch_jars, kafka_files, kafka_version, locked_cache
from connectors.broker.java import Java, find_java
from connectors.broker.process import Facts, RunningBroker, await_answer, free_ports, launch, locked

HEAP_MEGABYTES = 512
FORMAT_SECONDS = 60.0
START_SECONDS = 60.0
WARM_UP_STOP_SECONDS = 60.0
PORT_TRIES = 3
_PORT_TAKEN = "Address already in use"


@dataclass(frozen=True)
class KafkaProgram:
    """What runs Apache Kafka: a Java, the jars, our files, and the archive of classes (None: none is to be had)."""

    java: Java
    jars: Path
    files: Path
    version: str
    archive: Path | None

    def command(self, main: str, *arguments: str | Path, log: Path, write: Path | None = None) -> list[str]:
        """The command line of one of Kafka's programs; `write` makes it leave an archive of its classes there."""
        flags = self.java.flags(HEAP_MEGABYTES)
        if write is not None:
            flags += self.java.archive_flags(write, write=True)
        elif self.archive is not None:
            flags += self.java.archive_flags(self.archive, write=False)
        # Spelt out and in order: an archive is refused when the class path differs from the one it was made with.
        class_path = os.pathsep.join(str(jar) for jar in sorted(self.jars.glob("*.jar")))
        logging = [f"-Dlog4j2.configurationFile={self.files / 'log4j2.properties'}", f"-Dliandong.kafka.log={log}"]
        return [str(self.java.program), *flags, *logging, "-cp", class_path, main, *map(str, arguments)]


def prepare_kafka(cache: Path, say: Say) -> KafkaProgram:
    """Find a Java, fetch the jars, and make the archive of classes: all but the first is done once a machine.

    Raises:
        JavaMissingError, JarsMissingError: Apache Kafka cannot be had here.
    """
    java = find_java()
    files = kafka_files()
    jars = fetch_jars(cache, files, say)
    version = kafka_version(expected(files))
    digest = hashlib.sha256(f"{java.program}\n{java.build}\n{jars}".encode()).hexdigest()[:12]
    archive = cache / f"kafka-{version}-classes-{digest}.jsa"
    program = KafkaProgram(java, jars, files, version, None)
    if not archive.exists():
        with locked_cache(cache):
            if not archive.exists():
                say("Preparing it for faster starts (once, some seconds)")
                _write_archive(program, archive)
    # No file: it did not start this time. An empty one: this Java makes none.
    usable = archive.is_file() and archive.stat().st_size > 0
    return replace(program, archive=archive) if usable else program


def start_kafka(data_dir: Path, port: int | None, program: KafkaProgram, *, temporary: bool) -> RunningBroker:
    """Start it on a folder, formatted on first use. See `start_broker`."""
    with locked(data_dir) as lock:
        tries = 1 if port else PORT_TRIES
        while True:
            tries -= 1
            try:
                return _start_node(program, data_dir, port, lock, temporary=temporary)
            except BrokerStartError as error:
                # Somebody may take a free port between our look and Kafka's: look again, unless the user named it.
                if tries == 0 or _PORT_TAKEN not in str(error):
                    raise


def _start_node(
    program: KafkaProgram,
    data_dir: Path,
    port: int | None,
    lock: IO[str],
    *,
    temporary: bool = False,
    write: Path | None = None,
) -> RunningBroker:
    free, controller_port = free_ports(2)
    port = port or free
    home = data_dir / "kafka"
    home.mkdir(exist_ok=True)
    properties = home / "server.properties"
    properties.write_text(server_properties(program.files, home, port, controller_port), "utf-8")
    log = home / "kafka.log"
    # What the last run had to say must not be taken for this one's.
    log.unlink(missing_ok=True)
    if not (home / "data" / "meta.properties").is_file():
        _format(program, properties, log)
    broker = launch(
        program.command("kafka.Kafka", properties, log=log, write=write),
        lock=lock,
        output=home / "kafka.out",
        remove=data_dir if temporary else None,
        facts=Facts(port, "kafka", program.version, None, data_dir, log),
    )
    await_answer(broker, START_SECONDS)
    return broker


def server_properties(files: Path, home: Path, broker_port: int, controller_port: int) -> str:
    """The node's whole configuration: our template, and what changes from one start to the next."""
    template = (files / "server.properties").read_text("utf-8")
    # A properties file takes a backslash for an escape.
    data = str((home / "data").resolve()).replace("\\", "\\\\")
    return (
        f"{template}\n"
        f"listeners=PLAINTEXT://127.0.0.1:{broker_port},CONTROLLER://127.0.0.1:{controller_port}\n"
        f"advertised.listeners=PLAINTEXT://127.0.0.1:{broker_port}\n"
        f"controller.quorum.voters=1@127.0.0.1:{controller_port}\n"
        f"log.dirs={data}\n"
    )


def _format(program: KafkaProgram, properties: Path, log: Path) -> None:
    cluster = (
        base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    )  # Kafka refuses a leading dash
    command = program.command("kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties, log=log)
    _run(command, FORMAT_SECONDS, f"the folder {properties.parent} could not be formatted")


def _run(command: Sequence[str], seconds: float, failure: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise BrokerStartError(failure, f"no end after {seconds:g} s") from error
    if done.returncode:
        raise BrokerStartError(failure, "\n".join((done.stdout + done.stderr).splitlines()[-15:]))


def _write_archive(program: KafkaProgram, archive: Path) -> None:
    """Start once on a throw-away folder and keep what classes were loaded; an empty file where Java makes none."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="warm-up-") as stage:
        made = Path(stage) / archive.name
        try:
            with locked(Path(stage)) as lock:
                broker = _start_node(program, Path(stage), None, lock, write=made)
        except BrokerStartError:
            return  # only speed is lost; what is really wrong, the start that follows will say
        broker.stop(WARM_UP_STOP_SECONDS)  # Java writes the archive as it ends
        made.touch()
        made.rename(archive)
