"""The loan book that a file describes, and its concentration."""

from pathlib import Path
from typing import Any

import pytest

from connectors.sources import SourceError, parse_mapping, read
from connectors.sources.report import concentration_report

MAPPING = parse_mapping("""
name = "book"
kind = "loans"
[fields]
event_id = "id"
event_time = "day"
entity = { const = "BANK1" }
loan_id = "loan"
borrower_id = "borrower"
kind = "kind"
industry = "industry"
amount = "amount"
currency = { column = "currency", default = "CNY" }
branch_id = "branch"
[columns]
sector = { column = "industry", scheme = "gbt4754" }
""")
HEADER = "id,day,loan,borrower,kind,industry,amount,currency,branch"
BOOK = """
1,2026-01-01,L1,B1,disbursed,K70,60.00,,N
2,2026-01-01,L2,B2,disbursed,7010,30.00,,S
3,2026-01-02,L3,B3,disbursed,C13,40.00,,S
4,2026-01-03,L1,B1,repaid,,30.00,,N
5,2026-01-03,L4,B4,disbursed,,40.00,,N
6,2026-01-04,L4,B4,approved,,10.00,,N
"""


def report(tmp_path: Path, rows: str, by: str = "sector", **options: Any) -> Any:
    path = tmp_path / "book.csv"
    path.write_text(f"{HEADER}\n{rows.strip()}\n")
    return concentration_report(read(path, MAPPING), by, **options)


def test_what_is_owed_counts(tmp_path: Path) -> None:
    found = report(tmp_path, BOOK)
    assert (found["rows"], found["accepted"], found["rejected"], found["loans"]) == (6, 6, 0, 4)
    assert (found["total"], found["currency"], found["members"]) == ("140.00", "CNY", 3)
    shares = {item["member"]: item["exposure"] for item in found["largest"]}
    assert shares == {"K": "60.00", "C": "40.00", "unknown": "40.00"}
    assert found["hhi"] == (60 * 60 + 40 * 40 * 2) / 140**2


def test_known_members_alone(tmp_path: Path) -> None:
    found = report(tmp_path, BOOK, known_only=True)
    assert (found["total"], found["members"], found["hhi"]) == ("100.00", 2, 0.52)


def test_within_a_column(tmp_path: Path) -> None:
    north, south = report(tmp_path, BOOK, within="branch")
    assert (north["member"], north["rows"], north["total"], north["hhi"]) == ("N", 4, "70.00", (9 + 16) / 49)
    assert (south["member"], south["rows"], south["total"], south["members"]) == ("S", 2, "70.00", 2)


def test_short_names(tmp_path: Path) -> None:
    assert report(tmp_path, BOOK, by="borrower")["by"] == "borrower_id"
    assert report(tmp_path, BOOK, by="industry")["members"] == 4


def test_nothing_is_counted_twice_or_below_zero(tmp_path: Path) -> None:
    rows = """
1,2026-01-01,L1,B1,disbursed,K70,60.00,,N
1,2026-01-01,L1,B1,disbursed,K70,60.00,,N
2,2026-01-02,L1,B1,repaid,K70,70.00,,N
3,2026-01-02,L1,B1,repaid,K70,10.00,,N
4,2026-01-02,L9,B1,written_off,K70,10.00,,S
5,2026-01-02,L2,B1,disbursed,K70,x,,S
"""
    found = report(tmp_path, rows)
    assert (found["total"], found["duplicates"], found["refused"], found["rejections"]) == (
        "50.00",
        1,
        2,
        {"not_a_number": 1},
    )
    north, south = report(tmp_path, rows, within="branch")
    assert (north["rows"], north["duplicates"], north["refused"]) == (4, 1, 1)
    assert (south["rows"], south["accepted"], south["rejected"], south["refused"]) == (2, 1, 1, 1)
    assert (south["total"], south["members"], south["hhi"], south["gini"]) == ("0", 0, None, None)


def test_an_empty_file_has_an_empty_book(tmp_path: Path) -> None:
    found = report(tmp_path, "")
    assert (found["rows"], found["total"], found["members"], found["hhi"], found["largest"]) == (0, "0", 0, None, [])
    assert report(tmp_path, "", within="branch") == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": "sectr"}, '--by: no column "sectr" \\(did you mean "sector"\\?\\); there are event_id'),
        ({"by": "amount"}, '--by: no column "amount"'),
        ({"within": "Lender"}, '--within: no column "Lender"'),
    ],
)
def test_a_column_that_is_not_there_is_named(tmp_path: Path, options: dict[str, str], says: str) -> None:
    with pytest.raises(SourceError, match=says):
        report(tmp_path, BOOK, **{"by": "sector"} | options)


def test_currencies_are_not_added_up(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="amounts in CNY, USD cannot be added up"):
        report(tmp_path, BOOK + "7,2026-01-04,L5,B5,disbursed,,10.00,USD,N")
