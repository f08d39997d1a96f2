"""Industry concentration: levels exactly at their lines, hysteresis, episodes, and partial totals merged in order."""

import random
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from models.events import CapitalPosition
from models.pipeline import LocalPipeline
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning
from tests.books import capital, merged
from tests.make import at, loan

OTHERS = "ABCDEFGHIJ"


def book(others: str, count: int = 20) -> list[Any]:
    """`count` loans of ¥`others` each, spread over ten industries, on 2 March."""
    start = at("2026-03-02 09:00")
    return [loan(f"b{n:03d}", start + timedelta(minutes=n), others, OTHERS[n % len(OTHERS)]) for n in range(count)]


def real_estate(warnings: dict[str, RiskWarning]) -> list[RiskWarning]:
    return [one for one in warnings.values() if one.subject == "industry:BANK1:K"]


@pytest.mark.parametrize(
    ("amount", "severity"),
    # Others are 1,700,000: K holds exactly 15 % of 2,000,000 with 300,000 (shares compared exactly, not rounded).
    [
        ("299999.99", None),
        ("300000", "low"),
        ("424999.99", "low"),
        ("425000", "high"),
        ("566666.66", "high"),
        ("566666.67", "critical"),
    ],
)
def test_levels_at_their_lines(policies: PolicyHistory, amount: str, severity: str | None) -> None:
    events = [*book("85000"), loan("k1", "2026-03-03 09:00", amount)]
    found = real_estate(LocalPipeline(policies).run([("loans", one) for one in events]))
    assert [one.severity for one in found] == ([severity] if severity else [])
    if found:
        assert found[0].departments == ("credit",)
        assert found[0].event_ids == ("k1",)
        assert found[0].reasons[0].code == "share_of_book"
        assert "suspend_approvals" in found[0].measures


