"""Whatever stands in a file: no row is lost, and what is accepted is a valid event."""

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sources import parse_mapping, read, to_events
from connectors.sources.wire import EVENTS
from models.events import in_nfc

TRANSACTIONS = parse_mapping("""
name = "t"
kind = "transactions"
timezone = "Asia/Shanghai"
[fields]
event_id = "id"
event_time = "time"
customer_id = "customer"
customer_kind = { column = "kind", map = { P = "person", E = "entity" } }
account_id = "customer"
direction = "direction"
amount = "amount"
currency = "currency"
method = { const = "transfer" }
cross_border = { column = "abroad", default = false }
counterparty.country = "country"
controls.approved_by = { column = "by", split = ";" }
""")
LOANS = parse_mapping("""
name = "l"
kind = "loans"
[fields]
event_id = "id"
event_time = { column = "time", formats = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"] }
entity = "kind"
loan_id = "id"
borrower_id = "customer"
kind = { column = "direction", map = { in = "repaid", out = "disbursed" }, default = "overdue" }
amount = "amount"
currency = "currency"
industry = "country"
days_past_due = "abroad"
""")

anything = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
digits = st.from_regex(r"-?[0-9]{0,17}(\.[0-9]{0,4})?", fullmatch=True)
COLUMNS: dict[str, st.SearchStrategy[str]] = {
    "id": anything | st.from_regex(r"[a-z]{1,3}", fullmatch=True),
    "time": anything
    | st.datetimes().map(lambda value: value.isoformat())
    | st.datetimes(timezones=st.timezones()).map(lambda value: value.isoformat())
    | st.dates().map(str),
    "customer": anything | st.just("Jose\u0301"),
    "kind": st.sampled_from(["P", "E", "", "x"]),
    "direction": st.sampled_from(["in", "out", "IN"]),
    "amount": anything | digits | st.decimals(allow_nan=True, places=2).map(str),
    "currency": st.sampled_from(["CNY", "JPY", "KWD", "XYZ", "cny", ""]),
    "abroad": st.sampled_from(["true", "0", "", "maybe", "90", "-1"]),
    "country": st.sampled_from(["CN", "", "China"]) | anything,
    "by": st.sampled_from(["", "T1", "T1;T2", ";", '["T1"]']),
}
rows = st.lists(st.fixed_dictionaries(COLUMNS), max_size=12)


def as_csv(table: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(COLUMNS), lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue().encode()


def as_jsonl(table: list[dict[str, Any]]) -> bytes:
    return b"\n".join(msgspec.json.encode(row) for row in table)


@settings(max_examples=80, deadline=None)
@given(rows, st.sampled_from(["csv", "jsonl"]), st.sampled_from([TRANSACTIONS, LOANS]))
def test_every_row_is_accepted_as_a_valid_event_or_rejected(table: Any, suffix: str, mapping: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"f.{suffix}")
        path.write_bytes(as_csv(table) if suffix == "csv" else as_jsonl(table))
        mapped = read(path, mapping)
    assert mapped.rows == len(table)
    assert mapped.accepted_rows + mapped.rejected_rows == mapped.rows
    assert sorted([*mapped.accepted["row"], *mapped.rejected["row"].unique()]) == list(range(1, len(table) + 1))
    events = list(to_events(mapped))
    assert len(events) == mapped.accepted_rows
    for event in events:
        # The wire's own checks (lengths, patterns, offsets, places) hold as well, and nothing changes on the way.
        assert msgspec.json.decode(msgspec.json.encode(event), type=EVENTS[mapping.kind]) == event
        assert in_nfc(event) == event


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.text("abc 1.é|", max_size=4)] * 3), min_size=1, max_size=8))
def test_the_quick_way_through_a_csv_file_reads_what_the_slow_one_reads(table: list[tuple[str, str, str]]) -> None:
    mapping = parse_mapping("""
name = "c"
kind = "capital"
[fields]
entity = "a"
as_of = { const = "2026-01-01" }
net_capital = { const = "1" }
tier1_capital = { const = "1" }
[columns]
b = "b"
c = "c"
""")
    plain = "\n".join(",".join(row) for row in [("a", "b", "c"), *table])
    quoted = "\n".join(",".join(f'"{cell}"' for cell in row) for row in [("a", "b", "c"), *table])
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for text in (plain, quoted):
            path = Path(folder, "f.csv")
            path.write_text(text, encoding="utf-8")
            results.append(read(path, mapping))
    assert results[0].accepted.equals(results[1].accepted)
    assert results[0].rejected.equals(results[1].rejected)
    assert results[0].rows == len(table)
