"""The codec: what goes out comes back, what is odd but right is taken, and no bytes make it raise anything else."""

import json
import sys
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codec import Codec, Undecodable, decode, encode
from connectors.topics import TOPICS
from models.dead_letter import DeadLetter
from models.events import Action, Actor, CapitalPosition, Transaction
from models.messages import WATERMARK_KEY, LoanDelta, LoanDeltas, LoanWatermark
from models.risk_warning import Reason, RiskWarning, Window
from tests.make import at, loan, report, transaction

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def warning(**fields: Any) -> RiskWarning:
    values: dict[str, Any] = {
        "warning_id": "0" * 32,
        "revision": 2,
        "detector": "large_transaction",
        "detector_version": 1,
        "policy_version": "cn-2026.1",
        "mode": "live",
        "severity": "low",
        "subject": "customer:C1",
        "departments": ("operations",),
        "reasons": (
            Reason(code="daily_sum", observed="50000", threshold="50000", unit="CNY", text_zh="大额", text_en="large"),
        ),
        "event_ids": ("T1",),
        "event_count": 1,
        "window": Window(NOON, NOON + timedelta(days=1)),
        "measures": ("verify_identity",),
        "event_time": NOON,
        "detected_at": NOON,
    }
    return RiskWarning(**(values | fields))


VALUES: list[tuple[str, Any]] = [
    ("transactions", transaction("T1", "2026-03-02 09:00", "149937.29", purpose="工资 \u3000 May")),
    ("reports", report("R1", "2026-03-02 09:00", transaction_ids=("T1", "T2"))),
    ("reports", report("R1", "2026-03-02 09:00", customer_id=None)),
    ("loans", loan("L1", "2026-03-02 09:00", "379446606.29")),
    ("loans", loan("L2", "2026-03-02 09:00", "1", kind="approved", real_estate="mortgage")),
    ("capital", CapitalPosition(entity="B", as_of=date(2026, 1, 1), net_capital=Decimal(9), tier1_capital=Decimal(8))),
    (
        "actions",
        Action(
            action_id="X1",
            event_time=NOON,
            case_id="customer:C1#1",
            actor=Actor(employee_id="E7", department="operations"),
            kind="complete",
        ),
    ),
    ("warnings", warning()),
    ("warnings.credit", warning(late=True, notify=True)),
    (
        "portfolio.deltas",
        LoanDeltas(
            entity="BANK1",
            loans_partition=3,
            deltas=(
                LoanDelta(
                    offset=9,
                    event_id="L1",
                    event_time=NOON,
                    member="K",
                    amount=Decimal("-5.50"),
                    loans=-1,
                    ingest_time=NOON,
                ),
            ),
        ),
    ),
    ("portfolio.deltas", LoanWatermark(loans_partition=3, loans_partitions=4, watermark=None)),
    (
        "dead-letters",
        DeadLetter(
            dead_letter_id="loans/1/7",
            source_topic="loans",
            source_partition=1,
            source_offset=7,
            source_key=None,
            reason="empty",
            field="",
            detail="the record has no value",
            raw=None,
            refused_at=NOON,
        ),
    ),
]


@pytest.mark.parametrize(("topic", "value"), VALUES)
def test_what_goes_out_comes_back(topic: str, value: Any) -> None:
    body, headers = encode(topic, value)
    assert decode(topic, value.key.encode(), body, headers) == value


@pytest.mark.parametrize(("topic", "value"), VALUES)
def test_the_headers_are_those_of_cloudevents(topic: str, value: Any) -> None:
    headers = dict(encode(topic, value)[1])
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] in {message.ce_type.encode() for message in TOPICS[topic].messages}
    assert headers["ce_source"] == b"/liandong"
    assert headers["content-type"] == b"application/json"
    assert headers["ce_id"]
    assert encode(topic, value)[1] == encode(topic, value)[1]


def test_ids_and_times_of_the_headers() -> None:
    headers = dict(encode("transactions", transaction("T1", "2026-03-02 09:00", "1"))[1])
    assert headers["ce_id"] == b"T1"
    assert headers["ce_time"] == b"2026-03-02T09:00:00+08:00"
    assert headers["ce_type"] == b"liandong.transaction.v1"
    assert dict(encode("warnings", warning())[1])["ce_id"] == b"0" * 32 + b".2"
    given_headers = dict(encode("warnings", warning(), event_id="W", time=NOON, source="/bank/core")[1])
    assert (given_headers["ce_id"], given_headers["ce_source"]) == (b"W", b"/bank/core")
    assert given_headers["ce_time"] == b"2026-03-02T04:00:00+00:00"


def test_a_topic_takes_its_own_types_alone() -> None:
    with pytest.raises(TypeError, match="loans does not carry Transaction"):
        encode("loans", transaction("T1", "2026-03-02 09:00", "1"))


