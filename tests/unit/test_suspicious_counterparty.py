"""suspicious_counterparty: the watch list, high-risk countries, and many or new payees of one day."""

from collections.abc import Iterable
from datetime import date, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.detectors.suspicious_counterparty import SuspiciousCounterparty, SuspiciousCounterpartyState
from models.events import Counterparty, Transaction
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.watch_list import WatchEntry
from tests.make import at, transaction
from tests.rules import by_code, streamed

DAY = "2026-03-02"
NOON = f"{DAY} 12:00"
KNOWN = transaction("known", "2026-01-31 10:00", "10", payee="landlord")  # 30 days before


def entry(entry_id: str, kind: Any, value: str, **fields: Any) -> WatchEntry:
    return WatchEntry(
        **(
            {"entry_id": entry_id, "kind": kind, "value": value, "source": "UN", "valid_from": date(2026, 1, 1)}
            | fields
        )
    )


def warnings_of(policies: PolicyHistory, *events: Transaction, restart: bool = False) -> dict[str, RiskWarning]:
    return by_code(streamed(policies, "suspicious_counterparty", events, restart=restart))


def payments(count: int, when: str = NOON, amount: str = "5000", first: int = 0, **fields: Any) -> list[Transaction]:
    """To as many payees."""
    return [transaction(f"{when}-{n}", when, amount, payee=f"P{n:02d}", **fields) for n in range(first, first + count)]


def with_rule(policy: Policy, **figures: Any) -> Policy:
    rule = replace(policy.detectors.suspicious_counterparty, **figures)
    return replace(policy, detectors=replace(policy.detectors, suspicious_counterparty=rule))


# --------------------------------------------------------------------- listed


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("method", ["cash", "transfer"])
def test_any_amount_with_somebody_on_the_list(policy: Policy, direction: str, method: str) -> None:
    policies = PolicyHistory(policy, watch_list=[entry("W1", "account", "X9", source="UN 1718")])
    event = transaction("e1", NOON, "0.01", payee="X9", direction=direction, method=method)
    found = warnings_of(policies, event)["watch_list|02"]
    assert (found.severity, found.departments, found.event_ids) == ("critical", ("operations", "risk"), ("e1",))
    reason = found.reasons[0]
    assert reason.text_en == (
        '1 transaction on 2026-03-02 with a counterparty that matches W1 of the watch list (UN 1718, account "X9").'
    )
    assert reason.text_zh == "2026-03-02有1笔交易的对手方与监控名单条目W1相符（UN 1718，账号“X9”）。"
    assert not warnings_of(policies, replace(event, origin="bank"))
    assert not warnings_of(policies, replace(event, counterparty=None))
    assert not warnings_of(policies, transaction("e1", NOON, "0.01", payee="X8"))


@pytest.mark.parametrize(
    ("listed", "seen", "hit"),
    [
        ("Zhang Weimin", "ZHANG, Weiming", True),
        ("Zhang Weimin", "Zhang Wen", False),
        ("Zhang Wei", "张伟", True),
        ("张伟", "Wei Zhang", True),
        ("Ivan Ivanov", "Иванов Иван", True),
        ("Иванов Иван", "Ivan Ivanof", True),
        ("Иванов Иван", "Пётр Сидоров", False),
    ],
)
def test_names_alike_across_scripts(policy: Policy, listed: str, seen: str, hit: bool) -> None:
    policies = PolicyHistory(policy, watch_list=[entry("W1", "name", listed)])
    event = transaction("e1", NOON, "1", counterparty=Counterparty(account_id="A", name=seen))
    found = warnings_of(policies, event)
    assert bool(found) is hit
    if hit:
        assert f"（UN，名称“{listed}”）" in found["watch_list|02"].reasons[0].text_zh
    assert expected_of(policies, [event]) == {one.warning_id: one.severity for one in found.values()}


