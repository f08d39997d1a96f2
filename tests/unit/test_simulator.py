"""The simulated bank: the same for a seed, always valid, labelled, and its dirt harmless to what is found."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from connectors.sources.simulator import (
    SCENARIOS,
    Event,
    Label,
    Poison,
    disturbed,
    poisoned,
    simulate,
    topic_of,
    write_labels,
)
from models.events import CapitalPosition, LoanEvent, PostReport, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory, parse_policy

ROOT = Path(__file__).parents[2]
START = date(2026, 3, 2)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy((ROOT / "deploy/policy/cn.toml").read_bytes())


@pytest.fixture(scope="module")
def month(policy: Policy) -> tuple[list[Event], tuple[Label, ...]]:
    simulation = simulate(7, 120, 31, START, policy)
    return list(simulation), simulation.labels


def as_bytes(events: Iterable[Event]) -> bytes:
    return b"\n".join(msgspec.json.encode(event) for event in events)


def pipeline(events: Iterable[Event], policy: Policy) -> LocalPipeline:
    local = LocalPipeline(PolicyHistory(policy))
    local.run((topic_of(event), event) for event in events)
    return local


def test_one_seed_gives_one_bank(policy: Policy) -> None:
    simulation = simulate(7, 60, 10, START, policy)
    first, labels = as_bytes(simulation), simulation.labels
    assert as_bytes(simulation) == first
    assert simulation.labels == labels
    assert as_bytes(simulate(7, 60, 10, START, policy)) == first
    assert as_bytes(simulate(8, 60, 10, START, policy)) != first


def test_every_event_passes_its_own_checks_on_the_wire(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    for event in month[0]:
        assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event
        if isinstance(event, Transaction):
            assert event.amount == event.amount.quantize(Decimal("0.01"))
            assert event.event_id.startswith("sim-7-t")


def test_events_come_in_order_of_their_times_under_ids_of_their_own(
    month: tuple[list[Event], tuple[Label, ...]], policy: Policy
) -> None:
    calendar = policy.bank_calendar
    times = [
        calendar.day_window(event.as_of)[0] if isinstance(event, CapitalPosition) else event.event_time
        for event in month[0]
    ]
    assert times == sorted(times)
    ids = [event.event_id for event in month[0]]
    assert len(ids) == len(set(ids))


def test_all_sides_of_a_bank_are_there(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    events = month[0]
    assert {type(event) for event in events} == {Transaction, PostReport, LoanEvent, CapitalPosition}
    transactions = [event for event in events if isinstance(event, Transaction)]
    assert {"salary", "rent", "goods", "interest", "account_fee"} <= {one.purpose for one in transactions}
    assert {one.origin for one in transactions if one.purpose in ("interest", "account_fee")} == {"bank"}
    assert {one.method for one in transactions} == {"cash", "transfer"}
    assert any(one.currency != "CNY" and one.cross_border for one in transactions)
    kinds = Counter(event.kind for event in events if isinstance(event, LoanEvent))
    assert kinds["applied"] >= kinds["approved"] >= kinds["disbursed"] > 20


def test_counters_work_in_the_banks_hours_only(month: tuple[list[Event], tuple[Label, ...]], policy: Policy) -> None:
    calendar = policy.bank_calendar
    seen = 0
    for event in month[0]:
        if isinstance(event, LoanEvent) or (isinstance(event, Transaction) and event.teller_id):
            seen += 1
            local = event.event_time.astimezone(calendar.zone)
            assert calendar.is_working_day(local.date()), event
            assert calendar.config.opens <= local.time() <= calendar.config.closes, event
    assert seen > 50


def test_wages_are_paid_on_both_sides_at_the_end_of_the_month(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    wages = [event for event in month[0] if isinstance(event, Transaction) and event.purpose == "salary"]
    assert {event.event_time.date().isoformat() for event in wages} <= {"2026-03-27", "2026-03-30", "2026-03-31"}
    paid = Counter(event.amount for event in wages if event.direction == "out")
    assert paid
    assert paid == Counter(event.amount for event in wages if event.direction == "in")


def test_no_loan_is_repaid_beyond_what_was_lent(policy: Policy) -> None:
    balances: Counter[str] = Counter()
    cents: dict[str, Decimal] = {}
    for event in simulate(3, 60, 800, START, policy, scenarios=("industry_drift",)):
        if isinstance(event, LoanEvent) and event.amount is not None and event.kind in ("disbursed", "repaid"):
            sign = 1 if event.kind == "disbursed" else -1
            cents[event.loan_id] = cents.get(event.loan_id, Decimal(0)) + sign * event.amount
            balances[event.kind] += 1
            assert cents[event.loan_id] >= 0
    assert balances["repaid"] > 50
    assert Decimal(0) in cents.values()


@pytest.mark.parametrize("transactions", [1, 999, 20_000])
def test_as_many_transactions_as_asked_for(policy: Policy, transactions: int) -> None:
    simulation = simulate(7, 40, 30, START, policy, transactions=transactions)
    events = list(simulation)
    assert sum(isinstance(event, Transaction) for event in events) == transactions
    last = events[-1]
    assert isinstance(last, Transaction)
    if transactions == 20_000:
        assert abs(last.event_time.date() - (START + timedelta(days=30))) < timedelta(days=5)
        assert {label.scenario for label in simulation.labels} == set(SCENARIOS)


def test_labels_name_events_that_exist_and_their_customers(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    events, labels = month
    by_id = {event.event_id: event for event in events}
    assert {label.scenario for label in labels} == set(SCENARIOS)
    for label in labels:
        for one in label.event_ids:
            event = by_id[one]
            if isinstance(event, LoanEvent):
                assert label.subject == f"industry:{event.entity}:{event.industry[0]}"
            else:
                assert not isinstance(event, CapitalPosition)
                assert label.subject == f"customer:{event.customer_id}"
                assert label.window.start < event.event_time < label.window.end


def test_a_report_names_the_transactions_it_is_on(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    events, labels = month
    label = next(label for label in labels if label.scenario == "teller_report")
    report = next(event for event in events if event.event_id == label.event_ids[-1])
    assert isinstance(report, PostReport)
    assert report.kind == "abnormal_transaction"
    assert report.transaction_ids == label.event_ids[:-1]


def test_a_dormant_customer_is_silent_for_a_year_before_it_wakes(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    events, labels = month
    label = next(label for label in labels if label.scenario == "dormant_reactivation")
    own = [
        event.event_time
        for event in events
        if isinstance(event, Transaction)
        and event.origin == "customer"
        and f"customer:{event.customer_id}" == label.subject
        and event.event_time < label.window.end
    ]
    assert own[1] - own[0] > timedelta(days=365)


def test_the_scenarios_with_a_detector_are_found(month: tuple[list[Event], tuple[Label, ...]], policy: Policy) -> None:
    events, labels = month
    local = pipeline(events, policy)
    assert not local.refusals
    warned = {(warning.detector, warning.subject): warning for warning in local.warnings.values()}
    finders = {
        "frequent_same_day": "frequent_large_transfers",
        "frequent_consecutive_days": "frequent_large_transfers",
        "suspicious_payees": "frequent_large_transfers",
        "teller_report": "teller_report",
        "large_transaction": "large_transaction",
        "industry_drift": "industry_concentration",
    }
    for label in labels:
        if label.scenario in finders:
            assert (finders[label.scenario], label.subject) in warned, label
    suspicious = next(label for label in labels if label.scenario == "suspicious_payees")
    codes = {reason.code for reason in warned["frequent_large_transfers", suspicious.subject].reasons}
    assert {"transfers_in_a_day", "high_risk_country", "many_payees"} <= codes
    drift = next(label for label in labels if label.scenario == "industry_drift")
    assert warned["industry_concentration", drift.subject].severity == "critical"


def test_without_scenarios_only_routine_is_found(policy: Policy) -> None:
    simulation = simulate(11, 150, 31, START, policy, scenarios=())
    local = pipeline(simulation, policy)
    assert simulation.labels == ()
    # A bank that begins today knows nobody: a firm's first payroll goes to new payees, as scatter_gather sees it.
    routine = {"large_transaction", "scatter_gather", "complaint", "referral", "system_fault", "inspection"}
    assert {warning.detector for warning in local.warnings.values()} <= routine


@pytest.mark.parametrize(("name", "home"), [("cn", "CN"), ("us", "US"), ("eu", "DE")])
def test_what_stays_at_home_crosses_no_border(name: str, home: str) -> None:
    """The EU's calendar is that of a market, which has no country."""
    policy = parse_policy((ROOT / f"deploy/policy/{name}.toml").read_bytes())
    events = [one for one in simulate(7, 60, 10, date(2027, 11, 1), policy) if isinstance(one, Transaction)]
    abroad = [one for one in events if one.cross_border]
    assert abroad
    assert len(abroad) < len(events) / 4
    assert not [one for one in abroad if one.counterparty and one.counterparty.country == home]


