"""After a teller's report its customer is judged more strictly: from when, until when, on what, and in any order."""

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from models import oracle
from models.events import PostReport, Transaction
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyError, PolicyHistory, parse_policy
from models.risk_warning import RiskWarning
from models.stage import Record
from models.stages.customers import CustomersStage, CustomerState
from tests.make import at, report, transaction
from tests.response import TEXT

# Of the threshold of 500,000: 0.80 is large and near, 0.60 near and 0.50 large after a report.
NEAR, LARGE, LESS = "300000", "250000", "249999.99"
LATER = at("2026-03-12 00:00")  # when a second version begins


def filed(day: str = "10", **fields: Any) -> PostReport:
    when = day if "-" in day else f"2026-03-{day} 15:00"
    return report(fields.pop("report_id", "R1"), when, **fields)


def paid(name: str, when: str, amount: str, **fields: Any) -> Transaction:
    return transaction(name, when, amount, **fields)


def told(policies: PolicyHistory, *events: Any) -> dict[str, RiskWarning]:
    """The warnings of the two rules, which the oracle must give as well."""
    pipeline = LocalPipeline(policies)
    arrived: datetime | None = None
    for event in events:
        arrived = max(arrived or event.event_time, event.event_time)
        pipeline.feed("reports" if isinstance(event, PostReport) else "transactions", event, arrived)
        pipeline.restart()
    pipeline.finish()
    assert not pipeline.refusals
    frames = {}
    for topic, kind in (("transactions", Transaction), ("reports", PostReport)):
        if some := [one for one in events if isinstance(one, kind)]:
            frames[topic] = oracle.from_events(some)
    rows = oracle.warnings(**frames, policies=policies)
    expected = {row["warning_id"]: (row["detector"], row["severity"]) for row in rows.iter_rows(named=True)}
    found = {key: (one.detector, one.severity) for key, one in pipeline.warnings.items()}
    assert found == {key: one for key, one in expected.items() if one[0] != "silence"}
    return {
        one.detector: one
        for one in pipeline.warnings.values()
        if one.detector in ("structuring", "frequent_large_transfers")
    }


def two(day: str, amount: str, **fields: Any) -> list[Transaction]:
    return [paid(f"{day}-{n}", f"2026-03-{day} 1{n}:00", amount, **fields) for n in range(2)]


def test_amounts_that_are_usually_nothing_count_after_a_report(policies: PolicyHistory) -> None:
    assert told(policies, *two("11", NEAR)) == {}
    found = told(policies, filed(), *two("11", NEAR))
    assert found.keys() == {"structuring", "frequent_large_transfers"}
    for one in found.values():
        reason = next(one for one in one.reasons if one.code == "heightened")
        assert (reason.observed, reason.threshold, reason.unit) == ("R1", "30", "days")
        assert "R1" in reason.text_zh
        assert "R1" in reason.text_en


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(NEAR, {"structuring", "frequent_large_transfers"}), (LARGE, {"frequent_large_transfers"}), (LESS, set())],
)
def test_each_figure_at_its_edge(policies: PolicyHistory, amount: str, expected: set[str]) -> None:
    assert told(policies, filed(), *two("11", amount)).keys() == expected
    below = str(float(NEAR) - 0.01) if amount == NEAR else amount
    assert "structuring" not in told(policies, filed(), *two("11", below))


@pytest.mark.parametrize(
    ("day", "strict"), [("2026-03-09", False), ("2026-03-10", True), ("2026-04-08", True), ("2026-04-09", False)]
)
def test_from_the_day_of_the_report_for_thirty_days(policies: PolicyHistory, day: str, strict: bool) -> None:
    events = [paid(f"t{n}", f"{day} 0{n}:30", NEAR) for n in range(2)]
    found = told(policies, *sorted([filed(), *events], key=lambda one: one.event_time))
    assert bool(found) == strict


def test_a_report_that_comes_late_judges_what_had_passed(policies: PolicyHistory) -> None:
    late = filed("09")
    found = told(policies, *two("11", NEAR), late)
    assert found.keys() == {"structuring", "frequent_large_transfers"}
    assert not any(one.late for one in found.values())  # it is the newest of its topic
    assert {one.event_ids for one in found.values()} == {("11-0", "11-1")}


def test_two_reports_that_overlap_last_until_the_later_one_ends(policies: PolicyHistory) -> None:
    second = filed("2026-04-01 09:00", report_id="R2")
    days = [paid(f"t{n}", f"2026-04-29 0{n}:30", NEAR) for n in range(2)]
    assert told(policies, filed(), second, *days)
    assert not told(policies, filed(), *days)


@pytest.mark.parametrize("fields", [{"kind": "complaint"}, {"customer_id": None}, {"customer_id": "C2"}])
def test_other_reports_change_nothing(policies: PolicyHistory, fields: dict[str, Any]) -> None:
    assert told(policies, filed(**fields), *two("11", NEAR)) == {}


def test_a_window_is_judged_by_its_closing_day_and_each_amount_by_its_own(policies: PolicyHistory) -> None:
    """Before the report the first amount is nothing, so that one alone is left after it."""
    events = [paid("before", "2026-03-09 10:00", NEAR), filed(), paid("after", "2026-03-11 10:00", NEAR)]
    assert told(policies, *events) == {}
    events[0] = paid("before", "2026-03-09 10:00", "400000")  # near by the usual figure
    assert told(policies, *events)["structuring"].event_ids == ("before", "after")


