"""A broker for the user who has none: Apache Kafka itself, else one from PyPI that keeps fewer promises.

>>> with start_broker(None) as broker:  # doctest: +SKIP
...     print(broker.notice or f"Apache Kafka {broker.version} at {broker.bootstrap}")
"""

import shutil
import tempfile
from pathlib import Path
from typing import Literal

from connectors.broker.errors import (
    BrokerError,
    BrokerStartError,
    DataDirInUseError,
    FallbackMissingError,
    JarsMissingError,
    JavaMissingError,
)
from connectors.broker.fallback import start_fallback
from connectors.broker.jars import Say
from connectors.broker.kafka import prepare_kafka, start_kafka
from connectors.broker.process import RunningBroker

__all__ = [
    "BrokerError",
    "BrokerStartError",
    "DataDirInUseError",
    "FallbackMissingError",
    "JarsMissingError",
    "JavaMissingError",
    "RunningBroker",
    "start_broker",
]


def start_broker(
    data_dir: Path | None,
    kind: Literal["auto", "kafka", "fallback"] = "auto",
    port: int | None = None,
    *,
    cache_dir: Path | None = None,
    say: Say = lambda _: None,
) -> RunningBroker:
    """Start a broker on loopback as a child process, and return once it answers.

    It ends with `stop()`, on leaving the `with` block, and when this process ends in whatever way.

    Args:
        data_dir: where its data stands; a later start on the same folder finds it again. None: a temporary folder,
            gone when the broker is stopped. Each kind has a folder of its own in it.
        kind: `kafka` for Apache Kafka or nothing, `fallback` for the broker from PyPI, `auto` for the first that is
            to be had. `auto` falls back only where Java or the jars are missing: a Kafka that fails is an error.
        port: where clients connect; a free one when None.
        cache_dir: where jars are kept for the next time; `~/.cache/liandong` when None.
        say: told, in a line, what is about to take long.

    Raises:
        JavaMissingError, JarsMissingError, FallbackMissingError: that kind is not to be had here.
        DataDirInUseError: another broker runs on the folder.
        BrokerStartError: it did not come up; the message ends with the tail of its log.
    """
    cache = (cache_dir or Path.home() / ".cache" / "liandong").absolute()
    because = ""
    program = None
    if kind != "fallback":
        try:
            program = prepare_kafka(cache, say)
        except (JavaMissingError, JarsMissingError) as error:
            if kind == "kafka":
                raise
            because = str(error).splitlines()[0]
    temporary = data_dir is None
    folder = Path(tempfile.mkdtemp(prefix="liandong-broker-")) if data_dir is None else data_dir.absolute()
    try:
        if program is not None:
            return start_kafka(folder, port, program, temporary=temporary)
        return start_fallback(folder, port, cache, temporary=temporary, because=because)
    except BaseException:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)
        raise