def test_dirt_changes_the_order_of_arrival_and_nothing_that_is_found(
    month: tuple[list[Event], tuple[Label, ...]], policy: Policy
) -> None:
    events = month[0]
    dirty = list(disturbed(events, 5, duplicates=0.05, late=0.05, policy=policy))
    assert as_bytes(dirty) == as_bytes(disturbed(events, 5, duplicates=0.05, late=0.05, policy=policy))
    assert len(dirty) > len(events) * 1.03
    assert {one.event_id for one in dirty} == {one.event_id for one in events}
    times = [one.event_time for one in dirty if isinstance(one, Transaction)]
    assert times != sorted(times)
    newest = times[0]
    for time in times:
        newest = max(newest, time)
        assert time >= newest - policy.lateness
    clean, disturbed_run = pipeline(events, policy), pipeline(dirty, policy)
    assert disturbed_run.refusals == []
    assert {one: warning.severity for one, warning in disturbed_run.warnings.items()} == {
        one: warning.severity for one, warning in clean.warnings.items()
    }


def test_poison_is_strewn_in_and_good_events_stay(month: tuple[list[Event], tuple[Label, ...]]) -> None:
    mixed = list(poisoned(month[0], 5, 0.05))
    bad = [one for one in mixed if isinstance(one, Poison)]
    assert [one for one in mixed if not isinstance(one, Poison)] == month[0]
    assert {one.field for one in bad} == {"amount", "currency", "event_time", "event_id"}
    for one in bad:
        with pytest.raises((msgspec.ValidationError, ValueError)):
            msgspec.json.decode(one.value, type=Transaction)


def test_labels_are_written_as_json_lines(month: tuple[list[Event], tuple[Label, ...]], tmp_path: Path) -> None:
    target = tmp_path / "labels.jsonl"
    write_labels(month[1], target)
    assert tuple(msgspec.json.decode(line, type=Label) for line in target.read_bytes().splitlines()) == month[1]


def test_what_cannot_be_simulated_is_refused_with_the_remedy(policy: Policy) -> None:
    with pytest.raises(ValueError, match="at least 40 customers"):
        simulate(1, 3, 5, START, policy)
    with pytest.raises(ValueError, match="did you mean frequent_same_day"):
        simulate(1, 40, 5, START, policy, scenarios=("frequent_sameday",))
    with pytest.raises(ValueError, match="at least 1"):
        simulate(1, 40, 0, START, policy)
