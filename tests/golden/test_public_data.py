"""What the shipped mappings make of the published data sets, against figures worked out from the raw files."""

from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import polars as pl
import pytest

from connectors.sources import MappedFrame, load_mapping, read, to_events
from connectors.sources.report import concentration_report
from connectors.sources.wire import EVENTS
from tests.data import DATA, ROOT, needs_data

pytestmark = needs_data

PPP = [
    ("WY", 11_866, "379446606.29", 0.0850590, 0.0871627),
    ("ND", 17_546, "512972593.55", 0.0875476, 0.0879100),
    ("SD", 20_563, "566486587.86", 0.0876682, 0.0880076),
    ("DE", 10_431, "392158493.26", 0.0849106, 0.0895180),
]


@cache
def mapped(name: str, file: str) -> MappedFrame:
    return read(DATA / file, load_mapping(ROOT / "deploy" / "mappings" / f"{name}.toml"))


def ppp(state: str) -> MappedFrame:
    return mapped("ppp", f"ppp/foia_up_to_150k_{state}.csv.gz")


def berka() -> MappedFrame:
    return mapped("berka", "berka/trans.csv.gz")


@pytest.mark.parametrize(("state", "rows", "total", "hhi", "hhi_known"), PPP)
def test_ppp_totals_and_sectors(state: str, rows: int, total: str, hhi: float, hhi_known: float) -> None:
    frame = ppp(state)
    found: Any = concentration_report(frame, "sector")
    assert (found["rows"], found["accepted"], found["rejected"], found["total"]) == (rows, rows, 0, total)
    assert frame.accepted["amount"].sum() == Decimal(total)
    assert (found["members"], round(found["hhi"], 7)) == (22, hhi)
    known: Any = concentration_report(frame, "sector", known_only=True)
    assert (known["members"], round(known["hhi"], 7)) == (21, hhi_known)


@pytest.mark.parametrize("state", [row[0] for row in PPP])
def test_ppp_hhi_a_second_way(state: str) -> None:
    """Whole cents and integers from the raw text, without the reader, the mapping or the indices."""
    raw = pl.read_csv(DATA / f"ppp/foia_up_to_150k_{state}.csv.gz", infer_schema_length=0)
    joined = {"32": "31", "33": "31", "45": "44", "49": "48"}
    cents = raw.select(
        sector=pl.col("NAICSCode").fill_null("").str.slice(0, 2).replace(joined),
        cents=pl.col("LoanAmount").str.to_decimal(scale=2) * 100,
    )
    sums = [int(value) for value in cents.group_by("sector").agg(pl.col("cents").sum())["cents"]]
    found: Any = concentration_report(ppp(state), "sector")
    assert found["hhi"] == sum(value * value for value in sums) / sum(sums) ** 2


@pytest.mark.parametrize(
    ("state", "lender", "loans", "hhi"),
    [
        ("ND", "AgCountry Farm Credit Service, PCA", 522, 0.928800),
        ("SD", "Farm Credit Services of America, ACA", 669, 0.898643),
        ("DE", "Readycap Lending, LLC", 273, 0.654747),
        ("ND", "First International Bank & Trust", 1008, 0.078824),
    ],
)
def test_ppp_sectors_within_a_lender(state: str, lender: str, loans: int, hhi: float) -> None:
    reports: Any = concentration_report(ppp(state), "sector", within="Lender")
    assert [report["member"] for report in reports] == sorted({report["member"] for report in reports})
    assert sum(report["rows"] for report in reports) == ppp(state).rows
    assert sum(Decimal(report["total"]) for report in reports) == ppp(state).accepted["amount"].sum()
    (found,) = [report for report in reports if report["member"] == lender]
    assert (found["loans"], round(found["hhi"], 6)) == (loans, hhi)


def test_ppp_ids_are_unique_over_the_four_files() -> None:
    ids = pl.concat([ppp(row[0]).accepted["event_id"] for row in PPP])
    assert ids.n_unique() == len(ids) == sum(row[1] for row in PPP)


def account_days(frame: pl.DataFrame) -> int:
    """Account-days with three transactions or more, by the bank's own calendar."""
    day = pl.col("event_time").dt.convert_time_zone("Europe/Prague").dt.date().alias("day")
    return frame.group_by("account_id", day).len().filter(pl.col("len") >= 3).height


def test_berka_account_days() -> None:
    frame = berka()
    assert (frame.rows, frame.accepted_rows, frame.rejected_rows) == (30_200, 30_200, 0)
    assert frame.accepted["customer_id"].n_unique() == 354
    own = frame.accepted.filter(pl.col("origin") == "customer")
    assert account_days(frame.accepted) == 912
    assert account_days(own) == 264
    assert account_days(own.filter(pl.col("method") == "transfer")) == 9
    assert frame.accepted["origin"].value_counts().sort("origin").rows() == [("bank", 8_359), ("customer", 21_841)]


def test_amlsim_has_two_events_a_row() -> None:
    frame = mapped("amlsim", "amlsim/transactions.csv.gz")
    assert (frame.rows, frame.accepted_rows, frame.rejected_rows, frame.events) == (120_558, 120_558, 0, 241_116)
    sums = frame.accepted.group_by("direction").agg(pl.col("amount").sum()).sort("direction")
    assert sums["amount"][0] == sums["amount"][1]
    assert frame.accepted["event_id"].n_unique() == frame.events
    day = frame.accepted["event_time"].dt.date()
    assert (str(day.min()), str(day.max()), day.n_unique()) == ("2026-01-02", "2026-05-30", 149)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ppp", "ppp/foia_up_to_150k_WY.csv.gz"),
        ("berka", "berka/trans.csv.gz"),
        ("amlsim", "amlsim/transactions.csv.gz"),
    ],
)
def test_every_accepted_row_makes_a_valid_event(name: str, file: str) -> None:
    frame = mapped(name, file)
    decoder = msgspec.json.Decoder(EVENTS[frame.kind])
    count, total = 0, Decimal(0)
    for event in to_events(frame):
        if count % 7 == 0:  # the wire's own checks, on a share of the rows: enough to meet every kind of row
            assert decoder.decode(msgspec.json.encode(event)) == event
        count, total = count + 1, total + event.amount
    assert (count, total) == (frame.events, frame.accepted["amount"].sum())
