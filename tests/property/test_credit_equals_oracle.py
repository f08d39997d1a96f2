"""Small loan histories of two entities: the stream's limits, industries, classes and refusals are the oracle's."""

import random
from collections import Counter
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
from models.policy import Detectors, Figure, IndustryGrowth, LevelFigures, Limit, Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Emit, Record
from models.stages.portfolio import PortfolioStage
from tests.books import altered
from tests.borrowers import Lent
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
INDUSTRIES = ["K70", "C13", "", "F51", "K70", "C13", "J66", "F51"]
# Eighteen months, with both ends of each: what an industry grew from is the end of one of them.
MONTHS = [date(2024 + month // 12, month % 12 + 1, 1) for month in range(10, 28)]
MONTH_DAYS = [day for first in MONTHS for day in (first, first + timedelta(days=14), first - timedelta(days=1))]

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
years = st.lists(
    st.tuples(
        st.sampled_from(MONTH_DAYS),
        st.integers(0, 23),
        st.sampled_from(["disbursed"] * 5 + ["repaid"] * 3 + ["written_off"]),
        st.integers(0, 7),
        st.sampled_from(["100", "200", "300", "500", "1000"]),
        st.just(0),
        st.just("normal"),
        st.integers(0, 80),
        st.none(),
        st.integers(0, 5),
    ),
    min_size=10,
    max_size=60,
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


def level_figures(*levels: str) -> LevelFigures:
    observation, warning, control = (figure(one) for one in levels)
    return LevelFigures(observation=observation, warning=warning, control=control)


def limit(basis: Any, op: Any, *levels: str, **more: Figure) -> Limit:
    return Limit(basis=basis, op=op, figures=level_figures(*levels), **more)


@pytest.fixture(scope="module")
def versions(policy: Policy) -> tuple[Policy, Policy]:
    """Small books are judged, by every kind of limit; from `SWITCH` on by other figures and without some of them."""
    rules = policy.detectors
    industry = replace(
        rules.industry_concentration,
        minimum_loans=figure("2"),
        minimum_book=figure("2000"),
        growth=IndustryGrowth(months=figure("36"), figures=level_figures("0.2", "0.5", "1"), share_from=figure("0.1")),
        hhi=level_figures("0.4", "0.5", "0.7"),
    )
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


@pytest.fixture(scope="module")
def growing() -> PolicyHistory:
    """Industries that grow within two months, then within twelve, then within three; for a while without the HHI."""
    table = "detectors.industry_concentration"
    small = (
        (table, 'value = "1000000"', 'value = "500"'),
        (table, "value = 20", "value = 1"),
        (f"{table}.share", '"0.15"', '"0.40"'),
        (f"{table}.share", '"0.20"', '"0.60"'),
        (f"{table}.share", '"0.25"', '"0.80"'),
        (f"{table}.hhi", '"0.15"', '"0.36"'),
        (f"{table}.hhi", '"0.18"', '"0.50"'),
        (f"{table}.hhi", '"0.25"', '"0.82"'),
        ("episodes", "remember = { value = 80", "remember = { value = 4000"),
    )

    def version(name: str, day: str, *changes: tuple[str, str, str]) -> Policy:
        made = altered("cn.toml", *small, *changes)
        return replace(made, policy=replace(made.policy, version=name, valid_from=at(f"{day} 00:00")))

    two, three = ((f"{table}.growth", "value = 12", f"value = {months}") for months in (2, 3))
    faster = (f"{table}.growth.figures", '"0.30"', '"0.45"')
    wider = (table, '"0.01"', '"0.04"')
    blind = version("blind", "2025-10-08")
    rule = replace(blind.detectors.industry_concentration, hhi=None)
    blind = replace(blind, detectors=replace(blind.detectors, industry_concentration=rule))
    return PolicyHistory(version("two", "2024-01-01", two), blind, version("three", "2025-12-31", three, faster, wider))


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
        event = loan(f"e{number:03d}", when, amount, INDUSTRIES[name], **fields)
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


def in_order(
    policies: PolicyHistory, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition], restarts: set[int]
) -> LocalPipeline:
    """What has come through all stages, restarted after so many events."""
    pipeline = LocalPipeline(policies)
    for one in capital:
        pipeline.feed("capital", one)
    for number, event in enumerate(events):
        pipeline.feed("loans", event)
        if number in restarts:
            pipeline.restart()
    pipeline.finish()
    return pipeline


@given(steps, capitals, st.sets(st.integers(0, 50)))
@settings(max_examples=40, deadline=None)
def test_in_order_the_stream_equals_the_oracle(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_capital: list[Any], restarts: set[int]
) -> None:
    policies, events, capital = PolicyHistory(*versions), events_of(found, late=False), positions(given_capital)
    pipeline = in_order(policies, events, capital, restarts)
    # What still waits at the end is refused after all others.
    assert sorted((one.event_id, one.reason) for one in pipeline.refusals) == sorted(refused(policies, events))
    assert told(pipeline.warnings) == expected(policies, events, capital)


@given(years, capitals, st.sets(st.integers(0, 60)))
@settings(max_examples=40, deadline=None)
def test_industries_grow_over_years_as_the_oracle_says(
    growing: PolicyHistory, found: list[tuple[Any, ...]], given_capital: list[Any], restarts: set[int]
) -> None:
    events, capital = events_of(found, late=False), positions(given_capital)
    pipeline = in_order(growing, events, capital, restarts)
    assert told(pipeline.warnings) == expected(growing, events, capital)


def by_chance(dice: random.Random) -> tuple[Any, ...]:
    """As one of `years`."""
    kind = dice.choice(["disbursed"] * 5 + ["repaid"] * 3 + ["written_off"])
    amount = dice.choice(["100", "200", "300", "500", "1000"])
    when = dice.choice(MONTH_DAYS), dice.randint(0, 23)
    return *when, kind, dice.randint(0, 7), amount, 0, "normal", dice.randint(0, 80), None, dice.randint(0, 4)


def test_a_long_history_of_growth(growing: PolicyHistory) -> None:
    """Enough of them that every way to a level and out of it is taken."""
    dice = random.Random(20260301)  # noqa: S311 - a test's dice
    ways: Counter[str] = Counter()
    for _ in range(6):
        events = events_of([by_chance(dice) for _ in range(300)], late=False)
        warnings = in_order(growing, events, [], set(range(0, 300, 50))).warnings
        assert told(warnings) == expected(growing, events, [])
        ways.update(one.reasons[0].code for one in warnings.values())
    assert min(ways["growth"], ways["hhi"], ways["share_of_book"]) >= 20, ways


@given(steps, capitals)
@settings(max_examples=40, deadline=None)
def test_late_events_that_the_book_has_waited_for_are_judged_as_by_the_oracle(
    versions: tuple[Policy, Policy], found: list[tuple[Any, ...]], given_capital: list[Any]
) -> None:
    waited_for(PolicyHistory(*versions), events_of(found, late=True), positions(given_capital))


@given(years, capitals)
@settings(max_examples=30, deadline=None)
def test_late_events_of_years_grow_as_the_oracle_says(
    growing: PolicyHistory, found: list[tuple[Any, ...]], given_capital: list[Any]
) -> None:
    waited_for(growing, events_of(found, late=True), positions(given_capital))


def waited_for(policies: PolicyHistory, events: Sequence[LoanEvent], capital: Sequence[CapitalPosition]) -> None:
    """The portfolio hears of nothing before all has arrived, as beside a partition that is far behind."""
    lent, portfolio, books = Lent(policies, events), PortfolioStage(policies), MemoryStates()
    assert lent.refused == refused(policies, events)
    end = LoanWatermark(loans_partition=0, loans_partitions=1, caught_up_at=END_OF_TIME)
    emits, deltas = [*lent.emits], [emit.value for emit in lent.emits if isinstance(emit.value, LoanDeltas)]
    records = [("capital", one) for one in capital] + [("portfolio.deltas", one) for one in [*deltas, end]]
    for topic, message in records:
        emits += portfolio.apply(books, Record(topic, 0, 0, END_OF_TIME, message, END_OF_TIME))
        emits += portfolio.flush(books)
    judged = {key: row for key, row in expected(policies, events, capital).items() if row[0] != "missing_rate"}
    assert told(warned(emits)) == judged


def warned(emits: Iterable[Emit]) -> dict[str, RiskWarning]:
    """The last revision of each warning."""
    return {emit.value.warning_id: emit.value for emit in emits if emit.topic == "warnings"}
