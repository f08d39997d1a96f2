"""Capital that is corrected: several positions of one entity and day, in time for their day or after events of it.

A correction that is there before an event of its day is judged leaves no trace of what it corrects: the stream tells
what the oracle tells. After that, the stream cannot take back what it told; it judges the book as it stands again.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, LoanEvent
from models.pipeline import LocalPipeline
from models.policy import Figure, LevelFigures, Limit, Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.books import capital
from tests.make import CN, loan

pytestmark = pytest.mark.filterwarnings("error")
DAYS = [date(2026, 3, day) for day in range(2, 9)]
NETS = ["5000", "8000", "10000", "20000"]

steps = st.lists(
    st.tuples(
        st.sampled_from(DAYS),
        st.integers(0, 23),
        st.sampled_from(["disbursed", "disbursed", "repaid"]),
        st.integers(0, 5),
        st.sampled_from(["500", "1000", "2000"]),
    ),
    max_size=30,
)
# Of few days and entities, so that most are corrections; each comes at some share of the time that it has.
corrections = st.lists(
    st.tuples(
        st.sampled_from([date(2026, 1, 1), *DAYS[1:5]]),
        st.sampled_from(["BANK0", "BANK1"]),
        st.sampled_from(NETS),
        st.sampled_from(NETS),
        st.floats(0, 1),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def policies(policy: Policy) -> PolicyHistory:
    """Small books are judged; borrowers, groups and the ten largest by capital, real estate by growth or the book."""

    def figure(value: str) -> Figure:
        return Figure(value=Decimal(value), unit="", source="a test")

    def limit(basis: Any, op: Any, observation: str, warning: str, control: str) -> Limit:
        figures = LevelFigures(observation=figure(observation), warning=figure(warning), control=figure(control))
        return Limit(basis=basis, op=op, figures=figures)

    rules = policy.detectors
    names = replace(
        rules.name_concentration,
        minimum_book=figure("2000"),
        release=figure("0.1"),
        single=limit("net_capital", ">=", "0.1", "0.2", "0.4"),
        single_tier1=limit("tier1_capital", ">", "0.25", "0.5", "0.75"),
        group=limit("net_capital", ">=", "0.2", "0.3", "0.5"),
        group_tier1=limit("book", ">", "0.2", "0.5", "0.75"),
        top_ten=limit("net_capital", ">=", "0.5", "0.8", "1.2"),
    )
    estate = replace(
        rules.real_estate_concentration,
        minimum_book=figure("2000"),
        total=limit("net_capital", ">=", "0.2", "0.4", "0.6"),
        development=limit("tier1_capital", ">", "0.1", "0.2", "0.6"),
        mortgage=limit("book", ">=", "0.25", "0.5", "0.75"),
    )
    industry = replace(rules.industry_concentration, minimum_loans=figure("2"), minimum_book=figure("2000"))
    detectors = replace(
        rules, name_concentration=names, real_estate_concentration=estate, industry_concentration=industry
    )
    return PolicyHistory(replace(policy, detectors=detectors))


def events_of(found: Sequence[tuple[Any, ...]]) -> list[LoanEvent]:
    """As they happened; loans of one borrower share its group and its kind of real estate."""
    events = []
    for number, (day, hour, kind, name, amount) in enumerate(found):
        when = datetime(day.year, day.month, day.day, hour, tzinfo=CN).astimezone(UTC)
        fields: dict[str, Any] = {
            "loan_id": f"L{name}",
            "borrower_id": f"B{name}",
            "entity": f"BANK{name % 2}",
            "group_id": "G" if name < 4 else None,
            "kind": kind,
            "real_estate": ("none", "development", "mortgage")[name % 3],
        }
        events.append(loan(f"e{number:02d}", when, amount, ("K70", "C13")[name // 3], **fields))
    return sorted(events, key=lambda event: (event.event_time, event.event_id))


def day_of(event: LoanEvent) -> date:
    return event.event_time.astimezone(CN).date()


def told(warnings: dict[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    return {
        key: (one.subject, one.severity, one.event_time, one.window.end, one.reasons[0].observed)
        for key, one in warnings.items()
    }


def expected(
    policies: PolicyHistory, events: Sequence[LoanEvent], positions: Sequence[CapitalPosition]
) -> dict[str, tuple[Any, ...]]:
    frames = {"loans": oracle.from_events(events), "capital": oracle.from_events(positions)}
    names = ("subject", "severity", "event_time", "window_end", "observed")
    rows = oracle.warnings(**frames, policies=policies).iter_rows(named=True)
    return {row["warning_id"]: tuple(row[name] for name in names) for row in rows}


def run(policies: PolicyHistory, records: Sequence[LoanEvent | CapitalPosition]) -> dict[str, RiskWarning]:
    pipeline = LocalPipeline(policies)
    return pipeline.run(("capital" if isinstance(one, CapitalPosition) else "loans", one) for one in records)


@given(steps, corrections)
@settings(max_examples=40, deadline=None)
def test_corrections_that_are_there_before_their_day_is_judged_are_as_if_nothing_else_had_been_said(
    policies: PolicyHistory, found: list[tuple[Any, ...]], given_capital: list[tuple[Any, ...]]
) -> None:
    events = events_of(found)
    placed: list[tuple[int, int, LoanEvent | CapitalPosition]] = [(n, 1, one) for n, one in enumerate(events)]
    for as_of, entity, net, tier1, share in given_capital:
        in_time = sum(day_of(event) < as_of for event in events)
        placed.append((int(share * in_time), 0, capital(net, tier1, as_of, entity=entity)))
    records = [one for _, _, one in sorted(placed, key=lambda one: one[:2])]
    positions = [one for one in records if isinstance(one, CapitalPosition)]
    assert told(run(policies, records)) == expected(policies, events, positions)


# -------------------------------------------------------------------- too late


def singles(warnings: dict[str, RiskWarning]) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
    """By id: severity, whether it came late, and what was the evidence, of warnings of the borrower B0."""
    return {
        key: (one.severity, one.late, one.event_ids)
        for key, one in warnings.items()
        if one.subject == "borrower:BANK0:B0" and one.reasons[0].unit == "times net capital"
    }


def history(*days: int) -> list[LoanEvent]:
    """B0 draws 2,000 on 2 March, others lend a little on each of the days, the last of which stays unjudged."""
    own = (date(2026, 3, 2), 9, "disbursed", 0, "2000")
    return events_of([own, *((date(2026, 3, day), 10, "disbursed", 2, "1") for day in days)])


def of_single(policies: PolicyHistory, events: Sequence[LoanEvent], *positions: CapitalPosition) -> set[str]:
    rows = expected(policies, events, positions)
    return {key for key, row in rows.items() if row[0] == "borrower:BANK0:B0"}


def position(net: str, day: int) -> CapitalPosition:
    return capital(net, "1000000", date(2026, 3, day), entity="BANK0")


def test_a_correction_on_the_day_it_governs_is_told_late_under_the_oracles_id(policies: PolicyHistory) -> None:
    events = history(2, 2)
    first, corrected = position("100000", 2), position("5000", 2)
    found = singles(run(policies, [first, *events[:-1], corrected, events[-1]]))
    assert found == {
        next(iter(of_single(policies, events, first, corrected))): ("critical", True, (corrected.event_id,))
    }


def test_one_that_comes_days_later_is_of_the_day_up_to_which_the_book_is_judged(policies: PolicyHistory) -> None:
    events = history(3, 4, 5)
    first, corrected = position("100000", 2), position("5000", 2)
    found = singles(run(policies, [first, *events[:-1], corrected, events[-1]]))
    assert [(severity, late) for severity, late, _ in found.values()] == [("critical", True)]
    (of_stream,), (of_oracle,) = found, of_single(policies, events, first, corrected)
    assert of_stream != of_oracle
    rows = oracle.warnings(
        loans=oracle.from_events(events), capital=oracle.from_events([first, corrected]), policies=policies
    )
    assert rows.filter(rows["warning_id"] == of_oracle)["anchor"].to_list() == ["single|2026-03-02"]


def test_what_the_corrected_position_told_is_not_taken_back(policies: PolicyHistory) -> None:
    events = history(2, 3)
    first, corrected = position("5000", 2), position("100000", 2)
    found = singles(run(policies, [first, *events[:-1], corrected, events[-1]]))
    assert [(severity, late) for severity, late, _ in found.values()] == [("critical", False)]
    assert of_single(policies, events, first, corrected) == set()


def test_one_of_a_past_that_a_newer_position_has_ended_says_nothing_of_today(policies: PolicyHistory) -> None:
    events = history(3, 4, 5)
    positions = [position("100000", 2), position("100000", 3), position("5000", 2)]
    found = singles(run(policies, [*positions[:2], *events[:-1], positions[2], events[-1]]))
    assert found == {}
    assert len(of_single(policies, events, *positions)) == 1


def test_the_same_position_again_is_nothing(policies: PolicyHistory) -> None:
    events = history(2, 3)
    once = run(policies, [position("5000", 2), *events])
    again = run(policies, [position("5000", 2), *events[:-1], position("5000", 2), events[-1]])
    assert [one.revision for one in again.values()] == [one.revision for one in once.values()]
    assert told(again) == told(once)
