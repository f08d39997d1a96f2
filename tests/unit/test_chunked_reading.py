"""A file read part by part is the file read as a whole."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from connectors.sources import Mapping, SourceError, parse_mapping, read, wire_mapping
from connectors.sources.reader import MappedFrame, joined, read_chunks
from connectors.sources.tables import survey

_PLAIN_TEXT = """
name = "t"
kind = "transactions"
timezone = "Asia/Shanghai"
[fields]
event_id = "id"
event_time = "time"
customer_id = "customer"
customer_kind = { const = "person" }
account_id = { template = "A{row}" }
direction = { const = "in" }
amount = "amount"
currency = "currency"
method = { const = "cash" }
counterparty.name = "name"
"""
PLAIN = parse_mapping(_PLAIN_TEXT)
LEGS = parse_mapping("""
name = "l"
kind = "transactions"
[[filters]]
column = "currency"
drop = ["USD"]
[fields]
event_id = { template = "{id}-{leg}" }
event_time = "time"
customer_kind = { const = "person" }
account_id = "customer"
amount = "amount"
currency = "currency"
method = { const = "transfer" }
[[legs]]
name = "from"
key = "customer"
fields = { direction = { const = "out" } }
[[legs]]
name = "to"
key = "name"
fields = { direction = { const = "in" } }
""")
HEADER = "id,time,customer,amount,currency,name\n"
# Not in order of time, two that are refused, and amounts of two and of three places.
ROWS = [
    f"t{n},2026-03-{n % 28 + 1:02d}T10:00:00,C{n % 3},{amount},{currency},N{n}\n"
    for n, (amount, currency) in enumerate(
        [("1.50", "CNY"), ("2", "CNY"), ("0", "CNY"), ("3.125", "KWD"), ("4", "XXX"), ("5", "USD"), ("6", "JPY")] * 3,
        30,
    )
]
CSV = HEADER + "".join(ROWS)


def chunks(path: Path, mapping: Mapping, rows: int) -> list[MappedFrame]:
    return list(read_chunks(survey(path, mapping), mapping, rows))


def assert_same_in_chunks(path: Path, mapping: Mapping = PLAIN, least: int = 2) -> MappedFrame:
    """The whole as one chunk against chunks of about one row and of about five."""
    whole = read(path, mapping)
    for rows in (1, 5):
        parts = chunks(path, mapping, rows)
        assert len(parts) >= least
        for order in ("time", "file"):
            one, expected = joined(parts, order), read(path, mapping, order)  # type: ignore[arg-type]
            assert one.accepted.equals(expected.accepted)
            assert one.accepted.schema == expected.accepted.schema
            assert one.rejected.equals(expected.rejected)
            assert one.refused.equals(expected.refused)
            assert (one.rows, one.rejected_rows) == (expected.rows, expected.rejected_rows)
    return whole


def written(tmp_path: Path, content: str | bytes, name: str = "f.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("mapping", [PLAIN, LEGS])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_plain_csv(tmp_path: Path, mapping: Mapping, end: str) -> None:
    whole = assert_same_in_chunks(written(tmp_path, CSV.replace("\n", end)), mapping)
    assert whole.rows == len(ROWS)
    assert whole.accepted.schema["amount"] == pl.Decimal(38, 3)
    assert whole.rejected_rows > 0


def test_scales_of_parts_differ(tmp_path: Path) -> None:
    parts = chunks(written(tmp_path, CSV), PLAIN, 1)
    scales = {part.accepted.schema["amount"].scale for part in parts}  # type: ignore[attr-defined]
    assert scales == {2, 3}


def test_quotes_that_span_lines_and_parts(tmp_path: Path) -> None:
    long = 't90,2026-03-01,C1,9,CNY,"a\n' + "b\n" * 40 + '"\n'
    text = HEADER + ROWS[0] + long + ROWS[1] + '"t91",2026-03-01,C1,"9",CNY,"with ""quotes"""\n\n' + ROWS[2]
    whole = assert_same_in_chunks(written(tmp_path, text))
    assert whole.rows == 5
    assert whole.accepted["counterparty.name"].to_list()[:1] != [None]


def test_broken_rows_keep_their_numbers_and_lines(tmp_path: Path) -> None:
    text = HEADER + ROWS[0] + "too,few\n" + ROWS[1] + 'x,"a"b,C,1,CNY,\n' + "".join(ROWS[3:9]) + 'y,"a"b,C,1,CNY,\n'
    whole = assert_same_in_chunks(written(tmp_path, text))
    broken = whole.rejected.filter(pl.col("reason") == "bad_row")
    assert broken["row"].to_list() == [2, 4, 11]
    assert [value.split(":")[0] for value in broken["value"]] == ["2 cells instead of 6", "line 5", "line 12"]


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = written(tmp_path, CSV + 'z,"open,C,1,CNY,\n')
    with pytest.raises(SourceError, match="never closed"):
        chunks(path, PLAIN, 3)


def test_skipped_lines_and_a_header_of_the_mappings_own(tmp_path: Path) -> None:
    own = parse_mapping(
        "skip_lines = 2\nheader = ['id', 'time', 'customer', 'amount', 'currency', 'name']\n"
        + "\n".join(["name = 't'", "kind = 'transactions'", "[fields]"])
        + "\nevent_id = 'id'\nevent_time = 'time'\ncustomer_id = 'customer'\ncustomer_kind = { const = 'person' }\n"
        "account_id = 'customer'\ndirection = { const = 'in' }\namount = 'amount'\ncurrency = 'currency'\n"
        "method = { const = 'cash' }\n"
    )
    whole = assert_same_in_chunks(written(tmp_path, "made by hand\n" + CSV), own)
    assert whole.rows == len(ROWS)


