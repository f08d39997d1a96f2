"""Loans in several currencies under rates that change by day, drawn again and repaid, with events that come late."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.credit.industry import Scheme
from models.events import LoanEvent
from models.messages import LoanDeltas, LoanWatermark, PortfolioEntry
from models.pipeline import END_OF_TIME, LocalPipeline, MemoryStates
from models.policy import LevelFigures, Policy, PolicyHistory
from models.reference import Rate
from models.risk_warning import RiskWarning
from models.stage import Emit, Record
from models.stages.portfolio import PortfolioStage
from tests.borrowers import Lent
from tests.make import at, loan

pytestmark = pytest.mark.filterwarnings("error")
START, SWITCH, DAYS = at("2026-03-02 00:00"), date(2026, 3, 6), 9
CURRENCIES = ("USD", "EUR", "CNY", "USD", "JPY")  # of the loans L0, L1 ...
SIGN = {"disbursed": 1, "repaid": -1, "written_off": -1, "reversed": -1}

rates = st.dictionaries(
    st.tuples(st.sampled_from(["USD", "EUR", "JPY"]), st.integers(0, DAYS)),
    st.sampled_from(["0.05", "6.9", "7.123457", "7.1234567891234567", "8.2", "19"]),
    max_size=12,
).map(
    lambda found: [
        Rate(currency=code, as_of=START.date() + timedelta(days=day), rate=Decimal(value), source="a test")
        for (code, day), value in found.items()
    ]
)
steps = st.lists(
    st.tuples(
        st.integers(0, DAYS * 24 - 1),
        st.sampled_from(
            ["disbursed", "disbursed", "disbursed", "repaid", "repaid", "written_off", "reversed", "overdue"]
        ),
        st.integers(0, 9),
        st.sampled_from(["K70", "C13", "J66", ""]),
        st.sampled_from(["1000", "1000", "2000", "3000"]),
        st.integers(0, 80),
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def versions(policy: Policy) -> tuple[Policy, Policy]:
    """Small books are judged; from `SWITCH` on industries are named as given and the levels are others."""

    def version(name: str, valid_from: datetime, scheme: Scheme, levels: Sequence[str]) -> Policy:
        rule = policy.detectors.industry_concentration
        shares = [
            replace(one, value=Decimal(value))
            for one, value in zip((rule.share.observation, rule.share.warning, rule.share.control), levels, strict=True)
        ]
        share = LevelFigures(observation=shares[0], warning=shares[1], control=shares[2])
        few = replace(rule.minimum_loans, value=Decimal(3))
        least = replace(rule.minimum_book, value=Decimal(9000))
        rule = replace(rule, minimum_loans=few, minimum_book=least, share=share, scheme=scheme)
        head = replace(policy.policy, version=name, valid_from=valid_from)
        return replace(policy, policy=head, detectors=replace(policy.detectors, industry_concentration=rule))

    return (
        version("first", at("2020-01-01 00:00"), "gbt4754", ("0.3", "0.5", "0.7")),
        version("second", at(f"{SWITCH} 00:00"), "as_given", ("0.4", "0.6", "0.8")),
    )


def events_of(found: list[tuple[Any, ...]], *, late: bool) -> list[LoanEvent]:
    """In order of arrival: as they happened, or each some hours later."""
    events = []
    for number, (hour, kind, name, industry, amount, delay) in enumerate(found):
        when = (START + timedelta(hours=hour)).astimezone(UTC)
        fields = {"loan_id": f"L{name}", "borrower_id": f"B{name % 4}", "entity": f"BANK{name % 2}", "kind": kind}
        currency = CURRENCIES[name % len(CURRENCIES)]
        event = loan(f"e{number:02d}", when, amount, industry, currency=currency, **fields)
        events.append((when + timedelta(hours=delay * late), event.event_id, event))
    return [event for *_, event in sorted(events, key=lambda one: one[:2])]


def told(warnings: dict[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    return {key: (one.severity, one.departments, one.window.end) for key, one in warnings.items()}


def expected(policies: PolicyHistory, events: Sequence[LoanEvent]) -> dict[str, tuple[Any, ...]]:
    rows = oracle.warnings(loans=oracle.from_events(events), policies=policies).iter_rows(named=True)
    return {row["warning_id"]: (row["severity"], tuple(row["departments"]), row["window_end"]) for row in rows}


@given(steps, rates, st.sets(st.integers(0, 60)))
@settings(max_examples=50, deadline=None)
def test_in_order_the_stream_equals_the_oracle(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_rates: list[Rate], restarts: set[int]
) -> None:
    policies, events = PolicyHistory(*versions, rates=given_rates), events_of(found, late=False)
    pipeline = LocalPipeline(policies)
    for number, event in enumerate(events):
        pipeline.feed("loans", event)
        if number in restarts:
            pipeline.restart()
    pipeline.finish()
    assert told(pipeline.warnings) == expected(policies, events)


@given(steps, rates)
@settings(max_examples=50, deadline=None)
def test_late_events_that_the_book_has_waited_for_are_judged_as_by_the_oracle(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_rates: list[Rate]
) -> None:
    """The portfolio hears of nothing before all has arrived, as beside a partition that is far behind."""
    policies, events = PolicyHistory(*versions, rates=given_rates), events_of(found, late=True)
    lent, portfolio, books = Lent(policies, events), PortfolioStage(policies), MemoryStates()
    assert lent.refused == oracle.refusals(loans=oracle.from_events(events), policies=policies).rows()
    end = LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=END_OF_TIME)
    deltas = [emit.value for emit in lent.emits if isinstance(emit.value, LoanDeltas)]
    warnings = {}
    for message in [*deltas, end]:
        for emit in portfolio.apply(books, Record("portfolio.deltas", 0, 0, END_OF_TIME, message, END_OF_TIME)):
            if emit.topic == "warnings":
                warnings[emit.value.warning_id] = emit.value
    assert told(warnings) == expected(policies, events)


@given(steps, rates)
@settings(max_examples=50, deadline=None)
def test_no_book_falls_below_zero_and_a_repaid_one_ends_at_it(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_rates: list[Rate]
) -> None:
    policies, events = PolicyHistory(*versions, rates=given_rates), events_of(found, late=True)
    pipeline = LocalPipeline(policies)
    book: dict[str, PortfolioEntry] = {}
    for event in events:
        book |= lines_of(pipeline.feed("loans", event))
    book |= lines_of(pipeline.finish())
    refused = {one.event_id for one in pipeline.refusals}
    loans = [event for event in events if event.event_id not in refused and event.kind in SIGN]
    told_of = [one for one in book.values() if one.dimension in ("industry", "entity")]
    assert {one.key: Fraction(one.exposure) for one in told_of} == exposures(loans, policies)

    balances: dict[str, Decimal] = {}
    opened: dict[str, LoanEvent] = {}
    for event in loans:
        opened.setdefault(event.loan_id, event)
        balances[event.loan_id] = balances.get(event.loan_id, Decimal(0)) + moved(event)
    later = START + timedelta(days=DAYS + 1)
    for name, balance in balances.items():
        if balance:
            paid = replace(opened[name], event_id=f"end-{name}", event_time=later, kind="repaid", amount=balance)
            book |= lines_of(pipeline.feed("loans", paid))
    book |= lines_of(pipeline.finish())
    assert {(one.exposure, one.loans) for one in book.values()} <= {(0, 0)}


def lines_of(emits: Iterable[Emit]) -> dict[str, PortfolioEntry]:
    lines = {emit.key: emit.value for emit in emits if emit.topic == "portfolio"}
    for one in lines.values():
        assert 0 <= one.exposure <= one.total
        assert one.loans >= 0
    return lines


def moved(event: LoanEvent) -> Decimal:
    assert event.amount is not None
    return SIGN[event.kind] * event.amount


def exposures(loans: Sequence[LoanEvent], policies: PolicyHistory) -> dict[str, Fraction]:
    """Each line of the books from the rule itself: every loan at the rate and in the industry of its opening."""
    opened: dict[str, tuple[str, Fraction]] = {}
    sums: dict[str, Fraction] = {}
    for event in loans:
        if event.kind == "disbursed" and event.loan_id not in opened:
            on = event.event_time.astimezone(START.tzinfo).date()
            code = event.industry if on >= SWITCH else event.industry[:1]
            opened[event.loan_id] = code or "unknown", Fraction(policies.on(on).rates[event.currency])
    for event in loans:
        industry, rate = opened[event.loan_id]
        for key in (f"{event.entity}|industry|{industry}", f"{event.entity}|entity|{event.entity}"):
            sums[key] = sums.get(key, Fraction()) + Fraction(moved(event)) * rate
    return sums
