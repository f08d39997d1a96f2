"""large_transaction: exactly at each threshold, a cent around it, and what belongs to a day."""

from decimal import Decimal

import pytest

from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction


def warnings_of(policies: PolicyHistory, *events: object) -> list[RiskWarning]:
    pipeline = LocalPipeline(policies)
    for event in events:
        pipeline.feed("transactions", event)
    assert not pipeline.refusals
    return [one for one in pipeline.warnings.values() if one.detector == "large_transaction"]


CLASSES = [
    ("cash", {"method": "cash"}, "50000", "CNY"),
    ("cash", {"method": "cash", "customer_kind": "entity"}, "50000", "CNY"),
    ("cash", {"method": "cash"}, "10000", "USD"),
    ("entity_transfer", {"customer_kind": "entity"}, "2000000", "CNY"),
    ("entity_transfer", {"customer_kind": "entity", "cross_border": True}, "200000", "USD"),
    ("person_domestic", {}, "500000", "CNY"),
    ("person_domestic", {}, "100000", "USD"),
    ("person_cross_border", {"cross_border": True}, "200000", "CNY"),
    ("person_cross_border", {"cross_border": True}, "10000", "USD"),
]


@pytest.mark.parametrize(("kind", "fields", "threshold", "currency"), CLASSES)
def test_fires_at_the_threshold_and_not_a_cent_below(
    policies: PolicyHistory, kind: str, fields: dict[str, object], threshold: str, currency: str
) -> None:
    cent = Decimal("0.01")
    for amount, fires in ((Decimal(threshold) - cent, 0), (Decimal(threshold), 1), (Decimal(threshold) + cent, 1)):
        event = transaction("e1", "2026-03-02 10:00", str(amount), currency=currency, **fields)
        found = warnings_of(policies, event)
        assert len(found) == fires, (kind, amount)
        if fires:
            reason = found[0].reasons[0]
            assert (reason.observed, reason.threshold, reason.unit) == (str(amount), threshold, currency)
            assert found[0].event_ids == ("e1",)


def test_sums_over_a_day_and_grows_graver(policies: PolicyHistory) -> None:
    found = warnings_of(
        policies,
        transaction("e1", "2026-03-02 00:00", "300000"),
        transaction("e2", "2026-03-02 23:59:59.999999", "200000"),
        transaction("e3", "2026-03-02 12:00", "2000000"),
        transaction("e4", "2026-03-03 00:00", "300000"),
    )
    assert [(one.severity, one.revision, one.event_ids) for one in found] == [("medium", 2, ("e1", "e3", "e2"))]
    assert found[0].window.start == at("2026-03-02 00:00")
    assert found[0].window.end == at("2026-03-03 00:00")


def test_high_from_twenty_times_the_threshold(policies: PolicyHistory) -> None:
    assert warnings_of(policies, transaction("e", "2026-03-02 10:00", "2499999.99"))[0].severity == "low"
    assert warnings_of(policies, transaction("e", "2026-03-02 10:00", "2500000"))[0].severity == "medium"
    assert warnings_of(policies, transaction("e", "2026-03-02 10:00", "9999999.99"))[0].severity == "medium"
    assert warnings_of(policies, transaction("e", "2026-03-02 10:00", "10000000"))[0].severity == "high"


def test_directions_classes_and_currencies_are_summed_apart(policies: PolicyHistory) -> None:
    assert not warnings_of(
        policies,
        transaction("e1", "2026-03-02 10:00", "300000"),
        transaction("e2", "2026-03-02 10:00", "300000", direction="in"),
        transaction("e3", "2026-03-02 10:00", "49999", method="cash"),
        transaction("e4", "2026-03-02 10:00", "199999", cross_border=True),
        transaction("e5", "2026-03-02 10:00", "99999", currency="USD"),
    )


def test_other_currencies_are_converted_to_dollars_and_summed_with_them(policies: PolicyHistory) -> None:
    # 1 EUR = 8.20/7.10 USD: 86,585.37 EUR is 100,000.0047 USD, a cent less is below.
    assert len(warnings_of(policies, transaction("e", "2026-03-02 10:00", "86585.37", currency="EUR"))) == 1
    assert not warnings_of(policies, transaction("e", "2026-03-02 10:00", "86585.36", currency="EUR"))
    found = warnings_of(
        policies,
        transaction("e1", "2026-03-02 10:00", "50000", currency="USD"),
        transaction("e2", "2026-03-02 11:00", "43292.69", currency="EUR"),
    )
    assert [one.event_ids for one in found] == [("e1", "e2")]


@pytest.mark.parametrize("fields", [{"origin": "bank"}, {"purpose": "term_deposit_renewal"}])
def test_bank_made_and_exempt_entries_do_not_count(policies: PolicyHistory, fields: dict[str, object]) -> None:
    assert not warnings_of(policies, transaction("e1", "2026-03-02 10:00", "9000000", **fields))


def test_a_currency_without_a_rate_is_refused_and_neighbours_go_on(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.feed("transactions", transaction("e1", "2026-03-02 10:00", "9000000", currency="CHF"))
    pipeline.feed("transactions", transaction("e2", "2026-03-02 10:00", "500000"))
    assert [(one.event_id, one.reason, one.field) for one in pipeline.refusals] == [("e1", "no_rate", "currency")]
    assert [one.detector for one in pipeline.warnings.values()] == ["missing_rate", "large_transaction"]
