"""The oracle on capital: of several positions of one entity and day the last that arrived counts."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from models import oracle
from models.events import CapitalPosition
from models.oracle.acceptance import accepted_capital
from models.oracle.frames import canonical
from models.policy import PolicyHistory
from tests.books import capital
from tests.make import loan


def counted(policies: PolicyHistory, *positions: CapitalPosition) -> list[tuple[str, date, Decimal, Decimal]]:
    """(entity, as_of, net, tier 1) that count, in yuan."""
    frame = accepted_capital(canonical(oracle.from_events(positions), "capital"), policies).frame
    rows = frame.sort("entity", "as_of").select("entity", "as_of", "net_capital", "tier1_capital").rows()
    return [(entity, as_of, net, tier1) for entity, as_of, net, tier1 in rows]


@pytest.mark.parametrize(
    ("nets", "last"),
    [(["1", "2"], 2), (["2", "1"], 1), (["1", "1"], 1), (["1", "2", "1"], 1), (["1", "2", "2", "3"], 3)],
)
def test_the_last_of_a_day_counts(policies: PolicyHistory, nets: list[str], last: int) -> None:
    found = counted(policies, *(capital(f"{net}000", "500") for net in nets))
    assert found == [("BANK1", date(2026, 3, 1), Decimal(last * 1000), Decimal(500))]


def test_a_correction_of_tier_1_alone_is_one(policies: PolicyHistory) -> None:
    assert counted(policies, capital("1000", "500"), capital("1000", "600"))[0][3] == Decimal(600)


def test_other_days_and_other_entities_are_left_alone(policies: PolicyHistory) -> None:
    found = counted(
        policies,
        capital("1000", "1", date(2026, 3, 1)),
        capital("2000", "1", date(2026, 3, 2)),
        capital("3000", "1", date(2026, 3, 1), entity="BANK2"),
        capital("4000", "1", date(2026, 3, 1)),
    )
    assert [(entity, as_of.day, int(net)) for entity, as_of, net, _ in found] == [
        ("BANK1", 1, 4000),
        ("BANK1", 2, 2000),
        ("BANK2", 1, 3000),
    ]


def test_a_correction_that_is_refused_corrects_nothing(policies: PolicyHistory) -> None:
    positions = [capital("1000", "500"), capital("2000", "500", currency="CHF")]
    assert [int(net) for _, _, net, _ in counted(policies, *positions)] == [1000]
    refused = oracle.refusals(capital=oracle.from_events(positions), policies=policies)
    assert refused.rows() == [("BANK1@2026-03-01", "no_rate")]


@pytest.mark.parametrize(("nets", "warned"), [(["1000000", "20000000"], 0), (["20000000", "1000000"], 2)])
def test_warnings_follow_the_last(policies: PolicyHistory, nets: list[str], warned: int) -> None:
    """Two borrowers of 1,000,000 each: a twentieth of the net capital, or all of it."""
    loans = [loan(f"e{n}", "2026-03-02 10:00", "1000000", "C13", borrower_id=f"B{n}") for n in range(2)]
    frames: dict[str, Any] = {
        "loans": oracle.from_events(loans),
        "capital": oracle.from_events([capital(net, "99000000") for net in nets]),
    }
    found = oracle.warnings(**frames, policies=policies)
    assert len([subject for subject in found["subject"] if subject.startswith("borrower:")]) == warned
