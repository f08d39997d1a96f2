"""What the contract refuses, each with a permanent id, its reason and the field that is named."""

import json
from typing import Any

import pytest

from connectors.codec import Undecodable, decode

TRANSACTION: dict[str, Any] = {
    "event_id": "T1",
    "event_time": "2026-03-02T10:00:00+08:00",
    "customer_id": "C42",
    "customer_kind": "person",
    "account_id": "A1",
    "direction": "in",
    "amount": "149937.29",
    "currency": "CNY",
    "method": "transfer",
    "counterparty": {"account_id": "B1", "name": "张三", "country": "CN"},
    "controls": {"identity_verified": True, "approved_by": ["E7"]},
}
REPORT: dict[str, Any] = {
    "report_id": "R1",
    "event_time": "2026-03-02T02:00:00Z",
    "reporter": {"employee_id": "E1", "post": "teller", "branch_id": "0731"},
    "kind": "doubtful_document",
    "customer_id": "C42",
    "transaction_ids": ["T1"],
}
LOAN: dict[str, Any] = {
    "event_id": "L1",
    "event_time": "2026-03-02T10:00:00+08:00",
    "entity": "BANK1",
    "loan_id": "LN1",
    "borrower_id": "B1",
    "kind": "disbursed",
    "industry": "K70",
    "amount": 100000.5,
    "currency": "CNY",
}
CAPITAL: dict[str, Any] = {"entity": "BANK1", "as_of": "2026-01-01", "net_capital": "9000000", "tier1_capital": 8000000}
ACTION: dict[str, Any] = {
    "action_id": "X1",
    "event_time": "2026-03-02T10:00:00+08:00",
    "case_id": "customer:C42#1",
    "actor": {"employee_id": "E7", "department": "operations"},
    "kind": "acknowledge",
}
VALID = {
    "transactions": (TRANSACTION, b"C42"),
    "reports": (REPORT, b"C42"),
    "loans": (LOAN, b"B1"),
    "capital": (CAPITAL, b"BANK1"),
    "actions": (ACTION, b"customer:C42"),
}
GONE = "(left out)"


def put(event: dict[str, Any], path: str, token: str) -> bytes:
    """The event as JSON, with one field's value replaced by a piece of JSON text, or the field left out."""
    copy = json.loads(json.dumps(event))
    *parents, name = path.split(".")
    place = copy
    for parent in parents:
        place = place[parent]
    if token == GONE:
        del place[name]
        return json.dumps(copy, ensure_ascii=False).encode()
    place[name] = "@@"
    return json.dumps(copy, ensure_ascii=False).replace('"@@"', token).encode()


@pytest.mark.parametrize("topic", VALID)
def test_the_events_that_the_cases_start_from_are_taken(topic: str) -> None:
    event, key = VALID[topic]
    assert decode(topic, key, json.dumps(event).encode()).key.encode() == key


