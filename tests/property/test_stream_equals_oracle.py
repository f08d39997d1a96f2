"""The stream equals the oracle: on any events, in any order that the lateness allows, across any restarts."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import CapitalPosition, Counterparty, LoanEvent, PostReport, ReportKind, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import CN, at, loan, report, transaction

START = at("2026-02-11 00:00")  # two working days before Spring Festival, with its make-up Saturday
AMOUNTS = ("1", "49999.99", "50000", "159999.99", "160000", "200000", "399999.99", "400000", "500000", "1600000")
# Near and large by the heightened figures alone.
AMOUNTS_AFTER_REPORTS = ("29999.99", "30000", "249999.99", "250000", "300000", "1000000")
AMOUNTS_LARGE = (*AMOUNTS, *AMOUNTS_AFTER_REPORTS, "2499999.99", "2500000", "10000000")

customers = st.sampled_from(["C1", "C2"])
moments = st.integers(0, 30 * 24 * 4).map(lambda quarter: START + timedelta(minutes=15 * quarter))
counterparties = st.none() | st.builds(
    Counterparty,
    account_id=st.sampled_from(["P1", "P2", "P3", "P4", "P5", "P6"]),
    country=st.sampled_from([None, "CN", "KP"]),
)
transactions = st.builds(
    transaction,
    st.just("t"),
    moments,
    st.sampled_from(AMOUNTS_LARGE),
    branch_id=st.sampled_from([None, "0731", "0732"]),
    customer_id=customers,
    customer_kind=st.sampled_from(["person", "person", "entity"]),
    direction=st.sampled_from(["in", "out"]),
    method=st.sampled_from(["transfer", "transfer", "transfer", "cash"]),
    currency=st.sampled_from(["CNY", "CNY", "CNY", "USD", "EUR", "CHF"]),
    cross_border=st.booleans(),
    origin=st.sampled_from(["customer", "customer", "customer", "bank"]),
    purpose=st.sampled_from([None, None, None, "term_deposit_renewal"]),
    counterparty=counterparties,
)
reports = st.builds(
    report,
    st.just("r"),
    moments,
    customer_id=st.none() | customers,
    kind=st.sampled_from(["abnormal_transaction", *get_args(ReportKind)]),
)
capital = st.builds(
    CapitalPosition,
    entity=st.just("BANK1"),
    as_of=st.sampled_from([date(2026, 1, 1), date(2026, 2, 20)]),
    net_capital=st.sampled_from([Decimal(400_000), Decimal(900_000)]),
    tier1_capital=st.just(Decimal(300_000)),
)


def numbered(events: Sequence[Any], name: str, field: str) -> list[Any]:
    """Ids of their own: one id on two different events is a sender's fault that no bounded memory can find."""
    return [replace(event, **{field: f"{name}{number}"}) for number, event in enumerate(events)]


moves_of = st.lists(transactions, max_size=60).map(lambda events: numbered(events, "t", "event_id"))
reports_of = st.lists(reports, max_size=4).map(lambda events: numbered(events, "r", "report_id"))


def oracle_of(policy: Policy, records: Sequence[tuple[str, Any]]) -> dict[str, tuple[Any, ...]]:
    frames = {
        topic: oracle.from_events([event for one, event in records if one == topic])
        for topic in {topic for topic, _ in records}
    }
    rows = oracle.warnings(**frames, policies=PolicyHistory(policy)).iter_rows(named=True)
    return {row["warning_id"]: (row["severity"], tuple(row["departments"])) for row in rows}