def raw(**changes: Any) -> bytes:
    event = {
        "event_id": "T1",
        "event_time": "2026-03-02T10:00:00+08:00",
        "customer_id": "C42",
        "customer_kind": "person",
        "account_id": "A1",
        "direction": "in",
        "amount": "12.50",
        "currency": "CNY",
        "method": "cash",
    }
    return json.dumps(event | changes, ensure_ascii=False).encode()


def read(value: bytes, headers: Any = (), key: bytes = b"C42") -> Transaction:
    event = decode("transactions", key, value, headers)
    assert isinstance(event, Transaction)
    return event


@pytest.mark.parametrize(
    ("token", "amount"),
    [
        ('"149937.29"', "149937.29"),
        ("149937.29", "149937.29"),
        ("0.1", "0.1"),
        ("999999999999999.99", "999999999999999.99"),
        ("1e3", "1E+3"),
        ('"1E3"', "1E+3"),
        ('"\\u0031"', "1"),
        ("  7 ", "7"),
    ],
)
def test_money_is_exact_from_string_or_number(token: str, amount: str) -> None:
    event = read(raw().replace(b'"12.50"', token.encode()))
    assert str(event.amount) == amount


def test_places_are_those_of_the_currency() -> None:
    assert read(raw(amount="1.234", currency="KWD")).amount == Decimal("1.234")
    with pytest.raises(Undecodable) as refusal:
        read(raw(amount="1.5", currency="JPY"))
    assert refusal.value.reason == "too_many_places"


def test_unknown_fields_are_ignored_and_layout_does_not_matter() -> None:
    pretty = json.dumps(json.loads(raw(more={"deep": [1, {"amount": "NaN"}]})), indent=4).encode()
    assert read(pretty) == read(raw())


def test_the_last_of_two_equal_names_counts_for_money_too() -> None:
    twice = raw().replace(b'"amount": "12.50"', b'"amount": "1_0", "am\\u006funt": "3.00"')
    assert read(twice).amount == Decimal("3.00")
    with pytest.raises(Undecodable, match="not_a_number"):
        read(raw().replace(b'"amount": "12.50"', b'"amount": "3.00", "am\\u006funt": "1_0"'))


def test_texts_are_kept_in_nfc_however_they_are_written() -> None:
    composed, parted = "Jos\u00e9", "Jose\u0301"
    counterparty = {"account_id": parted, "name": parted}
    for value in (raw(counterparty=counterparty), json.dumps(json.loads(raw(counterparty=counterparty))).encode()):
        event = read(value)
        assert event.counterparty is not None
        assert (event.counterparty.account_id, event.counterparty.name) == (composed, composed)


def test_a_key_in_another_normal_form_is_refused_since_it_is_in_another_partition() -> None:
    composed, parted = "Jos\u00e9".encode(), "Jose\u0301".encode()
    value = raw(customer_id="Jose\u0301")
    assert read(value, key=composed).customer_id == "Jos\u00e9"
    with pytest.raises(Undecodable, match="write the key in NFC"):
        read(value, key=parted)


def test_ids_keep_inner_blanks_and_texts_keep_line_breaks() -> None:
    event = read(raw(account_id="A 1", purpose="first\nsecond\u200b"))
    assert (event.account_id, event.purpose) == ("A 1", "first\nsecond\u200b")


def test_headers_choose_nothing_where_there_are_none_or_foreign_ones() -> None:
    assert read(raw(), [("traceparent", b"00-1"), ("ce_type", b"com.bank.booking"), ("x", None)]) == read(raw())
    assert read(raw(), [("content-type", b"application/json; charset=utf-8")]) == read(raw())


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ce_type", b"liandong.transaction.v2", "unsupported_version"),
        ("ce_type", b"liandong.loan.v1", "wrong_type"),
        ("ce_specversion", b"0.3", "unsupported_version"),
        ("content-type", b"application/cloudevents+json", "unsupported_content"),
    ],
)
def test_headers_of_another_contract_are_refused(name: str, value: bytes, reason: str) -> None:
    with pytest.raises(Undecodable) as refusal:
        read(raw(), [("ce_id", b"1"), (name, value)])
    assert (refusal.value.reason, refusal.value.field) == (reason, name)


def test_a_watermark_is_told_from_an_entity_of_the_same_name_by_its_type() -> None:
    body, headers = encode("portfolio.deltas", LoanDeltas(entity=WATERMARK_KEY, loans_partition=0, deltas=()))
    assert isinstance(decode("portfolio.deltas", WATERMARK_KEY.encode(), body, headers), LoanDeltas)
    mark = LoanWatermark(loans_partition=0, loans_partitions=1, watermark=NOON)
    assert decode("portfolio.deltas", WATERMARK_KEY.encode(), encode("portfolio.deltas", mark)[0]) == mark


