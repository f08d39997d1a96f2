"""Keep: dead letters."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from connectors.address import with_broker
from connectors.dead_letters import Letter, Redriver, message_of, read_letters, with_changes
from connectors.errors import LiandongError
from connectors.records import TopicReader
from streams.commands.output import Format, command, out, print_json, progress, read_settings

app = typer.Typer(help="List, read, repair and send again the messages that were refused.", no_args_is_help=True)

TopicOption = Annotated[str | None, typer.Option("--topic", help="Only those refused from this topic.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Only those refused for this reason.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Text for people or one JSON object.")]


@app.command("list")
@command
def list_letters(
    topic: TopicOption = None,
    reason: ReasonOption = None,
    since: Annotated[datetime | None, typer.Option(help="Refused at or after, in UTC.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were sent again as well.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    format: FormatOption = Format.TEXT,
) -> None:
    """List dead letters: why they were refused, and whether they were sent again."""
    settings = with_broker(read_settings())
    with TopicReader(settings) as reader:
        letters = _chosen(read_letters(reader).values(), topic, reason)
    if since is not None:
        letters = [one for one in letters if one.letter.refused_at >= since.replace(tzinfo=UTC)]
    if not everything:
        letters = [one for one in letters if one.open]
    shown = letters[-limit:]
    if format is Format.JSON:
        print_json({"count": len(letters), "letters": [_line(one) for one in shown]})
        return
    if not letters:
        out.print("no dead letters" if everything else "no open dead letters; --all shows those sent again as well")
        return
    counts = Counter((one.letter.source_topic, one.letter.reason) for one in letters)
    for (where, why), count in counts.most_common():
        out.print(f"{count:,} from {where}: {why}", markup=False)
    table = Table(title=f"The newest {len(shown):,} of {len(letters):,} dead letters")
    for name in ("id", "refused at", "reason", "field", "key", "state"):
        table.add_column(name, overflow="fold")
    for one in shown:
        line = _line(one)
        table.add_row(*(str(line[name] or "") for name in ("id", "refused_at", "reason", "field", "key", "state")))
    out.print(table)


@app.command("show")
@command
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As listed: topic/partition/offset.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Show one dead letter with its message, what is wrong with it, and what became of it."""
    settings = with_broker(read_settings())
    with TopicReader(settings) as reader:
        one = _one(read_letters(reader), letter_id)
        message = message_of(one.letter, reader)
    text = _readable(message)
    if format is Format.JSON:
        print_json(_line(one) | {"detail": one.letter.detail, "message": text, "redrive": one.redrive})
        return
    letter = one.letter
    for name, value in (
        ("id", letter.dead_letter_id),
        ("refused at", letter.refused_at.isoformat()),
        ("key", letter.source_key or "none"),
        ("reason", letter.reason),
        ("field", letter.field or "the whole message"),
        ("detail", letter.detail),
        ("state", _state(one)),
    ):
        out.print(f"{name:11} {value}", markup=False)
    out.print(text, markup=False, highlight=False)


@app.command("redrive")
@command
def redrive(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="ID…", help="As listed.")] = None,
    by: Annotated[str, typer.Option(help="Who does it; noted with the letter.")] = ...,  # type: ignore[assignment]
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="field=value, before sending; counterparty.country=CN")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A whole message to send instead, as JSON.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All open ones of --topic and --reason.")] = False,
    topic: TopicOption = None,
    reason: ReasonOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send refused messages to their topic again, repaired where told, each of them once."""
    ids = letter_ids or []
    if bool(ids) == everything:
        raise LiandongError("say which: ids, or --all with --topic or --reason", "see liandong dead-letters list")
    if everything and topic is None and reason is None:
        raise LiandongError("--all needs --topic or --reason", "see liandong dead-letters list")
    if (changes or file) and len(ids) != 1:
        raise LiandongError("--set and --file repair one letter", "give one id")
    repairs = dict(_change(text) for text in changes or [])
    settings = with_broker(read_settings())
    with TopicReader(settings) as reader:
        letters = read_letters(reader)
        chosen = [_one(letters, name) for name in ids]
        if everything:
            chosen = [one for one in _chosen(letters.values(), topic, reason) if one.open]
            if not chosen:
                out.print("no open dead letters of these")
                return
            if not yes:
                typer.confirm(f"Send {len(chosen):,} messages again?", abort=True)
        failed = 0
        with Redriver(settings, reader, by) as redriver, progress() as bar:
            for one in bar.track(chosen, description="sending"):
                try:
                    message = file.read_bytes() if file else message_of(one.letter, reader)
                    done = redriver.redrive(
                        one, with_changes(message, repairs) if repairs else message, datetime.now(UTC)
                    )
                except LiandongError as error:
                    failed += 1
                    bar.console.print(f"not sent: {error}", markup=False)
                    continue
                out.print(
                    f"{one.letter.dead_letter_id} is now {done.topic}/{done.partition} offset {done.offset}",
                    markup=False,
                )
    out.print(f"{len(chosen) - failed:,} sent, {failed:,} not sent")
    if failed:
        raise typer.Exit(1)


def _chosen(letters: Iterable[Letter], topic: str | None, reason: str | None) -> list[Letter]:
    return [
        one
        for one in letters
        if (topic is None or one.letter.source_topic == topic) and (reason is None or one.letter.reason == reason)
    ]


def _one(letters: dict[str, Letter], name: str) -> Letter:
    if name not in letters:
        raise LiandongError(f"there is no dead letter {name}", "see liandong dead-letters list --all")
    return letters[name]


def _change(text: str) -> tuple[str, Any]:
    """`field=value`; the value as JSON where it is JSON, else as text."""
    name, mark, value = text.partition("=")
    if not (name and mark):
        raise LiandongError(f"--set {text} is not field=value", "write for example --set currency=CNY")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _state(one: Letter) -> str:
    done = one.redrive
    if done is None:
        return "open"
    if done.state == "claimed":
        return f"interrupted: {done.by} began on {done.at.isoformat()}; redrive it again to finish"
    how = "repaired and redriven" if done.repaired else "redriven"
    return f"{how} by {done.by} on {done.at.isoformat()} to {done.topic}/{done.partition} offset {done.offset}"


def _line(one: Letter) -> dict[str, Any]:
    letter = one.letter
    return {
        "id": letter.dead_letter_id,
        "refused_at": letter.refused_at.isoformat(timespec="seconds"),
        "topic": letter.source_topic,
        "reason": letter.reason,
        "field": letter.field,
        "key": letter.source_key,
        "state": _state(one),
    }


def _readable(message: bytes) -> str:
    try:
        return msgspec.json.format(message, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return message.decode()
    except UnicodeDecodeError:
        return message.hex(" ")
