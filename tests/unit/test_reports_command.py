"""`liandong reports`: what becomes of a report, from its receipt to its outcome."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from models.events import PostReport
from models.response.case import Case
from models.response.confidential import stub
from models.response.outcome import ReportOutcome, outcomes
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
    assert (done.warning_id, done.measures) == ("w1", ("investigate_transactions",))
    dismissed = state_after("acknowledge", "dismiss", "approve")
    assert (dismissed.state, dismissed.measures) == ("dismissed", ())


def worked(*kinds: str) -> Case:
    """A case of the report's warning that is for operations alone."""
    desk = Desk()
    desk.take(replace(TOLD, departments=("operations",)))
    for number, kind in enumerate(kinds, 1):
        desk.take(action(kind, MONDAY + number * HOUR, who=f"e{number}"))
    (case,) = desk.cases.values()
    return replace(case, confidential=True)


@pytest.mark.parametrize("seen", [lambda case: case, stub])
@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ((), "handled"),
        (("acknowledge",), "handled"),
        (("acknowledge", "complete"), "closed"),
        (("acknowledge", "dismiss", "approve"), "closed"),
    ],
)
def test_of_a_confidential_case_nothing_but_its_state_is_told(seen: Any, kinds: tuple[str, ...], state: str) -> None:
    (one,) = outcomes([FILED], {TOLD.warning_id: TOLD}, [seen(worked(*kinds))])
    assert one == ReportOutcome(
        report_id="R1",
        filed_at=MONDAY,
        kind="abnormal_transaction",
        about="customer:C42",
        state=state,  # type: ignore[arg-type]
        confidential=True,
    )


def test_a_confidential_case_that_was_closed_before_the_report_is_not_its_own() -> None:
    closed = stub(worked("acknowledge", "complete"))
    later = replace(TOLD, event_time=MONDAY + 3 * HOUR)
    (one,) = outcomes([FILED], {"w1": later}, [closed])
    assert (one.state, one.confidential) == ("received", False)
    follows = replace(closed, case_id="customer:C42#2", number=2, state="open", resolved_at=None)
    (one,) = outcomes([FILED], {"w1": later}, [follows, closed])
    assert (one.state, one.confidential) == ("handled", True)


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "branch:B1", "event_ids": ("R1",)},
        {"detector": "large_transaction", "event_ids": ("R1",)},  # a transaction of the same id
        {"event_ids": ("R0", "R1")},
    ],
)
def test_another_warning_in_which_the_report_is_mentioned_is_not_its_own(fields: dict[str, Any]) -> None:
    other = replace(TOLD, warning_id="w9", **fields)
    (none,) = outcomes([FILED], {"w9": other}, [])
    assert (none.state, none.warning_id) == ("received", None)
    for told in ({"w1": TOLD, "w9": other}, {"w9": other, "w1": TOLD}):
        (one,) = outcomes([FILED], told, [])
        assert one.warning_id == "w1"


def test_the_newest_report_comes_first_and_each_kind_has_its_own_warning() -> None:
    fault = report("R2", MONDAY + HOUR, kind="system_fault", customer_id=None)
    told = warning(warning_id="w2", detector="system_fault", subject="branch:0731", event_ids=("R2",))
    found = outcomes([FILED, fault], {"w1": TOLD, "w2": told}, [])
    assert [(one.report_id, one.warning_id) for one in found] == [("R2", "w2"), ("R1", "w1")]


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
    assert english.stdout.splitlines() == [
        "R1  2026-03-02 10:00  abnormal transaction  customer:C42",
        "  state: in work",
        "  warning: w1",
        "  case: customer:C42#1",
        "  acknowledged: operations 2026-03-02 11:00",
        "  waiting for: operations, risk",
    ]
    assert chinese.stdout.splitlines() == [
        "R1  2026-03-02 10:00  异常交易  customer:C42",
        "  状态: 处理中",
        "  预警: w1",
        "  案件: customer:C42#1",
        "  已确认: 运营部 2026-03-02 11:00",
        "  待办部门: 运营部、风险部",
    ]
    assert [one["report_id"] for one in msgspec.json.decode(ask("--by", "T8", "--format", "json").stdout)] == ["R2"]


def test_what_is_not_there_is_said(filed: list[PostReport]) -> None:
    assert "no report by T9" in ask("--by", "T9").stdout
    assert "T9没有上报记录" in ask("--by", "T9", "-l", "zh").stdout
    assert "there is no report R9" in ask("--report", "R9").stdout
    wrong = ask()
    assert wrong.exit_code == 1
    assert "say whose reports, or which one" in wrong.stderr