def test_an_entry_holds_from_its_first_day_to_before_its_last(policy: Policy) -> None:
    listed = entry("W1", "account", "X9", valid_from=date(2026, 3, 2), valid_until=date(2026, 3, 4))
    policies = PolicyHistory(policy, watch_list=[listed])
    times = ("2026-03-01 23:59", "2026-03-02 00:00", "2026-03-03 23:59", "2026-03-04 00:00")
    events = [transaction(f"e{n}", when, "1", payee="X9") for n, when in enumerate(times)]
    found = warnings_of(policies, *events)
    assert {key: one.event_ids for key, one in found.items()} == {"watch_list|02": ("e1",), "watch_list|03": ("e2",)}
    assert set(expected_of(policies, events)) == {one.warning_id for one in found.values()}


def test_several_entries_of_a_day_are_one_warning_that_names_each(policy: Policy) -> None:
    listed = [entry("W2", "account", "X9"), entry("W1", "country", "SY", source="EU")]
    policies = PolicyHistory(policy, watch_list=listed)
    events = [
        transaction("e1", f"{DAY} 09:00", "1", payee="X9"),
        transaction("e2", f"{DAY} 10:00", "2", payee="X9", direction="in"),
        transaction("e3", f"{DAY} 11:00", "3", counterparty=Counterparty(name="Somebody", country="SY")),
    ]
    for order in permutations(events):
        (found,) = warnings_of(policies, *order).values()
        assert found.event_ids == ("e1", "e2", "e3")
        assert [(one.observed, one.threshold, one.unit) for one in found.reasons] == [
            ("1", "1", "transactions"),
            ("2", "1", "transactions"),
        ]
        assert 'W1 of the watch list (EU, country "SY")' in found.reasons[0].text_en
        assert "2 transactions" in found.reasons[1].text_en


# -------------------------------------------------------------------- country


def from_country(amount: str, country: str | None = "KP", **fields: Any) -> Transaction:
    return transaction("e1", NOON, amount, counterparty=Counterparty(account_id="A", country=country), **fields)


def test_a_high_risk_country_from_its_threshold(policy: Policy, policies: PolicyHistory) -> None:
    found = warnings_of(policies, from_country("10000"))["high_risk_country|02"]
    reason = found.reasons[0]
    assert (found.severity, reason.observed, reason.threshold, reason.unit) == ("medium", "10000", "10000", "CNY")
    assert reason.text_en == (
        "1 transaction on 2026-03-02 with high-risk countries (KP), of 10000 CNY, at or above the threshold of "
        "10000 CNY."
    )
    assert not warnings_of(policies, from_country("9999.99"))
    assert not warnings_of(policies, from_country("10000", "CN"))
    assert not warnings_of(policies, from_country("10000", None))
    assert not warnings_of(policies, from_country("10000", origin="bank"))
    assert warnings_of(policies, from_country("10000", method="cash", direction="in"))
    rule = policy.detectors.suspicious_counterparty
    strict = PolicyHistory(with_rule(policy, country_from=replace(rule.country_from, op=">")))
    assert not warnings_of(strict, from_country("10000"))
    assert warnings_of(strict, from_country("10000.01"))


def test_a_high_risk_country_in_foreign_money(policies: PolicyHistory) -> None:
    # 1000 USD are 7100 CNY are 865.8536... EUR.
    assert not warnings_of(policies, from_country("999.99", currency="USD"))
    assert warnings_of(policies, from_country("1000", currency="USD"))
    assert not warnings_of(policies, from_country("865.85", currency="EUR"))
    reason = warnings_of(policies, from_country("865.86", currency="EUR"))["high_risk_country|02"].reasons[0]
    assert (reason.observed, reason.unit) == ("1000.007324", "USD")


def test_a_listed_country_is_listed_whatever_the_amount(policy: Policy) -> None:
    policies = PolicyHistory(policy, watch_list=[entry("W1", "country", "KP")])
    assert set(warnings_of(policies, from_country("1"))) == {"watch_list|02"}
    assert set(warnings_of(policies, from_country("10000"))) == {"watch_list|02", "high_risk_country|02"}


# --------------------------------------------------------------------- payees


