"""Files that are generated into a folder and committed: written, or held against what is there."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from connectors.settings import Settings


class Generated:
    """A folder that holds exactly what this release generates, or a part of one.

    Args:
        module: whose `--write` it is, such as `connectors.schemas`.
        says: its first line, for `--help`.
        folder: inside the deploy folder.
        generate: every file by its name, with stable contents.
        among: the names that are its own there; everything in the folder by default.
    """

    def __init__(
        self,
        module: str,
        says: str | None,
        folder: str,
        generate: Callable[[], Mapping[str, str]],
        among: str = "*",
    ) -> None:
        self._module = module
        self._says = (says or "").split("\n")[0]
        self._folder = folder
        self._generate = generate
        self._among = among

    def drifted(self, folder: Path) -> list[str]:
        """The files of a folder that are missing, changed or no longer generated."""
        files = self._generate()
        there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob(self._among) if path.is_file()}
        return sorted(name for name in files.keys() | there.keys() if files.get(name) != there.get(name))

    def write(self, folder: Path) -> list[str]:
        """Make a folder hold exactly the generated files. Returns the names of those that changed."""
        folder.mkdir(parents=True, exist_ok=True)
        changed, files = self.drifted(folder), self._generate()
        for name in changed:
            if name in files:
                (folder / name).write_text(files[name], encoding="utf-8", newline="\n")
            else:
                (folder / name).unlink()
        return changed

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The command line; returns the exit code."""
        parser = argparse.ArgumentParser(prog=f"python -m {self._module}", description=self._says)
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--write", action="store_true", help="write the files")
        what.add_argument("--check", action="store_true", help="fail when the files are not up to date")
        where = f"where the files are (default: {self._folder}/ of the deploy folder)"
        parser.add_argument("--folder", type=Path, help=where)
        options = parser.parse_args(arguments)
        folder = options.folder or Settings.from_env().deploy_dir() / self._folder
        names = self.write(folder) if options.write else self.drifted(folder)
        for name in names:
            sys.stdout.write(f"{'written' if options.write else 'not up to date'}: {folder / name}\n")
        if names and options.check:
            sys.stderr.write(f"run: python -m {self._module} --write\n")
        return 1 if names and options.check else 0
