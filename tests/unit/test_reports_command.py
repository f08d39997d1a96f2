"""`liandong reports`: what becomes of a report, from its receipt to its outcome."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from models.events import PostReport
from models.response.case import Case
from models.response.outcome import outcomes
from streams.cli import app
from streams.commands import keeping, reports
from tests.data import ROOT
from tests.make import report
from tests.response import HOUR, MONDAY, Desk, action, warning

FILED = report("R1", MONDAY, customer_id="C42")
TOLD = warning(event_ids=("R1", "t1"), departments=("operations", "risk"), measures=("investigate_transactions",))


def state_after(*kinds: str) -> Any:
    desk = Desk()
    desk.take(TOLD)
    for number, kind in enumerate(kinds, 1):
        desk.take(action(kind, MONDAY + number * HOUR, who=f"e{number}"))
        desk.take(action(kind, MONDAY + number * HOUR, who=f"e{number}", department="risk"))
    (one,) = outcomes([FILED], {TOLD.warning_id: TOLD}, desk.cases.values())
    return one


def test_from_its_receipt_to_its_outcome() -> None:
    (received,) = outcomes([FILED], {}, [])
    assert (received.state, received.about, received.case_id) == ("received", "customer:C42", None)
    assert state_after().state == "waiting"
    assert state_after().waiting_for == ("operations", "risk")
    begun = state_after("acknowledge")
    assert (begun.state, begun.acknowledged) == (
        "in_work",
        {"operations": MONDAY + HOUR, "risk": MONDAY + HOUR},
    )
    done = state_after("acknowledge", "complete")
    assert (done.state, done.resolved_at, done.waiting_for) == ("confirmed", MONDAY + 2 * HOUR, ())
    assert state_after("acknowledge", "dismiss", "approve").state == "dismissed"


def test_a_confidential_case_is_not_named() -> None:
    desk = Desk()
    desk.take(TOLD)
    secret = [replace(one, confidential=True) for one in desk.cases.values()]
    (one,) = outcomes([FILED], {TOLD.warning_id: TOLD}, secret)
    assert (one.state, one.case_id, one.waiting_for, one.confidential) == ("waiting", None, (), True)


def test_another_warning_in_which_the_report_is_mentioned_is_not_its_own() -> None:
    other = warning(warning_id="w9", subject="branch:B1", event_ids=("R1",))
    (one,) = outcomes([FILED], {"w9": other}, [])
    assert one.state == "received"


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
        return ((None, one) for one in self._held.get(topic, ()))


@pytest.fixture
def filed(monkeypatch: pytest.MonkeyPatch) -> list[PostReport]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))
    desk = Desk()
    desk.take(TOLD, action("acknowledge", MONDAY + HOUR))
    some = [FILED, replace(FILED, report_id="R2", reporter=replace(FILED.reporter, employee_id="T8"))]
    cases: dict[str, Case] = desk.cases
    monkeypatch.setattr(reports, "TopicReader", Topics(reports=some, warnings=[TOLD]))
    monkeypatch.setattr(reports, "read_cases", lambda *_, **__: cases)
    monkeypatch.setattr(keeping, "with_broker", lambda settings: settings)
    return some


def ask(*args: str) -> Result:
    return CliRunner().invoke(app, ["reports", *args])


def test_whoever_filed_it_sees_it_in_both_languages(filed: list[PostReport]) -> None:
    english, chinese = ask("--by", "T7"), ask("--report", "R1", "-l", "zh")
    assert english.exit_code == chinese.exit_code == 0, english.output
    assert "in work" in english.stdout
    assert "customer:C42#1" in english.stdout
    assert "处理中" in chinese.stdout
    assert [one["report_id"] for one in msgspec.json.decode(ask("--by", "T8", "--format", "json").stdout)] == ["R2"]


def test_what_is_not_there_is_said(filed: list[PostReport]) -> None:
    assert "no report by T9" in ask("--by", "T9").stdout
    assert "there is no report R9" in ask("--report", "R9").stdout
    wrong = ask()
    assert wrong.exit_code == 1
    assert "say whose reports, or which one" in wrong.stderr