def test_a_rise_is_one_episode_with_growing_severity(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    for event in book("85000") + [loan(f"k{n}", f"2026-03-03 1{n}:00", "100000") for n in range(6)]:
        pipeline.feed("loans", event)
    pipeline.finish()
    (warning,) = real_estate(pipeline.warnings)
    assert (warning.severity, warning.revision) == ("critical", 3)


def test_a_share_that_hovers_at_the_line_does_not_flood(policies: PolicyHistory) -> None:
    events = [*book("85000"), loan("k1", "2026-03-03 09:00", "300000")]
    for n in range(1, 10):
        step = {"loan_id": "L-k1", "borrower_id": "B-k1", "kind": "repaid" if n % 2 else "disbursed"}
        events.append(loan(f"k1-{n}", f"2026-03-{3 + n:02d} 09:00", "10000", **step))
    found = real_estate(LocalPipeline(policies).run([("loans", one) for one in events]))
    assert [(one.severity, one.revision) for one in found] == [("low", 1)]


def test_a_new_episode_after_the_release(policies: PolicyHistory) -> None:
    pay_back = loan("k2", "2026-03-04 09:00", "100000", loan_id="L-k1", borrower_id="B-k1", kind="repaid")
    again = loan("k3", "2026-03-05 09:00", "100000", loan_id="L-k1", borrower_id="B-k1")
    events = [*book("85000"), loan("k1", "2026-03-03 09:00", "300000"), pay_back, again]
    assert len(real_estate(LocalPipeline(policies).run([("loans", one) for one in events]))) == 2


def test_a_repayment_elsewhere_lifts_a_share(policies: PolicyHistory) -> None:
    paid = loan("p", "2026-03-04 09:00", "85000", loan_id="L-b000", borrower_id="B-b000", kind="repaid")
    events = [*book("85000", 22), loan("k1", "2026-03-03 09:00", "320000"), paid]
    found = real_estate(LocalPipeline(policies).run([("loans", one) for one in events]))
    assert [one.event_ids for one in found] == [("p",)]


def test_a_small_book_and_an_unknown_industry_are_not_warned_of(policies: PolicyHistory) -> None:
    assert not LocalPipeline(policies).run([("loans", loan(f"k{n}", "2026-03-03 09:00", "100000")) for n in range(19)])
    unknown = [loan(f"u{n}", "2026-03-03 09:00", "100000", "") for n in range(30)]
    found = LocalPipeline(policies).run([("loans", one) for one in unknown])
    assert [one.subject for one in found.values()] == ["book:BANK1"]  # all of it in one industry, whichever that is


def test_times_net_capital(policies: PolicyHistory) -> None:
    position = CapitalPosition(
        entity="BANK1", as_of=date(2026, 3, 1), net_capital=Decimal(150000), tier1_capital=Decimal(120000)
    )
    # A share of 8.1 % says nothing, 150,000 is exactly the net capital.
    records = [("capital", position), *(("loans", one) for one in book("85000"))]
    records.append(("loans", loan("k1", "2026-03-03 09:00", "150000")))
    found = real_estate(LocalPipeline(policies).run(records))
    assert [(one.severity, one.reasons[0].code) for one in found] == [("low", "times_net_capital")]


def test_capital_that_comes_after_the_loans_it_governs_re_evaluates_them_late(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.run([("loans", one) for one in [*book("85000"), loan("k1", "2026-03-03 09:00", "150000")]])
    assert not real_estate(pipeline.warnings)
    pipeline.feed(
        "capital",
        CapitalPosition(
            entity="BANK1", as_of=date(2026, 3, 1), net_capital=Decimal(150000), tier1_capital=Decimal(120000)
        ),
    )
    assert [one.late for one in real_estate(pipeline.warnings)] == [True]


def test_impossible_loan_events_are_refused(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    same = {"loan_id": "L1", "borrower_id": "B1"}
    pipeline.feed("loans", loan("e1", "2026-03-02 09:00", "100", kind="repaid", **same))
    pipeline.feed("loans", loan("e2", "2026-03-02 09:01", "100", **same))
    pipeline.feed("loans", loan("e3", "2026-03-02 09:02", "100.01", kind="repaid", **same))
    pipeline.feed("loans", loan("e4", "2026-03-02 09:03", "1", currency="USD", **same))
    pipeline.feed("loans", loan("e5", "2026-03-02 09:04", "100.01", kind="repaid", **same))
    pipeline.feed("loans", loan("e6", "2026-03-02 09:05", "100", kind="repaid", **same))
    assert [(one.event_id, one.reason) for one in pipeline.refusals] == [("e4", "other_currency")]
    pipeline.finish()  # the others have waited for a disbursement that did not come
    assert [(one.event_id, one.reason) for one in pipeline.refusals[1:]] == [
        ("e1", "closed_loan"),  # nothing was owed then, whatever was drawn later
        ("e3", "repays_past_zero"),
        ("e5", "repays_past_zero"),
    ]


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_any_number_of_partitions_at_any_speed_gives_the_same(policies: PolicyHistory, partitions: int) -> None:
    dice = random.Random(7)  # noqa: S311 - a test's dice
    start = at("2026-03-02 09:00")
    events: list[Any] = []
    for number in range(400):
        industry = dice.choice("ABCDEFGHIK" + "K" * (number // 100))
        events.append(
            loan(f"e{number:03d}", start + timedelta(hours=number // 5), str(dice.randint(1, 90) * 1000), industry)
        )
    expected = LocalPipeline(policies).run([("loans", one) for one in events])
    assert len(expected) >= 3
    book = merged(policies, events, 1, 0).book()
    for seed in range(5):
        found = merged(policies, events, partitions, seed, restarts=seed > 2)
        assert {k: (one.severity, one.reasons, one.event_ids) for k, one in found.warnings.items()} == {
            k: (one.severity, one.reasons, one.event_ids) for k, one in expected.items()
        }
        assert found.book() == book


def test_each_dimension_has_its_lines(policies: PolicyHistory) -> None:
    """A line says how things stood when its member last changed: the last loan changes one of each dimension."""
    events = [
        loan("e1", "2026-03-02 09:00", "30", "K70", region="CN-43", group_id="G", real_estate="development"),
        loan("e2", "2026-03-02 10:00", "40", "C14", region="CN-43", group_id="H"),
        loan("e3", "2026-03-02 11:00", "20", loan_id="L-e2", borrower_id="B-e2", kind="repaid"),
        loan("e4", "2026-03-02 12:00", "20", "", region="CN-11"),
        loan("e5", "2026-03-02 13:00", "30", "C13", group_id="G", real_estate="mortgage"),
    ]
    pipeline, lines = LocalPipeline(policies), {}
    for emit in [emit for one in events for emit in pipeline.feed("loans", one)] + pipeline.finish():
        if emit.topic == "portfolio":
            assert emit.route == "BANK1"
            lines[emit.key.removeprefix("BANK1|")] = emit.value
    assert {key: (str(one.exposure), one.loans) for key, one in lines.items()} == {
        "industry|K": ("30", 1),
        "industry|C": ("50", 2),
        "industry|unknown": ("20", 1),
        "division|70": ("30", 1),
        "division|14": ("20", 1),
        "division|unknown": ("20", 1),
        "division|13": ("30", 1),
        "region|CN-43": ("50", 2),
        "region|CN-11": ("20", 1),
        "region|unknown": ("30", 1),
        "real_estate|development": ("30", 1),
        "real_estate|mortgage": ("30", 1),
        "real_estate|total": ("60", 2),
        "group|G": ("60", 2),
        "group|H": ("20", 1),
        "entity|BANK1": ("100", 4),
    }
    changed = ("industry|C", "division|13", "region|unknown", "real_estate|mortgage", "real_estate|total", "group|G")
    assert {key: (str(lines[key].share), str(lines[key].hhi)) for key in (*changed, "entity|BANK1")} == {
        "industry|C": ("0.500000", "0.380000"),
        "division|13": ("0.300000", "0.260000"),
        "region|unknown": ("0.300000", "0.380000"),
        "real_estate|mortgage": ("0.300000", "0.340000"),
        "real_estate|total": ("0.600000", "0.340000"),
        "group|G": ("0.600000", "0.625000"),
        "entity|BANK1": ("1.000000", "0.380000"),
    }
    assert lines["real_estate|mortgage"].limit == Decimal("0.14")
    assert lines["group|G"].limit is None


def test_an_entity_may_not_be_called_like_the_stages_own_keys(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.feed("capital", capital("1", "1", entity="~merge"))
    assert [(one.reason, one.field) for one in pipeline.refusals] == [("reserved", "entity")]