def test_a_policy_without_the_table_heightens_nothing(policy: Policy) -> None:
    assert told(PolicyHistory(replace(policy, heightened=None)), filed(), *two("11", NEAR)) == {}


def test_from_the_day_of_a_version_its_own_figures_hold(policy: Policy) -> None:
    stricter = policy.heightened
    assert stricter is not None
    head = replace(policy.policy, version="later", valid_from=LATER)
    later = replace(
        policy,
        policy=head,
        heightened=replace(stricter, near_from=replace(stricter.near_from, value=stricter.large_from.value)),
    )
    both = PolicyHistory(policy, later)
    assert "structuring" not in told(both, filed(), *two("11", LARGE))
    assert "structuring" in told(both, filed(), *two("12", LARGE))


def test_for_how_long_is_said_by_the_version_of_the_reports_day(policy: Policy) -> None:
    assert policy.heightened is not None
    short = replace(policy.heightened, days=replace(policy.heightened.days, value=Decimal(2)))
    for first, second, expected in ((policy.heightened, short, "30"), (short, policy.heightened, None)):
        both = PolicyHistory(
            replace(policy, heightened=first),
            replace(policy, heightened=second, policy=replace(policy.policy, version="later", valid_from=LATER)),
        )
        found = told(both, filed(), *two("12", NEAR))
        given = {reason.threshold for one in found.values() for reason in one.reasons if reason.code == "heightened"}
        assert given == ({expected} if expected is not None else set())


def test_a_day_whose_version_has_no_table_is_judged_as_usual_and_says_so(policy: Policy) -> None:
    head = replace(policy.policy, version="later", valid_from=LATER)
    both = PolicyHistory(policy, replace(policy, heightened=None, policy=head))
    assert told(both, filed(), *two("12", NEAR)) == {}
    found = told(both, filed(), *two("12", "400000"), paid("third", "2026-03-12 14:00", "400000"))
    assert found.keys() == {"structuring", "frequent_large_transfers"}
    assert not [reason for one in found.values() for reason in one.reasons if reason.code == "heightened"]


def test_reports_that_are_far_ahead_of_the_transactions_are_not_forgotten(policies: PolicyHistory) -> None:
    """As when a worker that was down reads one topic before the other."""
    pipeline = LocalPipeline(policies)
    for name, when in (("R1", "10"), ("R2", "2026-12-10 15:00")):
        pipeline.feed("reports", filed(when, report_id=name))
    for one in two("11", NEAR):
        pipeline.feed("transactions", one)
    pipeline.finish()
    found = {one.detector for one in pipeline.warnings.values()}
    assert {"structuring", "frequent_large_transfers"} <= found


def test_a_report_is_forgotten_once_no_window_can_hold_its_days(policies: PolicyHistory) -> None:
    policy = policies.latest
    assert policy.heightened is not None
    longest = timedelta(days=policy.episodes.remember.whole + policy.heightened.days.whole)
    stage, states = CustomersStage(policies), MemoryStates()
    first = filed()
    kept = []
    for offset, when in enumerate((first.event_time, first.event_time + longest, first.event_time + 2 * longest)):
        event = first if offset == 0 else paid(f"t{offset}", "2026-03-10 15:00", "1")
        event = replace(event, event_time=when)
        topic = "reports" if offset == 0 else "transactions"
        list(stage.apply(states, Record(topic, 0, offset, when, event, when)))
        state = states.load("C1", CustomerState)
        assert state is not None
        kept.append(list(state.reported))
    assert kept == [["R1"], ["R1"], []]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('large_from = { value = "0.50"', 'large_from = { value = "0.81"', "heightened.large_from must be at most"),
        ('near_from = { value = "0.60"', 'near_from = { value = "0.81"', "heightened.near_from must be at most"),
        ("a_day = { value = 2,", "a_day = { value = 4,", "heightened.a_day must be at most"),
    ],
)
def test_a_report_makes_no_rule_milder(old: str, new: str, why: str) -> None:
    assert TEXT.count(old) == 1
    with pytest.raises(PolicyError, match=why):
        parse_policy(TEXT.replace(old, new))


@pytest.mark.parametrize("seed", range(25))
def test_in_any_order_of_arrival_the_stream_says_what_the_oracle_says(policies: PolicyHistory, seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - a test's dice
    days = [f"2026-03-{day:02}" for day in range(9, 14)]
    events: list[Any] = [
        paid(
            f"t{n}",
            f"{dice.choice(days)} {dice.randrange(24):02}:{dice.randrange(60):02}",
            dice.choice((NEAR, LARGE, LESS, "400000", "499999.99", "120000")),
            customer_id=dice.choice(("C1", "C2")),
            direction=dice.choice(("in", "out")),
            cross_border=dice.random() < 0.2,
            payee=dice.choice(("P1", "P2", "P3")),
        )
        for n in range(24)
    ]
    for n in range(2):
        kind = dice.choice(("abnormal_transaction", "doubtful_document", "complaint"))
        when = f"{dice.choice(days)} {dice.randrange(24):02}:00"
        events.append(filed(when, report_id=f"R{n}", kind=kind, customer_id=dice.choice(("C1", "C2"))))
    # Within the lateness of three days whoever comes first.
    dice.shuffle(events)
    events.sort(key=lambda one: one.event_time.timestamp() + dice.random() * 2 * 86400)
    told(policies, *events)
