"""A case as a file: all that it rests on and all that was done, escaped, the same whenever it is made."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from connectors.account_texts import Language
from connectors.reports.case_file import CaseFile, as_json, as_page, case_file
from tests.make import report, transaction
from tests.response import HOUR, MONDAY, POLICY, REASON, Desk, action, warning


@pytest.fixture
def file() -> CaseFile:
    desk = Desk()
    told = warning(event_ids=("e1", "e2", "gone"), reasons=(REASON,))
    desk.take(told, replace(told, revision=2, event_time=MONDAY + HOUR))
    desk.take(action("acknowledge", MONDAY + 2 * HOUR), action("complete", MONDAY + 3 * HOUR, note="<b>客户</b>已说明"))
    events: dict[str, list[Any]] = {
        "transactions": [
            transaction("e2", MONDAY, "310000", customer_id="C42"),
            transaction("e1", MONDAY - HOUR, "310000", customer_id="C42", payee="<script>"),
            transaction("e1", MONDAY - HOUR, "310000", customer_id="C42", payee="<script>"),
            transaction("e2", MONDAY, "1", customer_id="somebody-else"),
            transaction("x", MONDAY, "1", customer_id="C42"),
        ],
        "reports": [report("r1", MONDAY)],
    }
    return case_file(desk.case(), [told, replace(told, revision=2), warning(warning_id="other")], events)


def test_it_holds_what_the_warnings_name_once_and_says_what_is_gone(file: CaseFile) -> None:
    assert [(one.warning_id, one.revision) for one in file.warnings] == [("w1", 2)]
    assert [one.event_id for one in file.evidence["transactions"]] == ["e1", "e2"]
    assert {one.customer_id for one in file.evidence["transactions"]} == {"C42"}
    assert set(file.evidence) == {"transactions"}
    assert file.missing == ("gone",)
    assert file.broken_at is None


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            ("Case file customer:C42#1", "2 transactions sum to", "The history is whole", "310,000 CNY", "completed"),
        ),
        ("zh", ("案件档案", "合计620000 CNY。", "经过完整", "柜员上报", "协助调查客户交易")),
    ],
)
def test_the_page_tells_it_and_what_comes_from_outside_is_no_markup(
    file: CaseFile, language: Language, words: tuple[str, ...]
) -> None:
    page = as_page(file, POLICY, language)
    for word in words:
        assert word in page
    assert "<script>" not in page
    assert "&lt;b&gt;客户&lt;/b&gt;已说明" in page
    assert "src=" not in page


def test_a_history_that_was_changed_is_said_so(file: CaseFile) -> None:
    entries = file.case.history
    forged = replace(file.case, history=(*entries[:1], replace(entries[1], detail="x"), *entries[2:]))
    changed = case_file(forged, [], {})
    assert changed.broken_at == 1
    assert "it breaks at line 2" in as_page(changed, POLICY, "en")


def test_the_json_has_everything_and_is_always_the_same(file: CaseFile) -> None:
    text = as_json(file)
    found = msgspec.json.decode(text)
    assert found["case"]["case_id"] == "customer:C42#1"
    assert found["evidence"]["transactions"][0]["event_id"] == "e1"
    later = replace(file, evidence=dict(reversed(file.evidence.items())))
    assert as_json(later) == text
