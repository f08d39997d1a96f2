"""A PostgreSQL of the tests' own: in a temporary folder, on loopback, without durability."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

INSTALL = "apt-get install postgresql"


def programs() -> Path:
    """The folder of PostgreSQL's programs; where there is none, skip on a desk and fail in CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    if found:
        return found[-1].parent
    if there := shutil.which("initdb"):
        return Path(there).resolve().parent
    if os.environ.get("CI") == "true":
        pytest.fail(f"PostgreSQL must be there in CI: {INSTALL}")
    pytest.skip(f"PostgreSQL is not installed: {INSTALL}")


class PostgreSQL:
    """A server that can be stopped and started. `url(name)` is the address of a database, made if need be."""

    def __init__(self, folder: Path) -> None:
        self._programs, self._data = programs(), folder / "data"
        self._folder = folder
        # It refuses to run as root; the user that its packages make is there for it.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            for path in (folder, *folder.parents[:3]):
                path.chmod(path.stat().st_mode | 0o755)
            shutil.chown(folder, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._run("initdb", "--auth=trust", "--username=liandong", "--encoding=UTF8", "--no-sync", str(self._data))
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self._data))

    def url(self, name: str) -> str:
        """The address of an empty database of this name."""
        where = ("--host=127.0.0.1", f"--port={self.port}", "--username=liandong")
        self._run("dropdb", *where, "--if-exists", "--force", name)
        self._run("createdb", *where, name)
        return f"postgresql://liandong@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        with (self._folder / "said").open("wb") as said:
            run = subprocess.run(
                [self._programs / program, *arguments], user=self._user, cwd="/", stdout=said, stderr=said, check=False
            )
        assert run.returncode == 0, (self._folder / "said").read_text() + (
            (self._folder / "log").read_text() if (self._folder / "log").exists() else ""
        )
