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
from models.policy import Policy, PolicyHistory
from models.stages.borrowers import BorrowerState
from tests.borrowers import Lent
from tests.make import at, loan

START, SWITCH, DAYS = at("2026-03-02 00:00"), date(2026, 3, 6), 9
CURRENCIES = ("USD", "CNY", "JPY")
CLASSES = (None, "normal", "special_mention", "substandard", "loss")
KINDS: tuple[str, ...] = (
    "applied",
    "approved",
    "disbursed",
    "disbursed",
    "disbursed",
    "repaid",
    "repaid",
    "written_off",
    "reversed",
)
KINDS += ("reclassified", "reclassified", "reclassified", "overdue", "overdue", "overdue")

steps = st.lists(
    st.tuples(
        st.integers(0, DAYS * 24 - 1),
        st.sampled_from(KINDS),
        st.integers(0, 8),  # loan
        st.sampled_from(["1000", "1000", "2000", "100"]),
        st.sampled_from(CLASSES),
        st.sampled_from([None, 0, 0, 1, 30, 31, 90, 91, 400]),
        st.integers(0, 80),  # hours of delay: more than the lateness, now and then
        st.integers(0, 9),  # sent twice, now and then
    ),
    max_size=50,
)


def arrivals(found: list[tuple[Any, ...]]) -> list[LoanEvent]:
    events = []
    for number, (hour, kind, name, amount, given_class, days, delay, again) in enumerate(found):
        when = (START + timedelta(hours=hour)).astimezone(UTC)
        fields = {"loan_id": f"L{name}", "borrower_id": f"B{name % 2}", "entity": f"BANK{name % 4 // 2}", "kind": kind}
        attributes = {"region": [None, "CN-43"][number % 2], "group_id": [None, "G"][number % 2]}
        said = {"classification": given_class, "days_past_due": days, "currency": CURRENCIES[name % 3]}
        event = loan(f"e{number:02d}", when, amount, "C13" if number % 3 else "", **fields, **attributes, **said)
        events += [(when + timedelta(hours=delay * (1 + i)), event.event_id, event) for i in range(1 + (again == 0))]
    return [event for *_, event in sorted(events, key=lambda one: one[:2])]


class Judged(Lent):
    """What the stage makes of events."""

    @property
    def warnings(self) -> dict[str, tuple[Any, ...]]:
        told = (emit.value for emit in self.emits if emit.topic == "warnings")
        return {one.warning_id: (one.severity, one.window.end, one.reasons[0].observed) for one in told}

    def book(self) -> dict[tuple[str, ...], tuple[Any, ...]]:
        lines: dict[tuple[str, ...], tuple[Any, ...]] = {}
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


def at_zero(book: dict[tuple[str, ...], tuple[Any, ...]]) -> dict[tuple[str, ...], tuple[Any, ...]]:
    """The book without whether a write-off left nothing of a loan: the last step to be taken may not be the newest."""
    return {key: (*row[:-1], row[-1] == "disbursed") for key, row in book.items()}


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
    assert at_zero(judged.book()) == at_zero(expected_book(events, versions) if events else {})
    rows = oracle.warnings(loans=frame, policies=versions).filter(pl.col("detector") == "misclassification")
    wanted = {one["warning_id"]: one for one in rows.iter_rows(named=True)}
    assert judged.warnings == {
        key: (one["severity"], one["window_end"], one["observed"]) for key, one in wanted.items()
    }


lives = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 71),  # hours of delay: within the lateness
            st.sampled_from(["disbursed", "repaid", "written_off", "reversed", "overdue", "reclassified"]),
            st.sampled_from([100, 50, 30]),
            st.sampled_from(CLASSES[1:]),
            st.sampled_from([0, 1, 31, 91, 400]),
        ),
        max_size=14,
    ),
    max_size=5,
)


def complete(found: list[list[tuple[Any, ...]]]) -> tuple[list[LoanEvent], list[LoanEvent]]:
    """Loans of which nothing is missing, each step allowed when it happens: as they happened, and as they arrive."""
    arriving: list[tuple[Any, ...]] = []
    for name, life in enumerate(found):
        fields = {"loan_id": f"L{name}", "borrower_id": f"B{name % 2}", "currency": CURRENCIES[name % 3]}
        owed = 0
        for number, (delay, kind, amount, given_class, days) in enumerate(life):
            # What is owed in parts of 100, 50 and 30; with nothing owed the next step is a disbursement.
            moves = kind in ("repaid", "written_off", "reversed")
            said = {"kind": kind if owed else "disbursed", "classification": given_class, "days_past_due": days}
            if moves and owed:
                amount = min(amount, owed)
            owed += {"disbursed": amount}.get(said["kind"], -amount if moves else 0)
            when = (START + timedelta(hours=4 * number)).astimezone(UTC)
            event = loan(f"e{name}-{number:02d}", when, str(amount), "C13", **fields, **said)
            arriving.append((when + timedelta(hours=delay), when, event.event_id, event))
    happened = [event for *_, event in sorted(arriving, key=lambda one: one[1:3])]
    return happened, [event for *_, event in sorted(arriving, key=lambda one: one[:3])]


@given(lives, st.sets(st.integers(0, 60)))
@settings(max_examples=60)
def test_of_complete_loans_nothing_is_refused_in_any_order(
    versions: PolicyHistory, found: list[list[tuple[Any, ...]]], restarts: set[int]
) -> None:
    happened, arrived = complete(found)
    books = []
    for events in (happened, arrived):
        assert oracle.refusals(loans=oracle.from_events(events), policies=versions).is_empty()
        judged = Judged(versions, events, restarts)
        assert judged.refused == []
        books.append(at_zero(judged.book()))
        assert books[-1] == at_zero(expected_book(events, versions) if events else {})
    # What a loan is follows from the disbursement that was taken first; what is owed does not.
    owed = [{key: row[:1] for key, row in book.items()} for book in books]
    assert owed[0] == owed[1]


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