def test_damaged_bytes_anywhere_make_every_replacement_sign_suspect(tmp_path: Path) -> None:
    first = ROWS[0].replace("N30", "a\ufffd").encode()
    sound = assert_same_in_chunks(written(tmp_path, HEADER.encode() + first + "".join(ROWS[1:]).encode()))
    damaged = assert_same_in_chunks(
        written(tmp_path, HEADER.encode() + first + "".join(ROWS[1:]).encode() + b"e,2026-03-01,C,1,CNY,\xff\n")
    )
    bad = pl.col("reason") == "bad_encoding"
    assert sound.rejected.filter(bad).height == 0
    assert damaged.rejected.filter(bad)["row"].to_list() == [1, len(ROWS) + 1]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    whole = assert_same_in_chunks(
        written(tmp_path, CSV.replace("N30", "\u8054\u52a8").encode(encoding)),
        PLAIN
        if encoding == "utf-8-sig"
        else parse_mapping(_PLAIN_TEXT.replace('kind = "t', f'encoding = "{encoding}"\nkind = "t', 1)),
    )
    assert "\u8054\u52a8" in whole.accepted["counterparty.name"].to_list()


def test_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(CSV.encode())
    whole = assert_same_in_chunks(written(tmp_path, packed, "f.csv.gz"))
    assert whole.rows == len(ROWS)
    with pytest.raises(SourceError, match="cannot be read"):
        survey(written(tmp_path, packed[:-20], "g.csv.gz"), PLAIN)
    with pytest.raises(SourceError, match="cannot be read"):
        survey(written(tmp_path, packed[:20] + b"xxxx" + packed[24:], "h.csv.gz"), PLAIN)


WIRE = wire_mapping("transactions")


def wire_lines() -> list[str]:
    whole = [
        f'{{"event_id": "e{n}", "event_time": "2026-03-{n % 28 + 1:02d}T10:00:00Z", "customer_id": "C{n % 3}", '
        f'"customer_kind": "person", "account_id": "A", "direction": "in", "amount": "{n + 1}.5", "currency": "CNY", '
        f'"method": "cash"{extra}}}'
        for n, extra in enumerate(["", ', "counterparty": {"name": "Li"}', ', "controls": {"approved_by": ["x"]}'] * 4)
    ]
    return [*whole[:5], "not json", "", *whole[5:]]


def test_json_lines_whose_columns_come_late(tmp_path: Path) -> None:
    whole = assert_same_in_chunks(written(tmp_path, "\n".join(wire_lines()), "f.jsonl"), WIRE)
    assert (whole.rows, whole.rejected["row"].to_list()) == (13, [6])


def test_a_column_that_no_line_has(tmp_path: Path) -> None:
    lines = [line.replace('"method"', '"metod"') for line in wire_lines()]
    with pytest.raises(SourceError, match=r'no column "method" \(did you mean "metod"\?\); the file has event_id'):
        chunks(written(tmp_path, "\n".join(lines), "f.jsonl"), WIRE, 3)
    # One line that has it is enough: the others lack a value.
    late = written(tmp_path, "\n".join([*lines, wire_lines()[0]]), "f.jsonl")
    assert set(assert_same_in_chunks(late, WIRE).rejected["reason"]) == {"missing", "bad_json"}


@pytest.mark.parametrize("packed", [False, True])
def test_parquet(tmp_path: Path, packed: bool) -> None:
    plain = read(written(tmp_path, CSV), PLAIN)
    path = tmp_path / "f.parquet"
    pl.read_csv(written(tmp_path, CSV), infer_schema=False).with_columns(other=1).write_parquet(path, row_group_size=4)
    if packed:
        path = written(tmp_path, gzip.compress(path.read_bytes()), "f.parquet.gz")
    whole = assert_same_in_chunks(path)
    assert whole.accepted.equals(plain.accepted)
    lacking = parse_mapping(_PLAIN_TEXT.replace('"name"', '"nam"'))
    with pytest.raises(SourceError, match=r'no column "nam" \(did you mean "name"\?\); .* name, other'):
        chunks(path, lacking, 3)
    with pytest.raises(SourceError, match="no Parquet file"):
        survey(written(tmp_path, "PAR", "g.parquet"), PLAIN)


def test_parquet_with_structs(tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    source = pl.read_ndjson(written(tmp_path, "\n".join(line for line in wire_lines() if line[:1] == "{"), "f.jsonl"))
    source.write_parquet(path)
    assert assert_same_in_chunks(path, WIRE).accepted["counterparty.name"].drop_nulls().to_list() == ["Li"] * 4


@pytest.mark.parametrize(("name", "content"), [("f.csv", ""), ("f.csv", HEADER), ("f.jsonl", ""), ("f.jsonl", "x\n")])
def test_files_without_rows_are_one_part(tmp_path: Path, name: str, content: str) -> None:
    parts = chunks(written(tmp_path, content, name), PLAIN, 3)
    assert [part.accepted.height for part in parts] == [0]
    assert parts[0].accepted.schema["amount"] == pl.Decimal(38, 2)
