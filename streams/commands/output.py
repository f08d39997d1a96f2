"""How commands speak: text or one JSON object on stdout, progress and notices on stderr, errors in one line."""

import enum
import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from connectors.errors import LiandongError
from connectors.settings import Settings
from connectors.sources.reader import MappedFrame

# Piped into a file there is no width to ask for: tables keep the one they were laid out for.
out = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 120)
notes = Console(stderr=True, soft_wrap=True)


class Format(enum.StrEnum):
    """What `--format` takes."""

    TEXT = "text"
    JSON = "json"


def read_settings() -> Settings:
    """Settings from the environment, with its notices on stderr."""
    settings = Settings.from_env()
    for notice in settings.notices:
        notes.print(f"note: {notice}", style="yellow", markup=False)
    return settings


def log_to_stderr(settings: Settings, *quiet: str) -> None:
    """Log as LIANDONG_LOG_LEVEL says; of libraries that are named no less than warnings."""
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for library in quiet:
        logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))


def print_json(value: Any) -> None:
    """One JSON object on a line of its own; Decimals as text, so that nothing is rounded."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_rejected(mapped: MappedFrame, most: int | None = None) -> None:
    """List a file's rejected rows with their reasons on stderr, at most `most` of them."""
    shown = mapped.rejected if most is None else mapped.rejected.head(most)
    for row in shown.iter_rows(named=True):
        what = f"{row['field'] or 'line'} {row['reason']} ({row['value']})"
        notes.print(f"rejected row {row['row']}: {what}", markup=False)
    if mapped.rejected.height > shown.height:
        notes.print(f"… and {mapped.rejected.height - shown.height:,} more")


def progress() -> Progress:
    """A bar on stderr for long work; silent when nobody watches."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Print an error a person can act on as one line, and exit 1; let anything unexpected show its traceback."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except LiandongError as error:
            notes.print(f"error: {error}", style="bold red", markup=False, highlight=False)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            notes.print("stopped")
            raise typer.Exit(130) from None

    return run
