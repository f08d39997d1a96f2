"""The catalogue of topics keeps its own promises."""

import re

from connectors.topics import MAX_INPUT_BYTES, MAX_OUTPUT_BYTES, TOPICS, changelogs
from models.events import Event
from streams.outbox import ATOMIC_BYTES


def test_every_topic_of_the_contract_is_there() -> None:
    assert list(TOPICS) == [
        "transactions",
        "reports",
        "loans",
        "capital",
        "actions",
        "policy",
        "rates",
        "watch-list",
        "mutes",
        "reevaluations",
        "portfolio.deltas",
        "suspensions",
        "reviews",
        "resamples",
        "proofs",
        "case-links",
        "activity",
        "warnings",
        "warnings.credit",
        "warnings.operations",
        "warnings.it",
        "warnings.clearing",
        "warnings.product",
        "cases",
        "cases.confidential",
        "portfolio",
        "dead-letters",
        "redrives",
    ]


def test_names_are_legal_and_cannot_collide_in_a_brokers_metrics() -> None:
    assert all(re.fullmatch(r"[a-z][a-z.-]{0,200}", name) for name in TOPICS)
    assert len({name.replace(".", "_") for name in TOPICS}) == len(TOPICS)


def test_inputs_are_stamped_by_the_broker_and_made_of_events() -> None:
    inputs = [spec for spec in TOPICS.values() if spec.direction == "input"]
    assert [spec.name for spec in inputs] == ["transactions", "reports", "loans", "capital", "actions"]
    for spec in inputs:
        assert spec.configs["message.timestamp.type"] == "LogAppendTime"
        assert issubclass(spec.schema, Event)
        assert "compact" not in spec.configs["cleanup.policy"]  # an input is history: none of it may be overwritten


def test_reference_data_is_compacted_and_made_of_events() -> None:
    references = [spec for spec in TOPICS.values() if spec.direction == "reference"]
    assert [spec.name for spec in references] == ["policy", "rates", "watch-list", "mutes"]
    for spec in references:
        assert spec.compacted
        assert spec.configs["message.timestamp.type"] == "LogAppendTime"  # tells what came after the events it governs
        assert issubclass(spec.schema, Event)


def test_only_what_is_current_state_is_compacted() -> None:
    current = [spec.name for spec in TOPICS.values() if spec.compacted and spec.direction != "reference"]
    proofs = ["reviews", "resamples", "proofs"]
    assert current == ["suspensions", *proofs, "cases", "cases.confidential", "portfolio", "redrives"]


def test_the_dead_letter_of_the_largest_record_fits() -> None:
    assert MAX_INPUT_BYTES * 4 / 3 + 100_000 < MAX_OUTPUT_BYTES
    assert int(TOPICS["dead-letters"].configs["max.message.bytes"]) == MAX_OUTPUT_BYTES


def test_a_type_has_one_name_and_version_everywhere() -> None:
    names: dict[str, type] = {}
    for spec in TOPICS.values():
        for message in spec.messages:
            assert names.setdefault(message.ce_type, message.struct) is message.struct
            assert re.fullmatch(r"liandong\.[a-z-]+\.v[0-9]+", message.ce_type)


def test_changelogs_are_compacted_and_have_room_for_a_batch() -> None:
    specs = changelogs(["liandong-customers-changelog"])
    spec = specs["liandong-customers-changelog"]
    assert spec.compacted
    assert int(spec.configs["max.message.bytes"]) > ATOMIC_BYTES
