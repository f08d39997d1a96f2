"""Files into events: exact, nothing lost, every refusal with its reason."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from connectors.sources import MappedFrame, SourceError, parse_mapping, read, to_events, wire_mapping
from connectors.sources.wire import EVENTS, Kind
from models.events import (
    Action,
    Actor,
    CapitalPosition,
    Controls,
    Counterparty,
    LoanEvent,
    PostReport,
    Reporter,
    Transaction,
)

HEAD = """
name = "t"
kind = "transactions"
"""
FIELDS = {
    "event_id": '{ template = "e{row}" }',
    "event_time": '"time"',
    "customer_id": '"customer"',
    "customer_kind": '{ const = "person" }',
    "account_id": '{ const = "A1" }',
    "direction": '{ const = "in" }',
    "amount": '"amount"',
    "currency": '{ const = "CNY" }',
    "method": '{ const = "cash" }',
}
GOOD = "time,customer,amount\n2026-03-02T10:00:00+08:00,C1,10.50\n"


def toml(head: str = "", tail: str = "", **fields: str) -> str:
    lines = [f"{name.replace('__', '.')} = {rule}" for name, rule in (FIELDS | fields).items() if rule]
    return "\n".join([HEAD, head, "[fields]", *lines, tail])


def load(tmp_path: Path, content: str | bytes, mapping: str, name: str = "f.csv") -> MappedFrame:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    mapped = read(path, parse_mapping(mapping))
    assert mapped.accepted_rows + mapped.rejected_rows == mapped.rows
    return mapped


def reasons(mapped: MappedFrame) -> list[tuple[Any, ...]]:
    return mapped.rejected.select("row", "field", "reason").rows()


def test_a_row_becomes_an_event(tmp_path: Path) -> None:
    mapped = load(tmp_path, GOOD, toml())
    assert list(to_events(mapped)) == [
        Transaction(
            event_id="e1",
            event_time=datetime(2026, 3, 2, 2, tzinfo=UTC),
            customer_id="C1",
            customer_kind="person",
            account_id="A1",
            direction="in",
            amount=Decimal("10.50"),
            currency="CNY",
            method="cash",
        )
    ]
    assert mapped.accepted.schema["amount"] == pl.Decimal(38, 2)
    assert mapped.accepted.schema["event_time"] == pl.Datetime("us", "UTC")


@pytest.mark.parametrize(
    ("text", "currency", "expected"),
    [
        ("0.01", "CNY", "0.01"),
        ("149937.29", "CNY", "149937.29"),
        ("007.5", "CNY", "7.50"),
        ("999999999999999.99", "CNY", "999999999999999.99"),
        ("1000000000000000", "CNY", "too_large"),
        ("0.001", "CNY", "too_many_places"),
        ("1.100", "CNY", "too_many_places"),
        ("1.100", "KWD", "1.100"),
        ("100", "JPY", "100"),
        ("100.0", "JPY", "too_many_places"),
        ("0", "CNY", "not_positive"),
        ("0.00", "CNY", "not_positive"),
        ("-5", "CNY", "not_positive"),
        ("+5", "CNY", "not_a_number"),
        ("1e3", "CNY", "not_a_number"),
        ("NaN", "CNY", "not_a_number"),
        ("Infinity", "CNY", "not_a_number"),
        ("\uff11\uff12", "CNY", "not_a_number"),
        ("\u0661\u0662", "CNY", "not_a_number"),
        ("1_000", "CNY", "not_a_number"),
        ("1 000", "CNY", "not_a_number"),
        ('"1,000.00"', "CNY", "not_a_number"),
        (".5", "CNY", "not_a_number"),
        ("5.", "CNY", "not_a_number"),
        ("", "CNY", "missing"),
    ],
)
def test_amounts_are_exact_or_refused(tmp_path: Path, text: str, currency: str, expected: str) -> None:
    mapping = toml(currency=f'{{ const = "{currency}" }}')
    mapped = load(tmp_path, f"time,customer,amount\n2026-03-02,C1,{text}\n", mapping)
    if expected[0].isdigit():
        (event,) = to_events(mapped)
        assert str(event.amount) == expected
    else:
        assert reasons(mapped) == [(1, "amount", expected)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1.234.567,89", "1234567.89"), ("12,5", "12.50"), ("12.34", None), ("1234.567", None), ("1,2,3", None)],
)
def test_decimal_comma(tmp_path: Path, text: str, expected: str | None) -> None:
    mapping = toml(head='separator = ";"', tail='[numbers]\ndecimal = ","\nthousands = "."')
    mapped = load(tmp_path, f"time;customer;amount\n2026-03-02;C1;{text}\n", mapping)
    assert [str(event.amount) for event in to_events(mapped)] == ([expected] if expected else [])


def test_zeros_that_a_database_pads_may_be_dropped(tmp_path: Path) -> None:
    mapping = toml(tail="[numbers]\ntrailing_zeros = true")
    mapped = load(tmp_path, "time,customer,amount\n2026-03-02,C1,12.5000\n2026-03-02,C1,12.5001\n", mapping)
    assert [str(event.amount) for event in to_events(mapped)] == ["12.50"]
    assert reasons(mapped) == [(2, "amount", "too_many_places")]


def test_currencies_of_different_places_keep_their_own(tmp_path: Path) -> None:
    text = "time,customer,amount,cur\n2026-03-02,a,100,JPY\n2026-03-02,b,1.5,CNY\n2026-03-02,c,0.125,KWD\n"
    mapped = load(tmp_path, text + "2026-03-02,d,1,XYZ\n2026-03-02,e,1,cny\n", toml(currency='"cur"'))
    assert [str(event.amount) for event in to_events(mapped)] == ["100", "1.50", "0.125"]
    assert reasons(mapped) == [(4, "currency", "unknown_currency"), (5, "currency", "malformed")]


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ('"time"', "2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ('"time"', "2026-03-02 10:00:00.123456+0800", datetime(2026, 3, 2, 2, 0, 0, 123456, tzinfo=UTC)),
        ('"time"', "2026-03-02T10:00-05:30", datetime(2026, 3, 2, 15, 30, tzinfo=UTC)),
        ('"time"', "2026-03-02", datetime(2026, 3, 2, 5, tzinfo=UTC)),
        ('"time"', "2026-03-08T02:30:00", "nonexistent_time"),
        ('"time"', "2026-11-01T01:30:00", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ('"time"', "2026-02-30", "not_a_time"),
        ('"time"', "2026-03-02T10:00:60Z", "not_a_time"),
        ('"time"', "2026-03-02T10:00:00+25:00", "not_a_time"),
        ('"time"', "0001-01-01", "out_of_range"),
        ('"time"', "03/02/2026", "not_a_time"),
        ('"time"', "", "missing"),
        ('{ column = "time", format = "%y%m%d" }', "960728", datetime(1996, 7, 28, 4, tzinfo=UTC)),
        ('{ column = "time", format = "%d/%m/%Y %H:%M:%S %z" }', "02/03/2026 10:00:00 +0100",
         datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ('{ column = "time", formats = ["%Y%m%d", "%m/%d/%Y"] }', "03/02/2026", datetime(2026, 3, 2, 5, tzinfo=UTC)),
        ('{ template = "{time} {hour}", format = "%Y-%m-%d %H%M" }', "2026-03-02",
         datetime(2026, 3, 2, 15, 30, tzinfo=UTC)),
        ('{ template = "{time} {hour}", format = "%Y-%m-%d %H%M" }', "x", "not_a_time"),
        ('{ column = "time", unit = "days", epoch = "2026-01-01" }', "3", datetime(2026, 1, 4, 5, tzinfo=UTC)),
        ('{ column = "time", unit = "milliseconds", epoch = "1970-01-01T00:00:00+00:00" }', "1772445600123",
         datetime(2026, 3, 2, 10, 0, 0, 123000, tzinfo=UTC)),
        ('{ column = "time", unit = "days", epoch = "2026-01-01" }', "1.5", "not_a_time"),
        ('{ column = "time", unit = "days", epoch = "2026-01-01" }', "99999999999999999", "not_a_time"),
        ('{ column = "time", timezone = "Asia/Shanghai" }', "2026-03-02", datetime(2026, 3, 1, 16, tzinfo=UTC)),
        # Midnight of this day was skipped in Cairo: the day begins at one o'clock.
        ('{ column = "time", timezone = "Africa/Cairo" }', "2026-04-24", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_times_are_instants_or_refused(tmp_path: Path, rule: str, text: str, expected: datetime | str) -> None:
    mapping = toml(head='timezone = "America/New_York"', event_time=rule)
    mapped = load(tmp_path, f"time,customer,amount,hour\n{text},C1,1,1030\n", mapping)
    if isinstance(expected, str):
        assert reasons(mapped) == [(1, "event_time", expected)]
    else:
        assert [event.event_time for event in to_events(mapped)] == [expected]


def test_maps_defaults_and_conditions(tmp_path: Path) -> None:
    mapping = toml(
        direction='{ when = [{ column = "amount", below_zero = true, then = "out" }, '
        '{ column = "amount", below_zero = false, then = "in" }] }',
        amount='{ column = "amount", absolute = true }',
        method='{ column = "how", map = { C = "cash", T = "transfer", "" = "transfer" } }',
        origin='{ column = "by", map = { fee = "bank" }, default = "customer" }',
        cross_border='{ column = "abroad", map = { Y = true, N = false } }',
        counterparty__name='{ columns = ["payee", "payer"] }',
    )
    text = (
        "time,customer,amount,how,by,abroad,payee,payer\n"
        "2026-03-02,C1,-5.00,C,fee,Y,,Li\n"
        "2026-03-02,C1,6.00,,x,N,Wang,Li\n"
        "2026-03-02,C1,7.00,Q,,,,\n"
        "2026-03-02,C1,8.00,T,,maybe,,\n"
    )
    mapped = load(tmp_path, text, mapping)
    first, second = to_events(mapped)
    assert (first.direction, first.method, first.origin, first.cross_border) == ("out", "cash", "bank", True)
    assert (second.direction, second.method, second.origin, second.cross_border) == (
        "in",
        "transfer",
        "customer",
        False,
    )
    assert first.amount == Decimal(5)
    assert (first.counterparty, second.counterparty) == (Counterparty(name="Li"), Counterparty(name="Wang"))
    assert mapped.rejected.rows() == [
        (3, "", "method", "not_mapped", "Q"),
        (4, "", "cross_border", "not_mapped", "maybe"),
    ]


def test_values_outside_the_contract_are_refused(tmp_path: Path) -> None:
    mapping = toml(direction='"dir"', counterparty__country='"land"', branch_id='"branch"')
    text = f"time,customer,amount,dir,land,branch\n2026-03-02,C1,1,up,CHN,{'x' * 201}\n2026-03-02, ,1,in,CN,\n"
    assert reasons(load(tmp_path, text, mapping)) == [
        (1, "direction", "not_allowed"),
        (1, "counterparty.country", "malformed"),
        (1, "branch_id", "too_long"),
        (2, "customer_id", "missing"),
    ]


def test_one_name_written_two_ways_is_one_id(tmp_path: Path) -> None:
    text = "time,customer,amount\n2026-03-02,Jose\u0301,1\n2026-03-02, Jos\u00e9 ,1\n"
    assert {event.customer_id for event in to_events(load(tmp_path, text, toml()))} == {"Jos\u00e9"}


def test_words_for_nothing(tmp_path: Path) -> None:
    mapping = toml(head='empty = ["NULL", "N/A"]', purpose='"why"')
    mapped = load(tmp_path, "time,customer,amount,why\n2026-03-02,NULL,1,x\n2026-03-02,C1,1,N/A\n", mapping)
    assert reasons(mapped) == [(1, "customer_id", "missing")]
    assert [event.purpose for event in to_events(mapped)] == [None]


def test_a_filter_loses_no_row(tmp_path: Path) -> None:
    mapping = toml(
        tail='[[filters]]\ncolumn = "state"\nkeep = ["booked"]\n[[filters]]\ncolumn = "customer"\ndrop = ["C2"]'
    )
    text = "time,customer,amount,state\n2026-03-02,C1,1,booked\n2026-03-02,C1,x,void\n2026-03-02,C2,1,booked\n"
    mapped = load(tmp_path, text, mapping)
    assert mapped.rejected.rows() == [
        (2, "", "state", "filtered_out", "void"),
        (3, "", "customer", "filtered_out", "C2"),
    ]
    assert mapped.events == 1


LEGS = """
[[legs]]
name = "out"
key = "from"
[legs.fields]
direction = { const = "out" }
[[legs]]
name = "in"
key = "to"
[legs.fields]
direction = { const = "in" }
"""


def test_two_legs_stand_or_fall_together(tmp_path: Path) -> None:
    mapping = toml(tail=LEGS, event_id='{ template = "{row}-{leg}" }', customer_id="", direction="")
    text = "time,from,to,amount\n2026-03-02,A,B,1\n2026-03-02,C,,2\n2026-03-01,D,E,x\n2026-03-01,F,G,3\n"
    mapped = load(tmp_path, text, mapping)
    assert (mapped.rows, mapped.accepted_rows, mapped.rejected_rows, mapped.events) == (4, 2, 2, 4)
    seen = [(event.event_id, event.customer_id, event.direction) for event in to_events(mapped)]
    assert seen == [("4-out", "F", "out"), ("4-in", "G", "in"), ("1-out", "A", "out"), ("1-in", "B", "in")]
    assert mapped.rejected.select("row", "leg", "field").rows() == [
        (2, "in", "customer_id"), (3, "out", "amount"), (3, "in", "amount"),
    ]  # fmt: skip
    assert mapped.refused.height == 4


def test_legs_in_two_currencies(tmp_path: Path) -> None:
    legs = LEGS.replace("[legs.fields]", "[legs.fields]\ncurrency = { const = 'CNY' }", 1)
    legs = legs.replace('key = "to"\n[legs.fields]', "key = 'to'\n[legs.fields]\ncurrency = { const = 'KWD' }")
    mapping = toml(tail=legs, event_id='{ template = "{row}-{leg}" }', customer_id="", direction="", currency="")
    mapped = load(tmp_path, "time,from,to,amount\n2026-03-02,A,B,1.5\n", mapping)
    assert [f"{event.amount} {event.currency}" for event in to_events(mapped)] == ["1.50 CNY", "1.500 KWD"]


def test_order_of_time_or_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("time,customer,amount\n2026-03-03,a,1\n2026-03-02,b,1\n2026-03-03,c,1\n")
    mapping = parse_mapping(toml())
    assert read(path, mapping).accepted["customer_id"].to_list() == ["b", "a", "c"]
    assert read(path, mapping, order="file").accepted["customer_id"].to_list() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.rstrip().encode(),
        GOOD.replace("\n", "\n\n").encode(),
        GOOD.replace("C1", '"C1"').encode(),
        gzip.compress(GOOD.encode()),
    ],
    ids=["bom", "crlf", "no last newline", "blank lines", "quotes", "gzip"],
)
def test_the_same_file_in_other_clothes(tmp_path: Path, content: bytes) -> None:
    mapped = load(tmp_path, content, toml(), "f.csv.gz")
    assert [(event.event_id, event.customer_id) for event in to_events(mapped)] == [("e1", "C1")]


def test_quoted_cells_may_hold_anything(tmp_path: Path) -> None:
    mapped = load(tmp_path, 'time,customer,amount\n2026-03-02,"a ""b"", c\nd",1\n', toml())
    assert [event.customer_id for event in to_events(mapped)] == ['a "b", c\nd']


def test_rows_that_cannot_be_split_do_not_take_their_neighbours_along(tmp_path: Path) -> None:
    text = 'time,customer,amount\n2026-03-02,C1,1,9\n2026-03-02,C2\n2026-03-02,"C"3,1\n2026-03-02,C4,1\n'
    mapped = load(tmp_path, text, toml())
    assert [event.event_id for event in to_events(mapped)] == ["e4"]
    assert [(row, reason) for row, _, reason in reasons(mapped)] == [(1, "bad_row"), (2, "bad_row"), (3, "bad_row")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('time,customer,amount\n2026-03-02,"C1,1\n', "never closed"),
        (
            "time,custmer,amount\n2026-03-02,C1,1\n",
            'no column "customer" \\(did you mean "custmer"\\?\\); the file has time',
        ),
        ("time,customer,customer,amount\n2026-03-02,C1,1,1\n", 'column "customer" stands twice'),
        ("row,time,customer,amount\n1,2026-03-02,C1,1\n", 'column "row" is kept'),
    ],
)
def test_a_file_that_does_not_fit_is_refused_as_a_whole(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        load(tmp_path, content, toml())


def test_a_file_of_unknown_kind_or_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="format cannot be told"):
        load(tmp_path, GOOD, toml(), "f.dat")
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "none.csv", parse_mapping(toml()))
    with pytest.raises(SourceError, match="no Parquet file"):
        load(tmp_path, GOOD, toml(), "f.parquet")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv", ""),
        ("f.csv", "\n"),
        ("f.csv", "time,customer,amount"),
        ("f.csv", "time,customer,amount\n"),
        ("f.csv", '"time","customer","amount"\n'),
        ("f.jsonl", ""),
        ("f.jsonl", "\n\n"),
    ],
)
def test_nothing_in_gives_nothing_out(tmp_path: Path, name: str, content: str) -> None:
    mapped = load(tmp_path, content, toml(), name)
    assert (mapped.rows, mapped.events, list(to_events(mapped))) == (0, 0, [])
    assert mapped.accepted.schema["amount"] == pl.Decimal(38, 2)


def test_other_encodings_and_headers(tmp_path: Path) -> None:
    mapping = toml(
        head='encoding = "gb18030"\nskip_lines = 2\nheader = ["time", "customer", "amount"]\nseparator = "|"'
    )
    mapped = load(tmp_path, "报表\n时间|客户|金额\n2026-03-02|张三|1\n".encode("gb18030"), mapping)
    assert [event.customer_id for event in to_events(mapped)] == ["张三"]


def test_bytes_that_cannot_be_decoded_cost_their_own_row_alone(tmp_path: Path) -> None:
    mapped = load(tmp_path, b"time,customer,amount\n2026-03-02,\xff\xfe,1\n2026-03-02,C2,1\n", toml())
    assert reasons(mapped) == [(1, "customer_id", "bad_encoding")]


def test_json_numbers_are_never_floats(tmp_path: Path) -> None:
    lines = [
        '{"time": "2026-03-02", "customer": "a", "amount": 123456789012345.67}',
        '{"time": "2026-03-02", "customer": "b", "amount": "0.10"}',
        '{"time": "2026-03-02", "customer": "c", "amount": 0.1000000000000000055}',
        '{"time": "2026-03-02", "customer": "d", "amount": 15e2}',
        '{"time": "2026-03-02", "customer": "e", "amount": NaN}',
        '{"time": "2026-03-02", "customer": "f", "amount": 1e400}',
        '{"time": "2026-03-02", "customer": "g", "amount": null}',
        '{"time": "2026-03-02", "customer": "h", "amount": true}',
        '{"time": "2026-03-02", "customer": "i"',
        '["2026-03-02", "j", 1]',
    ]
    mapped = load(tmp_path, "\n".join(lines), toml(), "f.jsonl")
    assert [str(event.amount) for event in to_events(mapped)] == ["123456789012345.67", "0.10", "1500.00"]
    assert reasons(mapped) == [
        (3, "amount", "too_many_places"),
        (5, "", "bad_json"),
        (6, "amount", "not_a_number"),
        (7, "amount", "missing"),
        (8, "amount", "not_a_number"),
        (9, "", "bad_json"),
        (10, "", "bad_json"),
    ]


def test_a_misspelt_json_field_is_no_silence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='no column "customer" \\(did you mean "custmer"'):
        load(tmp_path, '{"time": "2026-03-02", "custmer": "a", "amount": 1}\n', toml(), "f.jsonl")


def test_parquet_columns_of_every_type(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "time": [datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 2, 11, tzinfo=UTC)],
            "customer": [1, 2],
            "amount": [149937.29, 0.1],
            "exact": pl.Series(["1.5000", "100.0000"]).cast(pl.Decimal(20, 4)),
            "abroad": [True, None],
            "who": [{"name": "Li", "bank": "B"}, {"name": None, "bank": None}],
            "by": [["T1", 'T"2'], []],
        }
    )
    path = tmp_path / "f.parquet"
    frame.write_parquet(path)
    extra = {
        "cross_border": '{ column = "abroad", default = false }',
        "counterparty__name": '"who.name"',
        "controls__approved_by": '"by"',
    }
    first, second = to_events(read(path, parse_mapping(toml(**extra))))
    assert (str(first.amount), str(second.amount)) == ("149937.29", "0.10")
    assert first.event_time == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert (first.customer_id, first.cross_border, second.cross_border) == ("1", True, False)
    assert (first.counterparty, second.counterparty) == (Counterparty(name="Li"), None)
    assert (first.controls, second.controls) == (Controls(approved_by=("T1", 'T"2')), None)
    exact = to_events(read(path, parse_mapping(toml(amount='"exact"'))))
    assert [str(event.amount) for event in exact] == ["1.50", "100.00"]


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WIRE: dict[Kind, list[Any]] = {
    "transactions": [
        Transaction(
            event_id="1", event_time=NOON, customer_id="C1", customer_kind="entity", account_id="A", direction="out",
            amount=Decimal("1.25"), currency="CNY", method="transfer", cross_border=True,
            counterparty=Counterparty(account_id="X", country="HK"), purpose=" rent ",
            controls=Controls(identity_verified=False, approved_by=("T1", "T2")), origin="bank",
        ),
        Transaction(
            event_id="2", event_time=NOON, customer_id="C1", customer_kind="person", account_id="A", direction="in",
            amount=Decimal("300"), currency="JPY", method="cash",
        ),
    ],
    "reports": [
        PostReport(
            report_id="R1", event_time=NOON, reporter=Reporter(employee_id="E", post="teller", branch_id="0731"),
            kind="abnormal_transaction", customer_id="C1", transaction_ids=("1", "2"), narrative="line\nline",
        ),
        PostReport(report_id="R2", event_time=NOON, reporter=Reporter(employee_id="E", post="it", branch_id="1"),
                   kind="system_fault"),
    ],
    "loans": [
        LoanEvent(event_id="L1", event_time=NOON, entity="B", loan_id="1", borrower_id="C", kind="overdue",
                  currency="CNY", days_past_due=0, classification="normal"),
        LoanEvent(event_id="L2", event_time=NOON, entity="B", loan_id="1", borrower_id="C", kind="disbursed",
                  currency="CNY", amount=Decimal("5.00"), industry="K7010", real_estate="mortgage"),
    ],
    "capital": [CapitalPosition(entity="B", as_of=date(2026, 3, 1), net_capital=Decimal(9), tier1_capital=Decimal(8))],
    "actions": [
        Action(action_id="1", event_time=NOON, case_id="customer:C1#1", kind="complete", measure="verify_identity",
               actor=Actor(employee_id="E", department="operations"), evidence=("doc-1",), note="done"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", EVENTS)
def test_what_is_on_the_wire_can_be_read_back_from_a_file(tmp_path: Path, kind: Kind) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(event) for event in WIRE[kind]))
    mapped = read(path, wire_mapping(kind))
    assert mapped.rejected.rows() == []
    assert list(to_events(mapped)) == WIRE[kind]


def test_a_step_that_moves_money_needs_an_amount(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(WIRE["loans"][1]) | {"amount": None}))
    assert reasons(read(path, wire_mapping("loans"))) == [(1, "amount", "missing")]


def test_an_action_on_no_case_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(WIRE["actions"][0]) | {"case_id": "customer:C1"}))
    assert reasons(read(path, wire_mapping("actions"))) == [(1, "case_id", "malformed")]