def shown(warnings: dict[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    return {key: (one.severity, one.departments) for key, one in warnings.items()}


def in_time(records: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return sorted(records, key=lambda record: (record[1].event_time, record[1].event_id))


@given(moves_of, reports_of, st.sets(st.integers(0, 63)))
@settings(max_examples=60, deadline=None)
def test_customers_in_order_with_restarts(
    policy: Policy, moves: list[Transaction], told: list[PostReport], restarts: set[int]
) -> None:
    records = in_time([("transactions", one) for one in moves] + [("reports", one) for one in told])
    pipeline = LocalPipeline(PolicyHistory(policy))
    for number, (topic, event) in enumerate(records):
        pipeline.feed(topic, event)
        if number in restarts:
            pipeline.restart()
    pipeline.finish()  # and with it the months that are over
    assert shown(pipeline.warnings) == oracle_of(policy, records)
    refused = {(one.event_id, one.reason) for one in pipeline.refusals}
    frames = {topic: oracle.from_events([one for t, one in records if t == topic]) for topic, _ in records}
    expected = oracle.refusals(**frames, policies=PolicyHistory(policy))
    assert refused == set(expected.iter_rows())


@given(moves_of, reports_of, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_customers_in_any_order_of_arrival(
    policy: Policy, moves: list[Transaction], told: list[PostReport], dice: Any
) -> None:
    """Late, duplicated and interleaved arrivals: the same ids as the oracle sees in the same arrivals."""
    records = [("transactions", one) for one in moves] + [("reports", one) for one in told]
    records = in_time(records)
    delayed = sorted(
        enumerate(records * 2), key=lambda item: item[1][1].event_time + timedelta(hours=dice.random() * 96)
    )
    arrivals = [record for _, record in delayed]
    pipeline = LocalPipeline(PolicyHistory(policy))
    for topic, event in arrivals:
        pipeline.feed(topic, event)
    pipeline.finish()
    assert set(pipeline.warnings) == set(oracle_of(policy, arrivals))


@given(moves_of, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_interleaving_of_customers_does_not_matter(policy: Policy, moves: list[Transaction], dice: Any) -> None:
    moves = sorted(moves, key=lambda one: one.event_time)
    mine = {name: [one for one in moves if one.customer_id == name] for name in ("C1", "C2")}
    whole, mixed = LocalPipeline(PolicyHistory(policy)), LocalPipeline(PolicyHistory(policy))
    for event in moves:
        whole.feed("transactions", event)
    while any(mine.values()):
        queue = mine[dice.choice([name for name in mine if mine[name]])]
        mixed.feed("transactions", queue.pop(0))
    assert told_of(mixed) == told_of(whole)


def told_of(pipeline: LocalPipeline) -> dict[str, RiskWarning]:
    """Without when a currency's warning was told, which both customers share: that is the clock of who came last."""
    return {
        key: replace(one, detected_at=START) if one.detector == "missing_rate" else one
        for key, one in pipeline.warnings.items()
    }


loan_steps = st.lists(
    st.tuples(
        st.integers(0, 30 * 24),
        st.sampled_from(["disbursed", "disbursed", "disbursed", "repaid", "written_off", "approved", "overdue"]),
        st.integers(0, 25),
        st.sampled_from(["K70", "C13", "C14", "J66", "", "A01"]),
        st.sampled_from(["50000", "80000", "120000.01", "300000"]),
        st.sampled_from(["BANK1", "BANK1", "BANK2"]),
    ),
    max_size=90,
)


@given(loan_steps, st.lists(capital, max_size=2), st.sets(st.integers(0, 95)))
@settings(max_examples=60, deadline=None)
def test_the_book_in_order_with_restarts(
    policy: Policy, steps: list[tuple[Any, ...]], positions: list[CapitalPosition], restarts: set[int]
) -> None:
    events: list[LoanEvent] = []
    for number, (hour, kind, name, industry, amount, entity) in enumerate(sorted(steps, key=lambda step: step[0])):
        when: datetime = START + timedelta(hours=hour)
        fields = {"loan_id": f"L{name}", "borrower_id": f"B{name % 7}", "kind": kind, "entity": entity}
        events.append(loan(f"e{number:03d}", when.astimezone(CN), amount, industry, **fields))
    versions = {position.as_of: position for position in positions}
    records = [("capital", one) for one in versions.values()] + [("loans", one) for one in events]
    pipeline = LocalPipeline(PolicyHistory(policy))
    for number, (topic, event) in enumerate(records):
        pipeline.feed(topic, event)
        if number in restarts:
            pipeline.restart()
    pipeline.finish()
    assert shown(pipeline.warnings) == oracle_of(policy, records)
