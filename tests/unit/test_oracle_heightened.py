"""The oracle after a teller's report: the heightened figures at their first and last day, and at each of their lines.

A person's domestic transfers are reported from ¥500,000: usually large from ¥400,000 and near from there, three a day
frequent; heightened large from ¥250,000, near from ¥300,000, and two a day frequent, for 30 days.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import PostReport, Transaction
from models.policy import Policy, PolicyHistory
from tests.make import at, report, transaction

FREQUENT, STRUCTURING = "frequent_large_transfers", "structuring"
REPORTED = "2026-03-02"  # a Monday; 30 days last until Tuesday, 31 March


def anchors(
    policies: Policy | PolicyHistory, detector: str, events: Sequence[Transaction], reports: Sequence[PostReport] = ()
) -> list[str]:
    frames = {"transactions": oracle.from_events(events), "reports": oracle.from_events(reports)}
    history = PolicyHistory(policies) if isinstance(policies, Policy) else policies
    found = oracle.warnings(**frames, policies=history).filter(pl.col("detector") == detector)
    return sorted(found["anchor"])


def several(day: str, amount: str, count: int = 2, **fields: Any) -> list[Transaction]:
    return [transaction(f"{day}-{n}", f"{day} 1{n}:00", amount, **fields) for n in range(count)]


def bursts(policies: Policy | PolicyHistory, day: str, *reports: PostReport, amount: str = "250000") -> bool:
    """Whether two transfers of a day are frequent and large, which they are by the heightened figures alone."""
    found = anchors(policies, FREQUENT, several(day, amount), reports)
    assert found in ([], [f"same_day|out|{day}"])
    return bool(found)


def days_that_burst(policies: Policy | PolicyHistory, days: Sequence[str], *reports: PostReport) -> list[bool]:
    return [bursts(policies, f"2026-{day}", *reports) for day in days]


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def with_figures(policy: Policy, **values: str) -> Policy:
    table = policy.heightened
    assert table is not None
    fields = {name: replace(getattr(table, name), value=Decimal(value)) for name, value in values.items()}
    return replace(policy, heightened=replace(table, **fields))


# ----------------------------------------------------------------------- the lines


@pytest.mark.parametrize(("amount", "large"), [("249999.99", False), ("250000", True), ("250000.01", True)])
def test_a_transfer_is_large_from_half_the_threshold(policy: Policy, amount: str, large: bool) -> None:
    assert bursts(policy, REPORTED, report("r1", f"{REPORTED} 09:00"), amount=amount) is large
    assert not bursts(policy, REPORTED, amount=amount)


def test_a_transfer_is_large_by_the_usual_figure_without_a_report(policy: Policy) -> None:
    for amount, found in (("399999.99", []), ("400000", [f"same_day|out|{REPORTED}"])):
        assert anchors(policy, FREQUENT, several(REPORTED, amount, 3)) == found


def test_two_a_day_are_frequent_and_one_is_not(policy: Policy) -> None:
    told = [report("r1", f"{REPORTED} 09:00")]
    for count, found in ((1, []), (2, [f"same_day|out|{REPORTED}"])):
        assert anchors(policy, FREQUENT, several(REPORTED, "400000", count), told) == found
    assert anchors(policy, FREQUENT, several(REPORTED, "400000", 2)) == []


@pytest.mark.parametrize(
    ("amount", "near"), [("299999.99", False), ("300000", True), ("499999.99", True), ("500000", False)]
)
def test_an_amount_is_near_from_three_fifths_of_the_threshold_to_below_it(
    policy: Policy, amount: str, near: bool
) -> None:
    events = several(REPORTED, amount)
    assert bool(anchors(policy, STRUCTURING, events, [report("r1", f"{REPORTED} 09:00")])) is near
    assert bool(anchors(policy, STRUCTURING, events)) is (amount == "499999.99")


# ------------------------------------------------------------------------ the days


@pytest.mark.parametrize(
    ("day", "heightened"),
    [("2026-03-01", False), (REPORTED, True), ("2026-03-31", True), ("2026-04-01", False)],
)
def test_a_report_counts_for_thirty_days_its_own_included(policy: Policy, day: str, heightened: bool) -> None:
    assert bursts(policy, day, report("r1", f"{REPORTED} 23:59:59")) is heightened  # also what came before it that day
    near = [transaction("e1", f"{day} 09:00", "300000"), transaction("e2", f"{day} 10:00", "300000")]
    assert bool(anchors(policy, STRUCTURING, near, [report("r1", f"{REPORTED} 00:00")])) is heightened


def test_the_reports_day_is_that_of_the_bank(policy: Policy) -> None:
    before_midnight = report("r1", "2026-03-01 23:59:59.999999")
    assert days_that_burst(policy, ("03-01", "03-31"), before_midnight) == [True, False]
    assert days_that_burst(policy, ("03-01", "03-31"), report("r1", "2026-03-02 00:00")) == [False, True]


def test_reports_that_overlap_count_for_their_days_together(policy: Policy) -> None:
    both = [report("r1", f"{REPORTED} 09:00"), report("r2", "2026-03-20 09:00")]  # until 18 April
    days = ("03-01", "03-02", "04-01", "04-18", "04-19")
    assert days_that_burst(policy, days, *both) == [False, True, True, True, False]


def test_between_two_reports_far_apart_the_usual_figures_hold(policy: Policy) -> None:
    both = [report("r1", f"{REPORTED} 09:00"), report("r2", "2026-04-10 09:00")]
    days = ("03-31", "04-01", "04-09", "04-10")
    assert days_that_burst(policy, days, *both) == [True, False, False, True]


# ---------------------------------------------------------------- whom, and by whom


@pytest.mark.parametrize(
    ("fields", "heightened"),
    [
        ({}, True),
        ({"kind": "doubtful_document"}, True),
        ({"kind": "complaint"}, False),
        ({"kind": "referral"}, False),
        ({"customer_id": "C2"}, False),
        ({"customer_id": None}, False),
        ({"account_id": "A9"}, True),  # on one account of the customer is on all of them
    ],
)
def test_reports_of_two_kinds_count_for_the_customer_they_name(
    policy: Policy, fields: dict[str, Any], heightened: bool
) -> None:
    assert bursts(policy, "2026-03-03", report("r1", f"{REPORTED} 09:00", **fields)) is heightened


def test_a_report_that_is_refused_heightens_nothing(policy: Policy) -> None:
    newest = report("r2", "2026-03-10 09:00")
    assert not bursts(policy, "2026-03-07", newest, report("r1", "2026-03-07 08:59:59.999999"))
    assert bursts(policy, "2026-03-07", newest, report("r1", "2026-03-07 09:00"))


def test_a_report_counts_where_the_rule_of_reports_is_off(policy: Policy) -> None:
    teller = replace(policy.detectors.teller_report, mode="off")
    off = replace(policy, detectors=replace(policy.detectors, teller_report=teller))
    assert bursts(off, REPORTED, report("r1", f"{REPORTED} 09:00"))


# ---------------------------------------------------------------- windows of days


def test_each_transfer_of_a_run_is_large_by_its_own_day(policy: Policy) -> None:
    run = [one for day in ("02", "03", "04") for one in several(f"2026-03-{day}", "250000", 1)]
    assert len(anchors(policy, FREQUENT, run, [report("r1", "2026-03-02 09:00")])) == 1
    assert anchors(policy, FREQUENT, run, [report("r1", "2026-03-03 09:00")]) == []


def test_each_amount_of_a_window_is_near_by_its_own_day(policy: Policy) -> None:
    days = [transaction("e1", "2026-03-02 10:00", "300000"), transaction("e2", "2026-03-03 10:00", "300000")]
    assert len(anchors(policy, STRUCTURING, days, [report("r1", "2026-03-02 18:00")])) == 1
    assert anchors(policy, STRUCTURING, days, [report("r1", "2026-03-03 09:00")]) == []
    usual = [transaction("e1", "2026-03-02 10:00", "400000"), days[1]]
    assert len(anchors(policy, STRUCTURING, usual, [report("r1", "2026-03-03 09:00")])) == 1


# ----------------------------------------------------------------- versions change


def test_a_day_is_judged_by_the_heightened_figures_of_its_own_version(policy: Policy) -> None:
    policies = PolicyHistory(policy, from_day(with_figures(policy, large_from="0.60"), "2026-03-10"))
    told = report("r1", f"{REPORTED} 09:00")
    assert bursts(policies, "2026-03-09", told)
    assert not bursts(policies, "2026-03-10", told, amount="299999.99")
    assert bursts(policies, "2026-03-10", told, amount="300000")


def test_how_long_it_lasts_is_said_by_the_version_of_the_reports_day(policy: Policy) -> None:
    policies = PolicyHistory(policy, from_day(with_figures(policy, days="2"), "2026-03-10"))
    before, on = report("r1", "2026-03-09 09:00"), report("r1", "2026-03-10 09:00")
    assert days_that_burst(policies, ("04-07", "04-08"), before) == [True, False]
    assert days_that_burst(policies, ("03-11", "03-12"), on) == [True, False]


def test_a_version_without_such_figures_judges_its_days_as_usual(policy: Policy) -> None:
    without = from_day(replace(policy, heightened=None), "2026-03-10")
    policies = PolicyHistory(policy, without, from_day(policy, "2026-03-12"))
    days = ("03-09", "03-10", "03-11", "03-12")
    assert days_that_burst(policies, days, report("r1", "2026-03-09 09:00")) == [True, False, False, True]
    assert not bursts(policies, "2026-03-12", report("r1", "2026-03-11 09:00"))  # under it a report begins nothing


def test_one_day_is_a_window_as_well(policy: Policy) -> None:
    one = with_figures(policy, days="1")
    assert days_that_burst(one, ("03-02", "03-03"), report("r1", f"{REPORTED} 09:00")) == [True, False]