def test_a_naive_time_is_refused_on_every_topic() -> None:
    body = msgspec.json.encode(warning(window=Window(NOON, datetime(2026, 3, 3))))  # noqa: DTZ001 - what is tested
    with pytest.raises(Undecodable) as refusal:
        decode("warnings", b"customer:C1", body)
    assert (refusal.value.reason, refusal.value.field) == ("naive_time", "window.end")


def test_a_topic_outside_the_catalogue_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        decode("gossip", b"k", b"{}")


def test_a_codec_can_have_topics_of_its_own() -> None:
    spec = msgspec.structs.replace(TOPICS["loans"], name="loans.test")
    body, headers = Codec(topics=[spec]).encode("loans.test", loan("L1", "2026-03-02 09:00", "5"))
    assert Codec(topics=[spec]).decode("loans.test", b"B-L1", body, headers).loan_id == "L-L1"


# --- whatever the bytes ---

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields_of = {topic: tuple(TOPICS[topic].schema.__struct_fields__) for topic in TOPICS}
bodies = {topic: (value.key.encode(), json.loads(encode(topic, value)[0])) for topic, value in VALUES}


def decoded_or_refused(topic: str, key: bytes | None, value: bytes | None, headers: Any = ()) -> Any:
    try:
        return decode(topic, key, value, headers)
    except Undecodable:
        return None


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(sorted(TOPICS)),
    st.none() | st.binary(max_size=8),
    st.none() | st.binary(max_size=80),
    st.lists(st.tuples(st.sampled_from(["ce_type", "ce_specversion", "x"]), st.none() | st.binary(max_size=30))),
)
def test_any_bytes_are_an_event_or_refused(topic: str, key: bytes | None, value: bytes | None, headers: Any) -> None:
    decoded_or_refused(topic, key, value, headers)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(bodies)), st.data())
def test_any_change_of_a_field_is_an_event_or_refused(topic: str, data: st.DataObject) -> None:
    key, body = bodies[topic]
    name = data.draw(st.sampled_from(fields_of[topic]))
    text = json.dumps(body | {name: data.draw(json_values)}, ensure_ascii=data.draw(st.booleans()))
    event = decoded_or_refused(topic, key, text.encode("utf-8", "surrogatepass"))
    if event is not None and topic in ("transactions", "loans", "reports"):
        assert decode(topic, key, encode(topic, event)[0]) == event
        assert all(
            unicodedata.is_normalized("NFC", value)
            for value in msgspec.structs.asdict(event).values()
            if isinstance(value, str)
        )


TOKENS = (
    b"NaN",
    b"1e400",
    b"1_0",
    b"\xff",
    b"\\u0000",
    b"\\ud800",
    b'"',
    b"{",
    b"[",
    b"null",
    b"-",
    b"\\",
    b" ",
    b"T",
    b"",
)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(VALUES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(TOKENS))))
def test_any_damage_to_the_bytes_is_an_event_or_refused(
    pair: tuple[str, Any], damage: list[tuple[float, int, bytes]]
) -> None:
    topic, value = pair
    body, headers = encode(topic, value)
    for share, length, token in damage[:4]:
        at_byte = int(share * len(body))
        body = body[:at_byte] + token + body[at_byte + length :]
    decoded_or_refused(topic, value.key.encode(), body, headers)


def test_what_is_malformed_after_a_bad_amount_is_refused_all_the_same() -> None:
    with pytest.raises(Undecodable) as refusal:
        read(raw(amount="1,0", purpose="x").replace(b'"x"', b'"x" "y"'))
    assert (refusal.value.reason, refusal.value.field) == ("not_a_number", "amount")


def test_nesting_at_the_very_limit_is_an_event_or_refused() -> None:
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 20):
        more = b'"more": ' + b"[" * depth + b"]" * depth + b", "
        decoded_or_refused("transactions", b"C42", raw().replace(b'"currency"', more + b'"currency"'))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789.eE+-_, \uff11\u0661NaInf", max_size=8))
def test_an_amount_is_read_exactly_as_money_reads_it(text: str) -> None:
    from models.money import InvalidField, check_amount, read_amount

    try:
        expected: Decimal | None = read_amount(text)
        check_amount(read_amount(text), "CNY")
    except InvalidField:
        expected = None
    event = decoded_or_refused("transactions", b"C42", raw(amount=text))
    assert (None if event is None else str(event.amount)) == (None if expected is None else str(expected))


def test_an_hour_of_china_is_an_hour_of_china() -> None:
    assert read(raw()).event_time == at("2026-03-02 10:00")
