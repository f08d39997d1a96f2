"""Apache Kafka's jars: fetched once from Maven Central into the user's cache, and checked against the list we ship."""

import contextlib
import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from connectors.broker.errors import JarsMissingError

RESOLVE_SECONDS = 300
Say = Callable[[str], None]


def kafka_files() -> Path:
    """The folder with pom.xml, jars.sha256 and the templates: in the installed package, else beside the source."""
    connectors = Path(__file__).resolve().parents[1]
    for folder in (connectors / "_deploy" / "kafka", connectors.parent / "deploy" / "kafka"):
        if (folder / "pom.xml").is_file():
            return folder
    raise JarsMissingError(f"no deploy/kafka/pom.xml beside {connectors}", "install Liandong anew")


def expected(files: Path) -> dict[str, str]:
    """Name and SHA-256 of every jar, as `jars.sha256` lists them."""
    lines = (files / "jars.sha256").read_text("ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def kafka_version(jars: dict[str, str]) -> str:
    """Apache Kafka's version, read off the name of its jar.

    >>> kafka_version({"kafka_2.13-4.4.0.jar": "..."})
    '4.4.0'
    """
    for name in jars:
        if found := re.fullmatch(r"kafka_[\d.]+-(.+)\.jar", name):
            return found[1]
    raise JarsMissingError("jars.sha256 names no kafka_2.13 jar", "restore deploy/kafka from the repository")


def fetch_jars(cache: Path, files: Path, say: Say) -> Path:
    """The folder with all jars; fetched when it is not there yet.

    Args:
        cache: the user's cache folder of Liandong.
        files: the folder that `kafka_files` gives.
        say: told, in a line, what takes long.

    Raises:
        JarsMissingError: no resolver, no network, or other jars than expected.
    """
    wanted = expected(files)
    folder = cache / f"kafka-{kafka_version(wanted)}"
    if _complete(folder, wanted):
        return folder
    with locked_cache(cache):
        if _complete(folder, wanted):  # another process fetched them while we waited
            return folder
        say(f"Fetching Apache Kafka {kafka_version(wanted)} once into {folder} (about 45 MB)")
        with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as stage:
            jars = Path(stage) / "jars"
            jars.mkdir()
            _resolve(files / "pom.xml", jars)
            _check(jars, wanted)
            shutil.rmtree(folder, ignore_errors=True)
            jars.rename(folder)
    return folder


@contextlib.contextmanager
def locked_cache(cache: Path) -> Iterator[None]:
    """One process at a time fills the cache; the others wait and find it full."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / ".lock").open("a")
    except OSError as error:
        raise JarsMissingError(
            f"{cache} cannot be written ({error.strerror})", "name another in LIANDONG_CACHE_DIR"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _complete(folder: Path, wanted: dict[str, str]) -> bool:
    return folder.is_dir() and {jar.name for jar in folder.glob("*.jar")} == wanted.keys()


def _check(jars: Path, wanted: dict[str, str]) -> None:
    got = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    wrong = sorted(name for name in got.keys() | wanted.keys() if got.get(name) != wanted.get(name))
    if wrong:
        raise JarsMissingError(
            f"the fetched jars differ from deploy/kafka/jars.sha256: {', '.join(wrong[:5])}",
            "check the Maven mirror; after a wanted change of pom.xml write the list anew (deploy/kafka/README.md)",
        )


def _resolve(pom: Path, into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is not None:
        _with_maven(maven, pom, into)
    elif find_spec("jgo") is not None:
        _with_jgo(pom, into)
    else:
        raise JarsMissingError(
            "Apache Kafka's jars are not in the cache, and nothing here can fetch them",
            "install Maven (mvn), or `pip install jgo`",
        )


def _with_maven(maven: str, pom: Path, into: Path) -> None:
    command = [maven, "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={into}"]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=RESOLVE_SECONDS, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stdout + error.stderr).splitlines() if "ERROR" in line]
        raise JarsMissingError("mvn could not fetch Apache Kafka's jars", "\n".join(lines[:3])) from error
    except subprocess.TimeoutExpired as error:
        raise JarsMissingError(
            f"mvn did not fetch Apache Kafka's jars within {RESOLVE_SECONDS} s", "look at the network"
        ) from error


def _with_jgo(pom: Path, into: Path) -> None:
    """Resolve each root by itself: jgo lets the parent of one root rule the versions of the other's dependencies."""
    maven, parse = import_module("jgo.maven"), import_module("jgo.parse")
    context = maven.MavenContext(repo_cache=into.parent / "repository")
    try:
        for root in roots(pom):
            dependency = context.create_dependency(replace(parse.Coordinate.parse(root), scope="compile"))
            own, transitive = context.resolver.resolve([dependency])
            for found in [*own, *(one for one in transitive if one.scope in ("compile", "runtime"))]:
                jar = found.artifact.resolve()
                shutil.copy2(jar, into / jar.name)
    except (RuntimeError, ValueError, OSError) as error:  # requests' errors are OSErrors
        raise JarsMissingError("jgo could not fetch Apache Kafka's jars", str(error)) from error


def roots(pom: Path) -> list[str]:
    """The dependencies that the pom names, as `group:artifact:version`, with its properties filled in."""
    text = pom.read_text("utf-8")
    properties = dict(re.findall(r"<([\w.]+)>([^<>]+)</\1>", text.split("<dependencies>")[0]))
    pattern = r"<dependency>\s*<groupId>(.+?)</groupId>\s*<artifactId>(.+?)</artifactId>\s*<version>(.+?)</version>"
    return [
        f"{group}:{artifact}:{properties.get(version.strip('${}'), version)}"
        for group, artifact, version in re.findall(pattern, text)
    ]