def test_fifteen_payees_in_a_day_are_many(policies: PolicyHistory) -> None:
    assert not warnings_of(policies, *payments(14), *payments(14, f"{DAY} 13:00"))
    found = warnings_of(policies, *payments(15))["many_payees|02"]
    assert (found.severity, len(found.reasons), found.event_count) == ("medium", 1, 15)
    assert (found.reasons[0].observed, found.reasons[0].threshold) == ("15", "15")
    assert found.reasons[0].text_en == "Payments to 15 payees on 2026-03-02; 15 or more are many."
    assert not warnings_of(policies, *payments(15, amount="4999.99"))
    assert not warnings_of(policies, *payments(15, direction="in"))
    assert not warnings_of(policies, *payments(15, method="cash"))
    assert not warnings_of(policies, *payments(15, origin="bank"))
    assert not warnings_of(policies, *payments(14), transaction("e", NOON, "5000", payee=None))
    assert not warnings_of(policies, *payments(8), *payments(7, "2026-03-03 00:00", first=8))


def test_payments_above_means_above(policy: Policy) -> None:
    rule = policy.detectors.suspicious_counterparty
    strict = PolicyHistory(with_rule(policy, payee_from=replace(rule.payee_from, op=">")))
    assert not warnings_of(strict, *payments(15))
    assert warnings_of(strict, *payments(15, amount="5000.01"))
    assert not warnings_of(strict, *payments(15, amount="1000", currency="USD"))
    assert warnings_of(strict, *payments(15, amount="1000.01", currency="USD"))


def test_five_new_payees_in_a_day(policies: PolicyHistory) -> None:
    assert not warnings_of(policies, KNOWN, *payments(4))
    found = warnings_of(policies, KNOWN, *payments(5))["new_payees|02"]
    assert (found.severity, found.reasons[0].observed, found.reasons[0].threshold) == ("medium", "5", "5")
    assert found.reasons[0].text_zh == "2026-03-02的收款方中有5个在此前30天内没有往来，达到5个。"
    # A customer known for 29 days has no normal to differ from.
    assert not warnings_of(policies, replace(KNOWN, event_time=at("2026-02-01 00:00")), *payments(5))
    assert not warnings_of(policies, *payments(5))


@pytest.mark.parametrize(
    ("dealt", "new"),
    [
        ("2026-01-30 23:59", True),  # long ago
        ("2026-01-31 00:00", False),
        ("2026-02-26 23:59", False),
        ("2026-02-27 00:00", True),  # could still come late: says nothing
        ("2026-03-02 08:00", True),
    ],
)
def test_when_a_payee_is_new(policies: PolicyHistory, dealt: str, new: bool) -> None:
    since = replace(KNOWN, event_time=at("2026-01-15 10:00"))
    earlier = transaction("dealt", dealt, "1", payee="P00", direction="in", method="cash")
    events = [since, earlier, *payments(5)]
    found = warnings_of(policies, *events)
    assert bool(found) is new
    assert set(expected_of(policies, events)) == {one.warning_id for one in found.values()}


def test_many_and_new_are_graver_together(policies: PolicyHistory) -> None:
    found = warnings_of(policies, KNOWN, *payments(15))["many_payees|02"]
    assert found.severity == "high"
    assert [(one.code, one.observed) for one in found.reasons] == [("many_payees", "15"), ("new_payees", "15")]
    regulars = payments(11, "2026-02-20 12:00", amount="1")
    found = warnings_of(policies, KNOWN, *regulars, *payments(15))["many_payees|02"]
    assert (found.severity, len(found.reasons)) == ("medium", 1)


# ------------------------------------------------------- order, memory, oracle


def test_late_arrivals_in_any_order_say_the_same(policy: Policy) -> None:
    policies = PolicyHistory(policy, watch_list=[entry("W1", "account", "P00")])
    burst = payments(5, counterparty=None)
    burst = [
        replace(event, counterparty=Counterparty(account_id=f"P{n:02d}", country="IR"), event_id=f"b{n}")
        for n, event in enumerate(burst)
    ]
    days = ("2026-02-28 09:00", "2026-03-01 09:00", "2026-03-02 13:00", "2026-03-03 08:00")
    others = [transaction(f"o{n}", when, "20000", payee="P00") for n, when in enumerate(days)]

    def said(order: Iterable[Transaction], *, restart: bool = False) -> dict[str, tuple[Any, ...]]:
        found = warnings_of(policies, KNOWN, *order, restart=restart)
        return {name: (one.severity, one.reasons, one.event_ids) for name, one in found.items()}

    told = said([*burst, *others])
    assert sorted(told) == ["new_payees|02", "watch_list|01", "watch_list|02", "watch_list|03", "watch_list|28"]
    for order in permutations(others):
        assert said([*order, *burst], restart=True) == told
        assert said([*burst[:3], *order, *reversed(burst[3:])]) == told