# (id, topic, field, JSON text put there, reason). The ids stay; a case that no longer holds is a change of contract.
CASES = [
    ("RV-001", "transactions", "amount", "1e400", "too_large"),
    ("RV-002", "transactions", "amount", "NaN", "not_a_number"),
    ("RV-003", "transactions", "amount", '"NaN"', "not_a_number"),
    ("RV-004", "transactions", "amount", "Infinity", "not_a_number"),
    ("RV-005", "transactions", "amount", "-Infinity", "not_a_number"),
    ("RV-006", "transactions", "amount", '"Infinity"', "not_a_number"),
    ("RV-007", "transactions", "amount", '"\uff11\uff12"', "not_a_number"),  # full-width 12
    ("RV-008", "transactions", "amount", '"\u0661\u0662"', "not_a_number"),  # Arabic 12
    ("RV-009", "transactions", "amount", '"1,000.00"', "not_a_number"),
    ("RV-010", "transactions", "amount", "null", "null"),
    ("RV-011", "transactions", "amount", GONE, "missing"),
    ("RV-012", "transactions", "amount", '"1_000"', "not_a_number"),
    ("RV-013", "transactions", "amount", '" 12 "', "not_a_number"),
    ("RV-014", "transactions", "amount", '"+5"', "not_a_number"),
    ("RV-015", "transactions", "amount", '""', "not_a_number"),
    ("RV-016", "transactions", "amount", '"sNaN"', "not_a_number"),
    ("RV-017", "transactions", "amount", "0", "not_positive"),
    ("RV-018", "transactions", "amount", '"-5.00"', "not_positive"),
    ("RV-019", "transactions", "amount", '"0.001"', "too_many_places"),
    ("RV-020", "transactions", "amount", "1.000", "too_many_places"),
    ("RV-021", "transactions", "amount", "1e15", "too_large"),
    ("RV-022", "transactions", "amount", "9" * 100_000, "too_large"),
    ("RV-023", "transactions", "amount", "true", "wrong_type"),
    ("RV-024", "transactions", "amount", "[1]", "wrong_type"),
    ("RV-025", "transactions", "amount", "05", "not_a_number"),
    ("RV-026", "transactions", "amount", '"1e999999999999999999999"', "not_a_number"),
    ("RV-027", "transactions", "amount", '"\\uff11"', "not_a_number"),
    ("RV-028", "transactions", "amount", '"1\\u200b"', "not_a_number"),
    ("RV-029", "transactions", "amount", '"1e400"', "too_large"),
    ("RV-030", "transactions", "event_time", '"2026-03-02T10:00:00"', "naive_time"),
    ("RV-031", "transactions", "event_time", '"2026-02-30T10:00:00Z"', "not_a_time"),
    ("RV-032", "transactions", "event_time", '"02.03.2026 10:00"', "not_a_time"),
    ("RV-033", "transactions", "event_time", "1772416800", "wrong_type"),
    ("RV-034", "transactions", "event_time", '"9999-12-31T23:59:59-08:00"', "out_of_range"),
    ("RV-035", "transactions", "event_time", '"0001-01-01T00:00:00+08:00"', "out_of_range"),
    ("RV-036", "transactions", "event_time", "null", "null"),
    ("RV-037", "transactions", "event_time", GONE, "missing"),
    ("RV-038", "transactions", "event_time", '"2026-03-02T24:00:00Z"', "not_a_time"),
    ("RV-040", "transactions", "event_id", '""', "blank"),
    ("RV-041", "transactions", "event_id", '"   "', "blank"),
    ("RV-042", "transactions", "event_id", '"\u3000"', "blank"),  # an ideographic blank
    ("RV-043", "transactions", "event_id", '"\\t"', "blank"),
    ("RV-044", "transactions", "event_id", '"T\\u0000"', "control_character"),
    ("RV-045", "transactions", "event_id", '"T\\n1"', "control_character"),
    ("RV-046", "transactions", "event_id", '"T\u200b1"', "control_character"),  # zero width
    ("RV-047", "transactions", "event_id", '"T\u202e1"', "control_character"),  # right to left
    ("RV-048", "transactions", "event_id", '"T\x7f"', "control_character"),
    ("RV-049", "transactions", "event_id", "5", "wrong_type"),
    ("RV-050", "transactions", "event_id", json.dumps("x" * 201), "too_long"),
    ("RV-051", "transactions", "event_id", "null", "null"),
    ("RV-052", "transactions", "event_id", GONE, "missing"),
    ("RV-060", "transactions", "counterparty.country", '"cn"', "malformed"),
    ("RV-061", "transactions", "counterparty.account_id", '" "', "blank"),
    ("RV-062", "transactions", "counterparty.name", '"a\\u0000"', "control_character"),
    ("RV-063", "transactions", "counterparty", "5", "wrong_type"),
    ("RV-064", "transactions", "controls.approved_by", '["E1", 5]', "wrong_type"),
    ("RV-065", "transactions", "controls.approved_by", '["E1", " "]', "blank"),
    ("RV-066", "transactions", "controls.identity_verified", '"yes"', "wrong_type"),
    ("RV-070", "transactions", "direction", '"up"', "unknown_value"),
    ("RV-071", "transactions", "customer_kind", "null", "null"),
    ("RV-072", "transactions", "currency", '"RMB"', "unknown_currency"),
    ("RV-073", "transactions", "currency", '"cny"', "malformed"),
    ("RV-074", "transactions", "currency", '"CNY\\n"', "unknown_currency"),
    ("RV-075", "transactions", "cross_border", "1", "wrong_type"),
    ("RV-080", "reports", "kind", '"gossip"', "unknown_value"),
    ("RV-081", "reports", "reporter.employee_id", GONE, "missing"),
    ("RV-082", "reports", "reporter", "null", "null"),
    ("RV-083", "reports", "narrative", json.dumps("x" * 10_001), "too_long"),
    ("RV-084", "reports", "transaction_ids", '["T1", ""]', "blank"),
    ("RV-090", "loans", "amount", GONE, "missing"),
    ("RV-091", "loans", "amount", "null", "missing"),  # null is no amount, and a disbursement needs one
    ("RV-092", "loans", "amount", '"\uff11"', "not_a_number"),
    ("RV-093", "loans", "days_past_due", "-1", "out_of_range"),
    ("RV-094", "loans", "days_past_due", "1.5", "wrong_type"),
    ("RV-095", "loans", "classification", '"bad"', "unknown_value"),
    ("RV-100", "capital", "net_capital", '"1_000"', "not_a_number"),
    ("RV-101", "capital", "tier1_capital", '"NaN"', "not_a_number"),
    ("RV-102", "capital", "tier1_capital", "0", "not_positive"),
    ("RV-103", "capital", "as_of", '"2026-02-30"', "not_a_time"),
    ("RV-104", "capital", "as_of", '"9999-12-31"', "out_of_range"),
    ("RV-110", "actions", "case_id", '"customer:C42"', "malformed"),
    ("RV-111", "actions", "kind", '"forget"', "unknown_value"),
    ("RV-112", "actions", "actor.department", '""', "blank"),
]


