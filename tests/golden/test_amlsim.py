"""scatter_gather on IBM's AMLSim sample: the table of docs/scatter_gather.md, and the stream beside the oracle."""

import hashlib
from functools import cache

import polars as pl

from benchmarks.amlsim_table import DEPLOY, Sample, found, line, load, missed, scores, shipped
from connectors.sources import load_mapping, read, to_events
from models.pipeline import LocalPipeline
from tests.data import DATA, ROOT, needs_data

pytestmark = needs_data

# Accounts flagged, of them labelled, precision, recall, F1.
TABLE = {
    "every account": (20_000, 1_804, "0.0902", "1.0000", "0.1655"),
    "as many accounts, those with most counterparties": (4_936, 904, "0.1831", "0.5011", "0.2682"),
    "as many accounts, those with most transactions": (4_497, 1_193, "0.2653", "0.6613", "0.3787"),
    "baseline: 5 senders in 5 days": (463, 177, "0.3823", "0.0981", "0.1562"),
    "rule, gather only": (4_222, 794, "0.1881", "0.4401", "0.2635"),
    "rule, scatter only": (336, 117, "0.3482", "0.0649", "0.1093"),
    "rule, amounts off": (4_244, 797, "0.1878", "0.4418", "0.2636"),
}


@cache
def sample() -> Sample:
    return load(DATA / "amlsim")


@cache
def warnings() -> pl.DataFrame:
    return found(sample())


def test_the_table() -> None:
    made = {
        one.name: (one.flagged, one.right, f"{one.precision:.4f}", f"{one.recall:.4f}", f"{one.f1:.4f}")
        for one in scores(sample(), warnings())
    }
    assert made == TABLE
    assert list(missed(sample(), warnings()).values()) == [0, 4, 846, 157]


def test_the_page_shows_the_table() -> None:
    page = (ROOT / "docs" / "scatter_gather.md").read_text("utf-8").splitlines()
    lines = [line(one) for one in scores(sample(), warnings())]
    assert [one for one in page if one in lines] == lines


def test_the_warnings_themselves() -> None:
    ids = sorted(warnings()["warning_id"])
    assert len(ids) == 7_317
    digest = hashlib.sha256("".join(f"{one}\n" for one in ids).encode()).hexdigest()
    assert digest == "8e0f443695a89d14484e0555bee8a55623b3e2159b315620f8a0d54aec5ae2e4"


def test_amounts_play_no_part() -> None:
    """All the same amount: the same warnings, so the labels cannot have leaked through it."""
    flat = sample().events.with_columns(pl.lit("1.00").str.to_decimal(scale=2).alias("amount"))
    assert found(sample()._replace(events=flat)).equals(warnings())


def test_the_stream_finds_the_same() -> None:
    """For one account in twenty: the rule judges each by itself."""
    mapped = read(DATA / "amlsim" / "transactions.csv.gz", load_mapping(DEPLOY / "mappings" / "amlsim.toml"))
    pipeline = LocalPipeline(shipped())
    taken = [event for event in to_events(mapped) if int(event.customer_id) % 20 == 0]
    for event in taken:
        pipeline.feed("transactions", event)
    pipeline.finish()
    assert not pipeline.refusals
    mine = warnings().filter(pl.col("account").cast(pl.Int64) % 20 == 0)
    assert mine.height > 300
    assert set(pipeline.warnings) == set(mine["warning_id"])
