"""In which order an archive is played, and what of it is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.archive import Archived, archived, as_frame, read_manifest
from connectors.codec import Codec
from connectors.errors import LiandongError
from models.dead_letter import DeadLetter, Redrive
from streams import restore
from streams.restore import left_out_of, outcome, turns

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def record(topic: str, timestamp: int, partition: int = 0, offset: int = 0) -> Archived:
    return Archived(topic, partition, offset, timestamp, b"k", b"v", (("h", b"1"),))


def store(folder: Path, *records: Archived) -> None:
    for one in records:
        (folder / one.topic).mkdir(exist_ok=True)
        as_frame([one]).write_parquet(folder / one.topic / f"{one.partition}-{one.offset:010}.parquet")


def played(length: timedelta, *came: tuple[str, int]) -> list[list[tuple[str, int]]]:
    found = turns([record(topic, at) for topic, at in came], length)
    return [[(one.topic, one.timestamp) for one in some] for some in found]


def test_events_and_actions_take_turns_as_they_came() -> None:
    came = (("loans", 1), ("reports", 2), ("actions", 2), ("actions", 3), ("loans", 3))
    assert played(timedelta(), *came) == [list(came[:2]), list(came[2:4]), [came[4]]]
    assert played(timedelta()) == []


def test_in_a_slice_events_go_first() -> None:
    came = (("actions", 0), ("loans", 999), ("actions", 1000), ("loans", 1500))
    assert played(timedelta(seconds=1), *came) == [[came[1]], [came[0]], [came[3]], [came[2]]]


@pytest.mark.parametrize("length", [timedelta(), timedelta(seconds=10)])
def test_no_more_events_are_held_than_fit(monkeypatch: pytest.MonkeyPatch, length: timedelta) -> None:
    monkeypatch.setattr(restore, "AT_ONCE", 2)
    came = (("actions", 0), *(("loans", at) for at in range(1, 6)))
    loans = [list(came[1:3]), list(came[3:5]), [came[5]]]
    assert played(length, *came) == ([*loans, [came[0]]] if length else [[came[0]], *loans])


def test_partitions_are_merged_by_time_and_keep_their_order(tmp_path: Path) -> None:
    records = [
        record("loans", at, partition, offset) for partition, offset, at in ((0, 0, 5), (0, 1, 4), (1, 0, 1), (1, 1, 6))
    ]
    store(tmp_path, *records, record("actions", 6))
    found = list(archived(tmp_path, "actions", "loans"))
    assert [(one.topic, one.partition, one.offset) for one in found] == [
        ("loans", 1, 0), ("loans", 0, 0), ("loans", 0, 1), ("actions", 0, 0), ("loans", 1, 1),
    ]  # fmt: skip
    assert found[0] == records[2]
    ahead = archived(tmp_path, "loans", "actions", lead={"actions": 2})
    assert [one.topic for one in ahead] == ["loans", "actions", "loans", "loans", "loans"]
    assert found[0].place == "loans/1/0"


def test_what_was_mended_or_came_from_the_future_is_left_out(tmp_path: Path) -> None:
    codec = Codec()
    letters = [
        DeadLetter(
            dead_letter_id=place,
            source_topic="loans",
            source_partition=0,
            source_offset=number,
            source_key="B",
            reason=reason,
            field="event_time",
            detail="x",
            raw=None,
            refused_at=NOON,
        )
        for number, (place, reason) in enumerate(
            (("loans/0/0", "in_the_future"), ("loans/0/1", "in_the_future"), ("loans/0/2", "too_late"))
        )
    ]
    redrives = [
        Redrive(
            dead_letter_id=place, state=state, by="li", at=NOON, repaired=True, topic="loans", partition=0, offset=9
        )
        for place, state in (("loans/0/1", "sent"), ("loans/0/2", "claimed"))
    ]
    for topic, ones in (("dead-letters", letters), ("redrives", redrives)):
        for offset, one in enumerate(ones):
            value, headers = codec.encode(topic, one)
            store(tmp_path, Archived(topic, 0, offset, 0, one.key.encode(), value, tuple(headers)))
    left_out = left_out_of(tmp_path)
    assert left_out.mended == {"loans/0/1"}
    assert left_out.future == {"loans/0/0"}
    assert left_out.places == {"loans/0/0", "loans/0/1"}


def test_what_differs_is_named(tmp_path: Path) -> None:
    same = outcome(tmp_path, {"warnings": set(), "cases": set()})
    assert same.same
    found = outcome(tmp_path, {"warnings": {"w2", "w1"}, "cases": set()})
    assert not found.same
    assert found.extra == {"warnings": ["w1", "w2"], "cases": []}


def test_a_folder_without_a_manifest_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(LiandongError, match="is no whole archive"):
        read_manifest(tmp_path)