@pytest.mark.parametrize(("topic", "field", "token", "reason"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_refused(topic: str, field: str, token: str, reason: str) -> None:
    event, key = VALID[topic]
    with pytest.raises(Undecodable) as refusal:
        decode(topic, key, put(event, field, token))
    assert (refusal.value.reason, refusal.value.field) == (reason, field)
    assert refusal.value.detail


WHOLE = [
    ("RV-200", b"", "empty"),
    ("RV-201", None, "empty"),
    ("RV-202", b"not json", "not_json"),
    ("RV-203", b"[]", "not_an_object"),
    ("RV-204", b"null", "not_an_object"),
    ("RV-205", b'"text"', "not_an_object"),
    ("RV-206", b"\xff\xfe{}", "not_utf8"),
    ("RV-207", json.dumps(TRANSACTION).encode()[:-1], "not_json"),
    ("RV-208", json.dumps(TRANSACTION).encode() + b"{}", "not_json"),
    ("RV-209", b"\xef\xbb\xbf" + json.dumps(TRANSACTION).encode(), "not_json"),  # a byte order mark
    ("RV-210", b"[" * 100_000, "not_an_object"),
    ("RV-211", b'{"a":' * 100_000, "too_deep"),
    ("RV-212", b'{"zzz":' + b"[" * 100_000, "too_deep"),
    ("RV-213", b"\x00" * 2_000_000, "too_long"),
    ("RV-214", json.dumps(TRANSACTION).encode()[:-1] + b', "more": "\xff"}', "not_utf8"),
    ("RV-215", json.dumps(TRANSACTION).encode("utf-16"), "not_utf8"),
    ("RV-217", b'{"amount": "1_0", "x": ' + b"[" * 100_000, "too_deep"),
    ("RV-216", json.dumps(TRANSACTION | {"event_id": "\ud800"}).encode(), "not_json"),  # half a character
]


@pytest.mark.parametrize(("value", "reason"), [pytest.param(*case[1:], id=case[0]) for case in WHOLE])
def test_refused_as_a_whole(value: bytes | None, reason: str) -> None:
    with pytest.raises(Undecodable) as refusal:
        decode("transactions", b"C42", value)
    assert (refusal.value.reason, refusal.value.field) == (reason, "")


KEYS = [
    ("RV-300", "transactions", None, "customer_id"),
    ("RV-301", "transactions", b"", "customer_id"),
    ("RV-302", "transactions", b"C43", "customer_id"),
    ("RV-303", "transactions", b"C42 ", "customer_id"),
    ("RV-304", "transactions", b"\xff", "customer_id"),
    ("RV-305", "reports", b"0731", "customer_id"),
    ("RV-306", "actions", b"customer:C42#1", "case_id"),
]


@pytest.mark.parametrize(("topic", "key", "field"), [pytest.param(*case[1:], id=case[0]) for case in KEYS])
def test_refused_for_its_key(topic: str, key: bytes | None, field: str) -> None:
    with pytest.raises(Undecodable) as refusal:
        decode(topic, key, json.dumps(VALID[topic][0]).encode())
    assert (refusal.value.reason, refusal.value.field) == ("key_mismatch", field)
