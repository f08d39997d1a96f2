"""approval_during_suspension by the oracle: which approvals fall into which suspensions, one warning each."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent
from models.messages import Suspension, Suspensions
from models.policy import Policy, PolicyHistory
from models.risk_warning import warning_id
from streams.verify import suspension_frame
from tests.make import at, loan

NAME = "approval_during_suspension"
START, LIFT = "2026-03-02 09:00", "2026-03-04 09:00"
INDUSTRY = "industry:BANK1:K"


def approval(event_id: str, when: str, **fields: Any) -> LoanEvent:
    """Of ¥1,000 in industry K, to a borrower of its own, unless told otherwise."""
    return loan(event_id, when, "1000", **({"kind": "approved", "approver_id": "M3"} | fields))


def suspended(
    subject: str = INDUSTRY, *spans: tuple[str, str | None], case: str | None = None, revision: int = 1
) -> Suspensions:
    """From 2 to 4 March 2026, each at 9, unless told otherwise."""
    times = spans or ((START, LIFT),)
    made = [Suspension(started_at=at(one), started_by="H1", lifted_at=at(end) if end else None) for one, end in times]
    return Suspensions(
        case_id=case or f"{subject}#1",
        subject=subject,
        entity=subject.split(":")[1],
        revision=revision,
        spans=tuple(made),
    )


def with_rule(policy: Policy, **fields: Any) -> Policy:
    rule = replace(policy.detectors.approval_during_suspension, **fields)
    return replace(policy, detectors=replace(policy.detectors, approval_during_suspension=rule))


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def warned(policies: PolicyHistory, events: Sequence[LoanEvent], *messages: Suspensions) -> list[dict[str, Any]]:
    found = oracle.warnings(loans=oracle.from_events(events), suspensions=suspension_frame(messages), policies=policies)
    return found.filter(pl.col("detector") == NAME).sort("event_time", "subject").to_dicts()


def judged(policies: PolicyHistory, events: Sequence[LoanEvent], *messages: Suspensions) -> list[tuple[str, str]]:
    return [(row["subject"], row["anchor"]) for row in warned(policies, events, *messages)]


def test_a_warning_says_what_was_approved_when(policies: PolicyHistory) -> None:
    [row] = warned(policies, [approval("e1", "2026-03-02 23:30:00.250000")], suspended())
    assert row["warning_id"] == warning_id(NAME, 1, INDUSTRY, "e1")
    assert (row["subject"], row["anchor"]) == (INDUSTRY, "e1")
    assert row["severity"] == "high"
    assert row["departments"] == ["credit", "risk"]
    assert row["observed"] == "2026-03-02T23:30:00.250000+08:00"
    assert row["event_time"] == datetime(2026, 3, 2, 15, 30, 0, 250000, tzinfo=UTC)
    assert row["window_end"] == datetime(2026, 3, 2, 16, tzinfo=UTC)  # midnight in Shanghai


def test_times_are_told_by_the_banks_clock_of_that_day(policy: Policy) -> None:
    calendar = replace(policy.calendar, country="US", timezone="America/New_York")
    policies = PolicyHistory(replace(policy, calendar=calendar))
    span = ("2026-03-01 00:00", None)
    # 8 March 2026, 2 in the morning: clocks go forward.
    rows = warned(
        policies,
        [approval("winter", "2026-03-08 14:59:59"), approval("summer", "2026-03-08 15:00")],
        suspended(INDUSTRY, span),
    )
    assert [row["observed"] for row in rows] == ["2026-03-08T01:59:59-05:00", "2026-03-08T03:00:00-04:00"]
    assert [row["window_end"] for row in rows] == [datetime(2026, 3, 9, 4, tzinfo=UTC)] * 2


@pytest.mark.parametrize(
    ("when", "count"),
    [
        ("2026-03-02 08:59:59.999999", 0),
        ("2026-03-02 09:00", 1),
        ("2026-03-04 08:59:59.999999", 1),
        ("2026-03-04 09:00", 0),
        ("2026-03-05 09:00", 0),
    ],
)
def test_the_start_belongs_to_a_suspension_and_its_lifting_does_not(
    policies: PolicyHistory, when: str, count: int
) -> None:
    assert len(judged(policies, [approval("e1", when)], suspended())) == count
    in_force = judged(policies, [approval("e1", when)], suspended(INDUSTRY, (START, None)))
    assert len(in_force) == (when >= START)


def test_nothing_may_be_approved_for_no_time_at_all(policies: PolicyHistory) -> None:
    assert judged(policies, [approval("e1", START)], suspended(INDUSTRY, (START, START))) == []


@pytest.mark.parametrize("kind", ["applied", "disbursed"])
def test_only_approvals_count(policies: PolicyHistory, kind: Any) -> None:
    assert judged(policies, [approval("e1", START, kind=kind)], suspended()) == []


@pytest.mark.parametrize(
    ("fields", "subjects"),
    [
        ({}, ["borrower:BANK1:B-e1", "industry:BANK1:K"]),
        ({"industry": "7010"}, ["borrower:BANK1:B-e1", "industry:BANK1:K"]),
        ({"industry": "C13"}, ["borrower:BANK1:B-e1"]),
        ({"industry": ""}, ["borrower:BANK1:B-e1"]),
        ({"industry": "98"}, ["borrower:BANK1:B-e1"]),
        ({"group_id": "G1"}, ["borrower:BANK1:B-e1", "group:BANK1:G1", "industry:BANK1:K"]),
        ({"group_id": "G2"}, ["borrower:BANK1:B-e1", "industry:BANK1:K"]),
        (
            {"real_estate": "development", "industry": "E47"},
            ["borrower:BANK1:B-e1", "real_estate:BANK1:development", "real_estate:BANK1:total"],
        ),
        (
            {"real_estate": "mortgage", "industry": ""},
            ["borrower:BANK1:B-e1", "real_estate:BANK1:mortgage", "real_estate:BANK1:total"],
        ),
        ({"borrower_id": "B2", "industry": ""}, []),
        ({"entity": "BANK2", "real_estate": "mortgage", "group_id": "G1"}, []),
    ],
)
def test_an_approval_is_in_every_subject_that_it_belongs_to(
    policies: PolicyHistory, fields: dict[str, Any], subjects: list[str]
) -> None:
    messages = [
        *(suspended(f"real_estate:BANK1:{kind}") for kind in ("total", "development", "mortgage", "none")),
        *(suspended(subject) for subject in ("industry:BANK1:K", "industry:BANK1:unknown")),
        *(suspended(subject) for subject in ("borrower:BANK1:B-e1", "group:BANK1:G1", "group:BANK1:")),
        *(suspended(subject) for subject in ("book:BANK1", "top_ten:BANK1")),
    ]
    found = judged(policies, [approval("e1", "2026-03-03 10:00", **fields)], *messages)
    assert found == [(subject, "e1") for subject in subjects]


def test_an_approval_counts_where_it_says_itself_whatever_its_loan_became(policies: PolicyHistory) -> None:
    events = [
        loan("d", "2026-03-02 10:00", "1000", "C13", loan_id="L", borrower_id="B", group_id="G1"),
        approval("a", "2026-03-02 11:00", loan_id="L", borrower_id="B", group_id="G2", real_estate="mortgage"),
    ]
    subjects = [INDUSTRY, "industry:BANK1:C", "group:BANK1:G1", "group:BANK1:G2", "real_estate:BANK1:mortgage"]
    found = judged(policies, events, *(suspended(subject) for subject in subjects))
    assert found == [("group:BANK1:G2", "a"), (INDUSTRY, "a"), ("real_estate:BANK1:mortgage", "a")]


def test_names_may_have_colons(policies: PolicyHistory) -> None:
    events = [approval("e1", START, borrower_id="B:7", group_id="x:y")]
    messages = [suspended("borrower:BANK1:B:7"), suspended("group:BANK1:x:y"), suspended("borrower:BANK1:B")]
    assert judged(policies, events, *messages) == [("borrower:BANK1:B:7", "e1"), ("group:BANK1:x:y", "e1")]


def test_each_approval_is_a_warning_and_one_sent_twice_is_one(policies: PolicyHistory) -> None:
    first, second = approval("e1", START, borrower_id="B"), approval("e2", START, borrower_id="B")
    assert judged(policies, [first, second, first], suspended()) == [(INDUSTRY, "e1"), (INDUSTRY, "e2")]
    # The first that came is the one that counts.
    again = replace(first, event_time=at("2026-03-05 09:00"))
    assert judged(policies, [first, again], suspended()) == [(INDUSTRY, "e1")]
    assert judged(policies, [again, first], suspended()) == []


def test_an_id_that_another_step_of_the_borrower_has_is_no_approval(policies: PolicyHistory) -> None:
    drawn = loan("e1", START, "1000", borrower_id="B")
    assert judged(policies, [drawn, approval("e1", START, borrower_id="B")], suspended()) == []
    assert judged(policies, [drawn, approval("e1", START, borrower_id="B2")], suspended()) == [(INDUSTRY, "e1")]


def test_what_is_refused_is_not_approved(policies: PolicyHistory) -> None:
    mine = {"borrower_id": "B"}
    newest = approval("new", "2026-03-20 10:00", **mine)
    late = approval("late", "2026-03-03 10:00", **mine)
    assert judged(policies, [newest, late], suspended()) == []
    assert judged(policies, [late, newest], suspended()) == [(INDUSTRY, "late")]
    sent = [approval("e1", "2026-03-03 10:00", **mine)] * 2
    for ingests, count in ((["2026-03-03 09:00"] * 2, 0), (["2026-03-03 09:00", "2026-03-03 10:00"], 1)):
        frame = oracle.from_events(sent, ingest_times=[at(one) for one in ingests])
        spans = suspension_frame([suspended()])
        found = oracle.warnings(loans=frame, suspensions=spans, policies=policies)
        assert found.filter(pl.col("detector") == NAME).height == count


def test_an_approval_in_a_currency_without_a_rate_is_one(policies: PolicyHistory) -> None:
    assert judged(policies, [approval("e1", START, currency="AUD")], suspended()) == [(INDUSTRY, "e1")]


def test_spans_of_one_case_or_of_several_do_not_add_up(policies: PolicyHistory) -> None:
    spans = (("2026-03-02 09:00", "2026-03-02 10:00"), ("2026-03-03 09:00", None))
    events = [approval("in", "2026-03-02 09:30"), approval("out", "2026-03-02 10:00"), approval("on", spans[1][0])]
    assert judged(policies, events, suspended(INDUSTRY, *spans)) == [(INDUSTRY, "in"), (INDUSTRY, "on")]
    # Two cases of a subject may meet in time: what was approved is still one thing.
    both = [suspended(case=f"{INDUSTRY}#1"), suspended(INDUSTRY, ("2026-03-03 09:00", None), case=f"{INDUSTRY}#2")]
    found = judged(policies, [approval("e1", "2026-03-03 09:00"), approval("e2", LIFT)], *both)
    assert found == [(INDUSTRY, "e1"), (INDUSTRY, "e2")]


def test_the_newest_revision_of_each_case_counts(policies: PolicyHistory) -> None:
    begun = suspended(INDUSTRY, (START, None))
    lifted = suspended(INDUSTRY, (START, LIFT), revision=2)
    other = suspended("borrower:BANK1:B-e1", (START, None))
    event = approval("e1", LIFT)
    assert judged(policies, [event], begun) == [(INDUSTRY, "e1")]
    for order in ([begun, lifted], [lifted, begun], [begun, lifted, begun]):
        assert judged(policies, [event], *order, other) == [("borrower:BANK1:B-e1", "e1")]


def test_suspensions_become_a_frame() -> None:
    frame = suspension_frame([suspended(INDUSTRY, (START, LIFT), ("2026-03-05 09:00", None))])
    begun, lifted = datetime(2026, 3, 2, 1, tzinfo=UTC), datetime(2026, 3, 4, 1, tzinfo=UTC)
    assert frame.rows() == [
        (INDUSTRY, f"{INDUSTRY}#1", begun, lifted),
        (INDUSTRY, f"{INDUSTRY}#1", datetime(2026, 3, 5, 1, tzinfo=UTC), None),
    ]
    assert suspension_frame([]).columns == frame.columns


def test_a_frame_may_leave_out_what_nothing_is_known_of(policies: PolicyHistory) -> None:
    def count(spans: dict[str, list[Any]], events: Sequence[LoanEvent] = (approval("e1", START),)) -> int:
        loans = oracle.from_events(events)
        found = oracle.warnings(loans=loans, suspensions=pl.DataFrame(spans), policies=policies)
        return found.filter(pl.col("detector") == NAME).height

    mine: dict[str, list[Any]] = {"subject": [INDUSTRY], "started_at": [at(START)]}
    assert count(mine) == 1
    assert count(mine, []) == 0
    assert count({**mine, "lifted_at": [None]}) == 1
    assert count({**mine, "lifted_at": [at(START)]}) == 0
    assert count({}) == 0
    for name in ("started_at", "lifted_at"):
        with pytest.raises(ValueError, match=f"{name} has no time zone"):
            count({**mine, name: [at(START).replace(tzinfo=None)]})


def test_without_suspensions_there_is_nothing(policies: PolicyHistory) -> None:
    assert oracle.warnings(loans=oracle.from_events([approval("e1", START)]), policies=policies).height == 0
    assert judged(policies, [approval("e1", START)]) == []
    assert judged(policies, [], suspended()) == []


@pytest.mark.parametrize(("mode", "count"), [("live", 3), ("shadow", 3), ("off", 2)])
def test_each_day_is_judged_by_its_own_version(policy: Policy, mode: str, count: int) -> None:
    other = from_day(with_rule(policy, mode=mode, severity="critical", departments=("it",)), "2026-03-03")
    policies = PolicyHistory(policy, other, from_day(policy, "2026-03-04"))
    days = ("2026-03-02 09:00", "2026-03-03 00:00", "2026-03-04 00:00")
    rows = warned(policies, [approval(when, when) for when in days], suspended(INDUSTRY, (START, None)))
    assert len(rows) == count
    by_day = {row["anchor"]: (row["severity"], row["departments"]) for row in rows}
    assert by_day[days[0]] == by_day[days[2]] == ("high", ["credit", "risk"])
    assert by_day.get(days[1]) == (None if mode == "off" else ("critical", ["it"]))


def test_the_industry_is_that_of_the_scheme_of_the_day(policy: Policy) -> None:
    industry = replace(policy.detectors.industry_concentration, scheme="naics")
    other = replace(policy, detectors=replace(policy.detectors, industry_concentration=industry))
    policies = PolicyHistory(policy, from_day(other, "2026-03-03"))
    events = [approval(when, f"{when} 10:00", industry="5221") for when in ("2026-03-02", "2026-03-03")]
    messages = [suspended("industry:BANK1:F"), suspended("industry:BANK1:52")]
    assert judged(policies, events, *messages) == [
        ("industry:BANK1:F", "2026-03-02"),
        ("industry:BANK1:52", "2026-03-03"),
    ]


def test_a_rule_that_is_off_everywhere_says_nothing(policy: Policy) -> None:
    assert judged(PolicyHistory(with_rule(policy, mode="off")), [approval("e1", START)], suspended()) == []
