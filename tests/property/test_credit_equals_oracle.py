"""Small loan histories of two entities: the stream's limits, classes and refusals are the oracle's."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, LoanEvent
from models.messages import LoanDeltas, LoanWatermark
from models.pipeline import END_OF_TIME, LocalPipeline, MemoryStates
from models.policy import Detectors, Figure, LevelFigures, Limit, Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Emit, Record, Refused
from models.stages.borrowers import BorrowersStage
from models.stages.portfolio import PortfolioStage
from tests.make import CN, at, loan

pytestmark = pytest.mark.filterwarnings("error")
SWITCH = date(2026, 3, 5)
# Around both ends of 36 months, and the days on which figures and capital change.
FIRST_DAYS = [date(2023, 3, 30), date(2023, 3, 31), date(2023, 4, 1)]
LAST_DAYS = [date(2026, 3, day) for day in range(2, 9)] + [date(2026, 4, 1)]
KINDS = ["disbursed"] * 8 + ["repaid"] * 4 + ["overdue", "reclassified"] * 3 + ["written_off", "reversed", "approved"]
CLASSES = ["normal", "special_mention", "substandard", "loss"]
CURRENCIES = ["CNY", "CNY", "USD", "CNY", "EUR"]  # of the loans L0, L1 ...
ESTATES = ["none", "development", "mortgage"]

steps = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(FIRST_DAYS), st.sampled_from(LAST_DAYS), st.sampled_from(LAST_DAYS)),
        st.integers(0, 23),
        st.sampled_from(KINDS),
        st.integers(0, 7),
        st.sampled_from(["500", "1000", "1000", "2000", "3000"]),
        st.sampled_from([0, 1, 90, 91, 400]),
        st.sampled_from(CLASSES),
        st.integers(0, 80),  # hours late
        st.sampled_from([None, None, None, "G1", "G2"]),
        st.integers(0, 5),  # now and then in another currency, or sent twice
    ),
    max_size=50,
)
capitals = st.lists(
    st.tuples(
        st.sampled_from([date(2022, 1, 1), date(2026, 1, 1), *LAST_DAYS]),
        st.sampled_from(["BANK0", "BANK1"]),
        st.sampled_from(["5000", "8000", "10000", "20000"]),
        st.sampled_from(["4000", "8000", "10000"]),
    ),
    max_size=6,
    unique_by=lambda one: one[:2],
)


def figure(value: str) -> Figure:
    return Figure(value=Decimal(value), unit="", source="a test")


def limit(basis: Any, op: Any, *levels: str, **more: Figure) -> Limit:
    observation, warning, control = (figure(one) for one in levels)
    figures = LevelFigures(observation=observation, warning=warning, control=control)
    return Limit(basis=basis, op=op, figures=figures, **more)


@pytest.fixture(scope="module")
def versions(policy: Policy) -> tuple[Policy, Policy]:
    """Small books are judged, by every kind of limit; from `SWITCH` on by other figures and without some of them."""
    rules = policy.detectors
    industry = replace(rules.industry_concentration, minimum_loans=figure("2"), minimum_book=figure("2000"))
    estate = replace(
        rules.real_estate_concentration,
        minimum_book=figure("3000"),
        release=figure("0.1"),
        total=limit("net_capital", ">=", "0.2", "0.4", "0.6", growth=figure("0.5")),
        development=limit("book", ">", "0.25", "0.4", "0.6", allowance=figure("0.05")),
        mortgage=limit("book", ">=", "0.25", "0.5", "0.75"),
    )
    names = replace(
        rules.name_concentration,
        minimum_book=figure("3000"),
        release=figure("0.1"),
        single=limit("net_capital", ">=", "0.1", "0.2", "0.4"),
        single_tier1=limit("tier1_capital", ">", "0.25", "0.5", "0.75"),
        group=limit("net_capital", ">=", "0.2", "0.3", "0.5"),
        group_tier1=limit("book", ">", "0.2", "0.5", "0.75"),
        top_ten=limit("net_capital", ">=", "0.5", "0.8", "1.2"),
    )
    first = replace(rules, industry_concentration=industry, real_estate_concentration=estate, name_concentration=names)
    second = replace(
        first,
        real_estate_concentration=replace(estate, release=figure("0.3"), development=None),
        name_concentration=replace(names, minimum_book=figure("5000"), single=limit("book", ">=", "0.3", "0.5", "0.8")),
        misclassification=replace(rules.misclassification, contagion_from=figure("0.3")),
    )
    # Three years pass in these histories: a warning that is over and forgotten within them is not what they are about.
    episodes = replace(policy.episodes, remember=figure("4000"))

    def version(name: str, valid_from: datetime, detectors: Detectors) -> Policy:
        head = replace(policy.policy, version=name, valid_from=valid_from)
        return replace(policy, policy=head, episodes=episodes, detectors=detectors)

    return (
        version("first", at("2020-01-01 00:00"), first),
        version("second", at(f"{SWITCH} 00:00"), second),
    )


def events_of(found: list[tuple[Any, ...]], *, late: bool) -> list[LoanEvent]:
    """In order of arrival: as they happened, or each some hours later; some of them twice."""
    arriving = []
    for number, (day, hour, kind, name, amount, days, given_class, delay, group, oddity) in enumerate(found):
        when = datetime(day.year, day.month, day.day, hour, tzinfo=CN).astimezone(UTC)
        fields: dict[str, Any] = {
            "loan_id": f"L{name}",
            "borrower_id": f"B{name % 4}",
            "entity": f"BANK{name % 2}",
            "kind": kind,
            "currency": "CNY" if oddity == 5 else CURRENCIES[name % len(CURRENCIES)],
            "real_estate": ESTATES[name % len(ESTATES)],
            "group_id": group,
            "days_past_due": days if kind == "overdue" else None,
            "classification": given_class if kind == "reclassified" else None,
        }
        event = loan(f"e{number:02d}", when, amount, "K70", **fields)
        if kind in ("overdue", "reclassified"):
            event = replace(event, amount=None)
        for again in range(1 + (oddity == 4)):
            arriving.append((when + timedelta(hours=delay * late), event.event_id, again, event))
    return [event for *_, event in sorted(arriving, key=lambda one: one[:3])]


def positions(found: list[tuple[Any, ...]]) -> list[CapitalPosition]:
    return [
        CapitalPosition(entity=entity, as_of=as_of, net_capital=Decimal(net), tier1_capital=Decimal(tier1))
        for as_of, entity, net, tier1 in found
    ]


def told(warnings: dict[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    return {
        key: (
            *(one.detector, one.subject, one.severity, one.departments),
            *(one.event_time, one.window.end, one.reasons[0].observed),
        )
        for key, one in warnings.items()
    }


def expected(
    policies: PolicyHistory, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition]
) -> dict[str, tuple[Any, ...]]:
    frames = {"loans": oracle.from_events(events), "capital": oracle.from_events(capital)}
    rows = oracle.warnings(**frames, policies=policies).iter_rows(named=True)
    names = ("detector", "subject", "severity", "departments", "event_time", "window_end", "observed")
    return {
        row["warning_id"]: tuple(tuple(row[name]) if name == "departments" else row[name] for name in names)
        for row in rows
    }


def refused(policies: PolicyHistory, events: Sequence[LoanEvent]) -> list[tuple[str, str]]:
    return oracle.refusals(loans=oracle.from_events(events), policies=policies).rows()


@given(steps, capitals, st.sets(st.integers(0, 50)))
@settings(max_examples=40, deadline=None)
def test_in_order_the_stream_equals_the_oracle(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_capital: list[Any], restarts: set[int]
) -> None:
    policies, events, capital = PolicyHistory(*versions), events_of(found, late=False), positions(given_capital)
    pipeline = LocalPipeline(policies)
    for one in capital:
        pipeline.feed("capital", one)
    for number, event in enumerate(events):
        pipeline.feed("loans", event)
        if number in restarts:
            pipeline.restart()
    pipeline.finish()
    assert [(one.event_id, one.reason) for one in pipeline.refusals] == refused(policies, events)
    assert told(pipeline.warnings) == expected(policies, events, capital)


@given(steps, capitals)
@settings(max_examples=40, deadline=None)
def test_late_events_that_the_book_has_waited_for_are_judged_as_by_the_oracle(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_capital: list[Any]
) -> None:
    """The portfolio hears of nothing before all has arrived, as beside a partition that is far behind."""
    policies, events, capital = PolicyHistory(*versions), events_of(found, late=True), positions(given_capital)
    borrowers, portfolio = BorrowersStage(policies, 1), PortfolioStage(policies)
    mine, books = MemoryStates(), MemoryStates()
    refusals, emits = [], list[Emit]()
    for offset, event in enumerate(events):
        try:
            emits += borrowers.apply(mine, Record("loans", 0, offset, event.event_time, event, event.event_time))
        except Refused as refusal:
            refusals.append((event.event_id, refusal.reason))
    emits += borrowers.flush(mine)
    assert refusals == refused(policies, events)
    end = LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=END_OF_TIME)
    deltas = [emit.value for emit in emits if isinstance(emit.value, LoanDeltas)]
    records = [("capital", one) for one in capital] + [("portfolio.deltas", one) for one in [*deltas, end]]
    for topic, message in records:
        emits += portfolio.apply(books, Record(topic, 0, 0, END_OF_TIME, message, END_OF_TIME))
        emits += portfolio.flush(books)
    judged = {key: row for key, row in expected(policies, events, capital).items() if row[0] != "missing_rate"}
    assert told(warned(emits)) == judged


def warned(emits: Iterable[Emit]) -> dict[str, RiskWarning]:
    """The last revision of each warning."""
    return {emit.value.warning_id: emit.value for emit in emits if emit.topic == "warnings"}