def test_what_is_too_old_to_change_is_forgotten(policy: Policy) -> None:
    policies = PolicyHistory(policy, watch_list=[entry("W1", "account", "P00")])
    detector, state = SuspiciousCounterparty(), SuspiciousCounterpartyState()
    start = at("2026-01-01 12:00")
    for number in range(60):
        other = Counterparty(account_id="P00", country="KP")
        event = transaction(f"e{number}", start + timedelta(days=number), "10000", counterparty=other)
        detector.step(state, event, policies.at(event.event_time), policies)
    detector.expire(state, at("2026-02-27 12:00"), policies)
    kept = ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert sorted(state.listed) == sorted(state.countries) == sorted(state.payees) == kept
    assert state.dealings.days["P00"][0] == date(2026, 1, 28)  # 30 days before 27 February
    assert state.dealings.since == date(2026, 1, 1)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=SuspiciousCounterpartyState) == state


def expected_of(policies: PolicyHistory, events: list[Transaction]) -> dict[str, str]:
    frame = oracle.warnings(transactions=oracle.from_events(events), policies=policies)
    rows = frame.filter(frame["detector"] == "suspicious_counterparty").iter_rows(named=True)
    return {row["warning_id"]: row["severity"] for row in rows}


WATCHED = [
    entry("W1", "name", "Zhang Wei"),
    entry("W2", "account", "P1", valid_from=date(2026, 2, 20), valid_until=date(2026, 3, 1)),
    entry("W3", "country", "SY"),
]
events_of = st.lists(
    st.builds(
        transaction,
        st.just("e"),
        st.integers(0, 12 * 3).map(lambda third: at("2026-02-17 00:00") + timedelta(hours=8 * third)),
        st.sampled_from(["1", "1000", "5000", "5000.01", "10000", "10000"]),
        customer_id=st.sampled_from(["C1", "C1", "C1", "C2"]),
        direction=st.sampled_from(["out", "out", "in"]),
        method=st.sampled_from(["transfer", "transfer", "cash"]),
        currency=st.sampled_from(["CNY", "CNY", "USD", "EUR"]),
        origin=st.sampled_from(["customer", "customer", "customer", "bank"]),
        counterparty=st.none()
        | st.builds(
            Counterparty,
            account_id=st.sampled_from([None, "P1", "P2", "P3", "P4"]),
            name=st.sampled_from([None, "张伟", "Zhang Weii", "Li Na", "张伟 Ltd"]),
            country=st.sampled_from([None, "CN", "KP", "SY"]),
        ),
    ),
    min_size=20,
    max_size=50,
).map(lambda events: [replace(event, event_id=f"e{number}") for number, event in enumerate(events)])


@given(events_of, st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_stream_equals_the_oracle(policy: Policy, events: list[Transaction], dice: Any, strict: bool) -> None:
    rule = policy.detectors.suspicious_counterparty
    small = with_rule(
        policy,
        many_payees=replace(rule.many_payees, value=2),
        new_payees=replace(rule.new_payees, value=1),
        payee_from=replace(rule.payee_from, op=">" if strict else ">="),
    )
    counterparties = replace(policy.counterparties, new_after=replace(policy.counterparties.new_after, value=5))
    policies = PolicyHistory(replace(small, counterparties=counterparties), watch_list=WATCHED)
    delayed = sorted((one.event_time + timedelta(hours=dice.random() * 72), one.event_id, one) for one in events)
    arrivals = [event for _, _, event in delayed]
    pipeline = LocalPipeline(policies)
    for number, event in enumerate(arrivals):
        pipeline.feed("transactions", event)
        if number % 10 == 9:
            pipeline.restart()
    told = {key: one.severity for key, one in pipeline.warnings.items() if one.detector == "suspicious_counterparty"}
    assert told == expected_of(policies, arrivals)
