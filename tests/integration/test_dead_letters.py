"""Dead letters over a real broker: listed, shown, repaired and sent again, once each, whatever breaks in between."""

import base64
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest
from kafka import TopicPartition
from typer.testing import CliRunner

from connectors.admin import ensure_topics
from connectors.dead_letters import HEADER, Letter, Redriver, read_letters
from connectors.errors import LiandongError
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.topics import TOPICS
from connectors.writer import EventWriter
from models.dead_letter import DeadLetter, Redrive
from streams.cli import app

if TYPE_CHECKING:
    from connectors.broker import RunningBroker

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def settings(kafka: "RunningBroker") -> Settings:
    made = Settings.from_env({"KAFKA_BOOTSTRAP": kafka.bootstrap})
    ensure_topics(made, TOPICS.values())
    return made


@pytest.fixture
def reader(settings: Settings) -> Iterator[TopicReader]:
    with TopicReader(settings) as one:
        yield one


@pytest.fixture
def letter(settings: Settings) -> DeadLetter:
    """A capital position of an entity of this test's own whose amount was written with a separator."""
    entity = f"E-{uuid.uuid4().hex[:8]}"
    raw = b'{"entity":"%s","as_of":"2026-01-01","net_capital":"1,000.00","tier1_capital":"800.00"}' % entity.encode()
    made = DeadLetter(
        dead_letter_id=f"capital/0/{uuid.uuid4().int % 10**9}",
        source_topic="capital",
        source_partition=0,
        source_offset=0,
        source_key=entity,
        reason="not_a_number",
        field="net_capital",
        detail="'1,000.00' is no plain decimal number such as 1234.50",
        raw=base64.b64encode(raw).decode(),
        refused_at=NOW,
    )
    with EventWriter(settings) as writer:
        writer.write("dead-letters", made)
    return made


def sent(reader: TopicReader, letter: DeadLetter) -> list[tuple[int, int]]:
    """Where the letter's message stands on its source topic."""
    mark = (HEADER, letter.dead_letter_id.encode())
    return [(one.partition, one.offset) for one in reader.records("capital") if mark in one.headers]


def mended(letter: DeadLetter) -> bytes:
    assert letter.raw is not None
    return base64.b64decode(letter.raw).replace(b"1,000.00", b"1000.00")


def test_listed_shown_repaired_and_sent_once(
    settings: Settings, reader: TopicReader, letter: DeadLetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", settings.bootstrap[0])
    run = CliRunner()
    name = letter.dead_letter_id
    listed = msgspec.json.decode(
        run.invoke(app, ["dead-letters", "list", "--topic", "capital", "--limit", "1000", "--format", "json"]).stdout
    )
    (line,) = (one for one in listed["letters"] if one["id"] == name)
    assert (line["reason"], line["field"], line["state"]) == ("not_a_number", "net_capital", "open")
    shown = run.invoke(app, ["dead-letters", "show", name]).stdout
    assert '"net_capital": "1,000.00"' in shown
    assert "no plain decimal number" in shown

    again = run.invoke(app, ["dead-letters", "redrive", name, "--by", "ops"])
    assert again.exit_code == 1
    assert sent(reader, letter) == []

    done = run.invoke(app, ["dead-letters", "redrive", name, "--by", "ops", "--set", 'net_capital="1000.00"'])
    assert done.exit_code == 0, done.output
    assert len(sent(reader, letter)) == 1
    assert "redriven by ops" in run.invoke(app, ["dead-letters", "show", name]).stdout

    twice = run.invoke(app, ["dead-letters", "redrive", name, "--by", "ops", "--set", 'net_capital="1000.00"'])
    assert twice.exit_code == 1
    assert len(sent(reader, letter)) == 1


def test_a_claim_that_was_never_sent_is_sent_now(settings: Settings, reader: TopicReader, letter: DeadLetter) -> None:
    claim = Redrive(
        dead_letter_id=letter.dead_letter_id,
        state="claimed",
        by="ops",
        at=datetime.now(UTC),
        repaired=True,
        topic="capital",
    )
    with EventWriter(settings) as writer:
        writer.write("redrives", claim)
    one = read_letters(reader)[letter.dead_letter_id]
    assert one == Letter(letter, claim)
    with Redriver(settings, reader, "night shift") as redriver:
        done = redriver.redrive(one, mended(letter), datetime.now(UTC))
    assert (done.state, done.by) == ("sent", "night shift")
    assert sent(reader, letter) == [(done.partition, done.offset)]


def test_a_message_sent_before_the_note_is_not_sent_again(
    settings: Settings, reader: TopicReader, letter: DeadLetter
) -> None:
    with Redriver(settings, reader, "ops") as redriver:
        first = redriver.redrive(Letter(letter, None), mended(letter), datetime.now(UTC))
        claim = msgspec.structs.replace(first, state="claimed", partition=None, offset=None)
        done = redriver.redrive(Letter(letter, claim), mended(letter), datetime.now(UTC))
        assert (done.partition, done.offset) == (first.partition, first.offset)
        assert len(sent(reader, letter)) == 1
        with pytest.raises(LiandongError, match=r"was redriven on .* by ops"):
            redriver.redrive(Letter(letter, done), mended(letter), datetime.now(UTC))
    assert read_letters(reader)[letter.dead_letter_id].redrive == done


def test_a_message_that_would_be_refused_again_is_not_sent(
    settings: Settings, reader: TopicReader, letter: DeadLetter
) -> None:
    assert letter.raw is not None
    with Redriver(settings, reader, "ops") as redriver, pytest.raises(LiandongError, match="net_capital"):
        redriver.redrive(Letter(letter, None), base64.b64decode(letter.raw), datetime.now(UTC))
    assert sent(reader, letter) == []
    assert read_letters(reader)[letter.dead_letter_id].redrive is None


def test_offsets_at_a_moment(settings: Settings, reader: TopicReader, letter: DeadLetter) -> None:
    assert letter.refused_at == NOW
    ends = reader.ends("capital")
    assert reader.offsets_at("capital", datetime(2100, 1, 1, tzinfo=UTC)) == ends
    assert all(
        offset == 0 for offset in reader.offsets_at("capital", datetime(2000, 1, 1, tzinfo=UTC)).values()
    ) or any(ends[TopicPartition("capital", number)] == 0 for number in range(len(ends)))
