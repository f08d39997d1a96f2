"""Loans of every kind of step, in any order that the lateness allows: the stage equals the oracle, with restarts."""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent
from models.oracle.book import book_at
from models.pipeline import MemoryStates
from models.policy import Policy, PolicyHistory
from models.stage import Record, Refused
from models.stages.borrowers import BorrowersStage, BorrowerState
from tests.make import at, loan

START, SWITCH, DAYS = at("2026-03-02 00:00"), date(2026, 3, 6), 9
CURRENCIES = ("USD", "CNY", "JPY")
CLASSES = (None, "normal", "special_mention", "substandard", "loss")
KINDS = ("applied", "approved", "disbursed", "disbursed", "disbursed", "repaid", "repaid", "written_off", "reversed")
KINDS += ("reclassified", "reclassified", "reclassified", "overdue", "overdue", "overdue")

steps = st.lists(
    st.tuples(
        st.integers(0, DAYS * 24 - 1),
        st.sampled_from(KINDS),
        st.integers(0, 8),  # loan
        st.sampled_from(["1000", "1000", "2000", "100"]),
        st.sampled_from(CLASSES),
        st.sampled_from([None, 0, 0, 1, 30, 31, 90, 91, 400]),
        st.integers(0, 70),  # hours of delay
    ),
    max_size=50,
)


def arrivals(found: list[tuple[Any, ...]]) -> list[LoanEvent]:
    events = []
    for number, (hour, kind, name, amount, given_class, days, delay) in enumerate(found):
        when = (START + timedelta(hours=hour)).astimezone(UTC)
        fields = {"loan_id": f"L{name}", "borrower_id": f"B{name % 2}", "entity": f"BANK{name % 4 // 2}", "kind": kind}
        attributes = {"region": [None, "CN-43"][number % 2], "group_id": [None, "G"][number % 2]}
        said = {"classification": given_class, "days_past_due": days, "currency": CURRENCIES[name % 3]}
        event = loan(f"e{number:02d}", when, amount, "C13" if number % 3 else "", **fields, **attributes, **said)
        events.append((when + timedelta(hours=delay), event.event_id, event))
    return [event for *_, event in sorted(events, key=lambda one: one[:2])]


class Judged:
    """What the stage makes of events, carried through bytes after each of `restarts`."""

    def __init__(self, policies: PolicyHistory, events: Sequence[LoanEvent], restarts: set[int]) -> None:
        stage, self.states = BorrowersStage(policies, 1), MemoryStates()
        self.refused: list[tuple[str, str]] = []
        self.warnings: dict[str, tuple[Any, ...]] = {}
        for offset, event in enumerate(events):
            try:
                emits = list(stage.apply(self.states, Record("loans", 0, offset, event.event_time, event, START)))
            except Refused as refusal:
                self.refused.append((event.event_id, refusal.reason))
                continue
            for one in (emit.value for emit in emits if emit.topic == "warnings"):
                self.warnings[one.warning_id] = (one.severity, one.window.end, one.reasons[0].observed)
            if offset in restarts:
                self.states.through_bytes()

    def book(self) -> dict[tuple[str, ...], tuple[Any, ...]]:
        lines = {}
        for borrower, state in self.states.values.items():
            if isinstance(state, BorrowerState):
                for entity, loans in state.loans.items():
                    for name, one in loans.items():
                        zero = "written_off" if one.written_off else "closed"
                        status = (one.balance, one.exposure, one.classification, one.days_past_due)
                        fixed = (one.rate, one.member, one.division, one.region, one.group)
                        stage = "disbursed" if one.balance else zero
                        lines[entity, borrower, name] = (*status, *fixed, stage)
        return lines


def expected_book(events: Sequence[LoanEvent], policies: PolicyHistory) -> dict[tuple[str, ...], tuple[Any, ...]]:
    columns = ("balance", "balance_base", "classification", "days_past_due", "rate", "member", "division", "region")
    frame = book_at(oracle.from_events(events), policies, date(2026, 12, 31))
    frame = frame.filter(pl.col("opened").is_not_null())
    rows = frame.select("entity", "borrower_id", "loan_id", *columns, "group_id", "stage").iter_rows()
    return {tuple(row[:3]): tuple(row[3:]) for row in rows}


@pytest.fixture(scope="module")
def versions(policy: Policy) -> PolicyHistory:
    """Halfway, other figures and another scheme come into force."""
    rule = policy.detectors.misclassification
    special = replace(rule.special_mention_after, value=Decimal(30))
    contagion = replace(rule.contagion_from, value=Decimal("0.5"))
    rule = replace(rule, special_mention_after=special, contagion_from=contagion, severity="low")
    scheme = replace(policy.detectors.industry_concentration, scheme="as_given")
    detectors = replace(policy.detectors, misclassification=rule, industry_concentration=scheme)
    head = replace(policy.policy, version="second", valid_from=at(f"{SWITCH} 00:00"))
    return PolicyHistory(policy, replace(policy, policy=head, detectors=detectors))


@given(steps, st.sets(st.integers(0, 50)))
@settings(max_examples=60)
def test_the_stage_equals_the_oracle(versions: PolicyHistory, found: list[tuple[Any, ...]], restarts: set[int]) -> None:
    events = arrivals(found)
    judged, frame = Judged(versions, events, restarts), oracle.from_events(events)
    assert judged.refused == oracle.refusals(loans=frame, policies=versions).rows()
    assert judged.book() == (expected_book(events, versions) if events else {})
    rows = oracle.warnings(loans=frame, policies=versions).filter(pl.col("detector") == "misclassification")
    wanted = {one["warning_id"]: one for one in rows.iter_rows(named=True)}
    assert judged.warnings == {
        key: (one["severity"], one["window_end"], one["observed"]) for key, one in wanted.items()
    }


@given(steps)
@settings(max_examples=40)
def test_a_state_that_has_been_through_bytes_goes_on_as_one_that_has_not(
    versions: PolicyHistory, found: list[tuple[Any, ...]]
) -> None:
    events = arrivals(found)
    without, with_restarts = Judged(versions, events, set()), Judged(versions, events, set(range(60)))
    assert with_restarts.warnings == without.warnings
    assert with_restarts.refused == without.refused
    without.states.through_bytes()
    assert with_restarts.states.values == without.states.values
