"""Confidential cases: whole on a topic of their own, a sign that they are there for everybody else."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors import cases as connector
from models.policy import Confidential
from models.response.confidential import is_stub
from streams.cli import app
from streams.commands import cases as command
from streams.commands import keeping
from tests.data import ROOT
from tests.response import HOUR, MONDAY, POLICY, SUBJECT, Desk, action, warning

CASE = f"{SUBJECT}#1"


def of_compliance(kind: str, hours: float = 1, **fields: Any) -> Any:
    values = {"department": "risk", "role": "compliance", "who": "kai"}
    return action(kind, MONDAY + hours * HOUR, **values | fields)


def restricted() -> Desk:
    desk = Desk()
    desk.take(warning())
    desk.take(of_compliance("restrict", note="an employee is involved"))
    return desk


def test_a_restricted_case_is_whole_on_its_own_topic_and_a_stub_elsewhere() -> None:
    desk = restricted()
    whole, stub = desk.confidential[CASE], desk.cases[CASE]
    assert is_stub(stub)
    assert not is_stub(whole)
    assert whole.confidential
    assert whole.history[-1].kind == "restricted"
    assert (stub.warnings, stub.tasks, stub.history, stub.head) == ((), (), (), "")
    assert (stub.case_id, stub.state, stub.severity, stub.revision) == (CASE, "open", "medium", whole.revision)
    assert "employee" not in repr(stub)


def test_work_goes_on_and_stays_hidden() -> None:
    desk = restricted()
    desk.take(action("acknowledge", MONDAY + 2 * HOUR), action("complete", MONDAY + 3 * HOUR))
    assert desk.confidential[CASE].state == desk.cases[CASE].state == "resolved"
    assert is_stub(desk.cases[CASE])


def test_a_released_case_is_whole_for_everybody_again() -> None:
    desk = restricted()
    desk.take(of_compliance("release", 2))
    assert not is_stub(desk.cases[CASE])
    assert is_stub(desk.confidential[CASE])
    assert [entry.kind for entry in desk.cases[CASE].history][-2:] == ["restricted", "released"]


@pytest.mark.parametrize("kind", ["restrict", "release"])
def test_only_named_roles_may(kind: str) -> None:
    desk = Desk()
    desk.take(warning(), action(kind, MONDAY + HOUR, role="officer"))
    (refused,) = desk.refused
    assert (refused.reason, refused.field) == ("role", "actor.role")
    assert f"{kind} is for compliance, head-of-risk" in refused.detail


def test_twice_is_once_too_often() -> None:
    desk = restricted()
    desk.take(of_compliance("restrict", 2), of_compliance("release", 3), of_compliance("release", 4))
    assert [one.detail for one in desk.refused] == [
        f"{CASE} is confidential already",
        f"{CASE} is not confidential already",
    ]


def test_a_detector_of_which_the_policy_says_so_makes_its_case_confidential() -> None:
    rule = Confidential(detectors=("suspicious_counterparty",), roles=("compliance",))
    desk = Desk(replace(POLICY, response=replace(POLICY.response, confidential=rule)))
    desk.take(warning())
    assert not desk.cases[CASE].confidential
    desk.take(warning(warning_id="w2", detector="suspicious_counterparty"))
    assert is_stub(desk.cases[CASE])
    assert desk.confidential[CASE].history[-1].warning_id == "w2"
    assert "for compliance" in desk.confidential[CASE].history[-1].detail


def test_a_case_that_was_never_confidential_stands_on_one_topic() -> None:
    desk = Desk()
    desk.take(warning())
    assert desk.confidential == {}


# --- who sees what ---


class Topics:
    def __init__(self, **held: list[Any]) -> None:
        self._held = held

    def __call__(self, _: object) -> "Topics":
        return self

    def __enter__(self) -> "Topics":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def events(self, topic: str) -> Iterator[tuple[None, Any]]:
        return ((None, one) for one in self._held[topic])


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))
    made = restricted()
    held = {"cases": list(made.cases.values()), "cases.confidential": list(made.confidential.values())}
    monkeypatch.setattr(connector, "TopicReader", Topics(**held))
    monkeypatch.setattr(keeping, "with_broker", lambda settings: settings)
    monkeypatch.setattr(command, "first_policy", lambda settings: POLICY)
    return made


def ask(*args: str, role: str = "") -> Result:
    return CliRunner().invoke(app, list(args), env={"LIANDONG_ROLE": role})


def test_whoever_has_no_such_role_sees_that_it_is_there(desk: Desk) -> None:
    listed = ask("case", "list", role="officer")
    assert "confidential" in listed.stdout
    assert "operations" not in listed.stdout
    for args in (("case", "show", CASE), ("audit", CASE), ("case", "file", CASE)):
        shown = ask(*args, role="officer")
        assert shown.exit_code == 1
        assert f"{CASE} is confidential: it is for compliance, head-of-risk" in shown.stderr


def test_whoever_has_sees_it_whole(desk: Desk) -> None:
    shown = ask("case", "show", CASE, role="compliance")
    assert shown.exit_code == 0, shown.output
    assert "an employee is involved" in shown.stdout
    assert "operations" in ask("case", "list", role="compliance").stdout
    assert "is whole" in ask("audit", CASE, role="head-of-risk").stdout
