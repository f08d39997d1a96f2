"""Loan events as a CSV file with its mapping, for the commands that ask about a book."""

from pathlib import Path

COLUMNS = (
    "event_time",
    "event_id",
    "entity",
    "loan_id",
    "borrower_id",
    "group_id",
    "kind",
    "industry",
    "region",
    "amount",
    "currency",
    "real_estate",
)
MAPPING = """
name = "mine"
kind = "loans"
description = "a test"
format = "csv"
timezone = "Asia/Shanghai"
key = { column = "borrower_id" }

[fields]
event_time = { column = "event_time", format = "%Y-%m-%d %H:%M" }
"""


def write_loans(folder: Path, *rows: str) -> list[object]:
    """Write rows of COLUMNS, and give the arguments of a command that reads them."""
    (folder / "loans.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", encoding="utf-8")
    fields = [f'{name} = {{ column = "{name}" }}' for name in COLUMNS if name not in ("event_time", "borrower_id")]
    (folder / "mine.toml").write_text(MAPPING + "\n".join(fields) + "\n", encoding="utf-8")
    return [folder / "loans.csv", "--mapping", folder / "mine.toml"]


# Ten million: C 2, K 3 (mortgages), F 5.
TEN_MILLION = (
    "2026-03-02 09:00,e1,BANK1,L1,B1,G1,disbursed,C1391,CN-43,2000000.00,CNY,none",
    "2026-03-02 09:01,e2,BANK1,L2,B2,,disbursed,K70,CN-43,3000000.00,CNY,mortgage",
    "2026-03-02 09:02,e3,BANK1,L3,B3,,disbursed,F51,CN-11,5000000.00,CNY,none",
)
