"""The published schemas are those of this release, and say what the codec does."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from connectors.codec import encode
from connectors.schemas import FILES, asyncapi, generate, topic_schema
from connectors.topics import TOPICS
from tests.data import ROOT
from tests.golden.test_refused_values import CASES, VALID, put
from tests.unit.test_codec import VALUES

SCHEMAS = {name: topic_schema(spec) for name, spec in TOPICS.items()}
# What a schema of JSON cannot say, or says only where `format` is checked.
BEYOND_SCHEMA = {
    "not_a_time",
    "naive_time",
    "out_of_range",
    "control_character",
    "too_many_places",
    "too_large",
    "unknown_currency",
    "not_a_number",
}


def validator(topic: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMAS[topic])


def test_the_files_are_up_to_date() -> None:
    assert FILES.drifted(ROOT / "deploy" / "schemas") == [], "run: python -m connectors.schemas --write"


def test_generating_twice_gives_the_same() -> None:
    assert generate() == generate()


@pytest.mark.parametrize("topic", TOPICS)
def test_each_is_a_valid_schema(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[topic])


@pytest.mark.parametrize(("topic", "value"), VALUES)
def test_what_the_codec_writes_the_schema_takes(topic: str, value: Any) -> None:
    validator(topic).validate(json.loads(encode(topic, value)[0]))


@pytest.mark.parametrize("topic", VALID)
def test_what_the_codec_takes_the_schema_takes(topic: str) -> None:
    validator(topic).validate(VALID[topic][0])


@pytest.mark.parametrize(
    ("topic", "field", "token"),
    [pytest.param(*case[1:4], id=case[0]) for case in CASES if case[4] not in BEYOND_SCHEMA],
)
def test_what_the_codec_refuses_the_schema_refuses(topic: str, field: str, token: str) -> None:
    assert not validator(topic).is_valid(json.loads(put(VALID[topic][0], field, token)))


@pytest.mark.parametrize("token", ['"1,000.00"', '"1_000"', '" 12 "', '"+5"', '""', '"NaN"', '"\uff11"', '"\u0661"'])
def test_amounts_that_are_no_numbers_are_refused_by_the_schema(token: str) -> None:
    event = json.loads(put(VALID["transactions"][0], "amount", token))
    assert not validator("transactions").is_valid(event)


def test_the_asyncapi_page_names_every_topic_its_key_and_its_schema() -> None:
    page = yaml.safe_load((ROOT / "deploy" / "schemas" / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert page == asyncapi()
    assert page["asyncapi"] == "3.0.0"
    assert set(page["channels"]) == set(TOPICS)
    for channel in page["channels"].values():
        for reference in channel["messages"].values():
            message = page["components"]["messages"][reference["$ref"].rpartition("/")[2]]
            assert message["bindings"]["kafka"]["key"]["description"]
            file, _, part = message["payload"]["$ref"].partition("#/$defs/")
            schema = json.loads((ROOT / "deploy" / "schemas" / file).read_text(encoding="utf-8"))
            assert not part or part in schema["$defs"]


def test_the_command_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert FILES.main(["--check", "--folder", str(tmp_path)]) == 1
    assert FILES.main(["--write", "--folder", str(tmp_path)]) == 0
    assert FILES.main(["--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "loans.schema.json").write_text("{}")
    (tmp_path / "gossip.schema.json").write_text("{}")
    capsys.readouterr()
    assert FILES.main(["--check", "--folder", str(tmp_path)]) == 1
    assert [line.rpartition("/")[2] for line in capsys.readouterr().out.splitlines()] == [
        "gossip.schema.json",
        "loans.schema.json",
    ]
    assert FILES.main(["--write", "--folder", str(tmp_path)]) == 0
    assert not (tmp_path / "gossip.schema.json").exists()
