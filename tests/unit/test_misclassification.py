"""Loans in too good a class: each figure at its line, contagion at 10 %, how episodes begin and end, and modes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from models.events import LoanEvent
from models.pipeline import LocalPipeline
from models.policy import Misclassification, Policy, PolicyHistory
from models.reference import Mute
from models.risk_warning import RiskWarning, warning_id
from models.stage import Emit
from tests.make import at, loan

NAMES = ["normal", "special_mention", "substandard", "doubtful", "loss"]


def step(event_id: str, day: str, kind: str = "disbursed", amount: str = "100", **fields: Any) -> LoanEvent:
    """A step in the life of loan L of borrower B; `day` of March 2026, or a whole time."""
    when = day if "-" in day else f"2026-03-{day} 10:00"
    return loan(event_id, when, amount, **({"kind": kind, "loan_id": "L", "borrower_id": "B"} | fields))


def overdue(event_id: str, day: str, days: int, **fields: Any) -> LoanEvent:
    return step(event_id, day, "overdue", days_past_due=days, **fields)


def classed(event_id: str, day: str, name: str, **fields: Any) -> LoanEvent:
    return step(event_id, day, "reclassified", classification=name, **fields)


def run(policies: PolicyHistory, events: Sequence[LoanEvent]) -> tuple[list[RiskWarning], list[Emit]]:
    """Each warning's revisions as they were told, restarting after each event, and all that was emitted."""
    pipeline, emits = LocalPipeline(policies), []
    for event in events:
        emits += pipeline.feed("loans", event)
        pipeline.restart()
    emits += pipeline.finish()
    assert not pipeline.refusals
    told = [one.value for one in emits if one.topic == "warnings" and one.value.detector == "misclassification"]
    return told, emits


def anchored(anchor: str) -> str:
    return warning_id("misclassification", 1, "borrower:BANK1:B", anchor)


def with_rule(policy: Policy, valid_from: str = "2020-01-01", **fields: Any) -> Policy:
    """The policy with other figures (as text) or other fields of the rule, from a day on."""
    rule: Misclassification = policy.detectors.misclassification
    for name, value in fields.items():
        figure = getattr(rule, name)
        rule = replace(rule, **{name: value if isinstance(figure, str) else replace(figure, value=Decimal(value))})
    head = replace(policy.policy, version=f"from {valid_from}", valid_from=at(f"{valid_from} 00:00"))
    return replace(policy, policy=head, detectors=replace(policy.detectors, misclassification=rule))


@pytest.mark.parametrize(
    ("days", "least"),
    [(0, 0), (1, 1), (90, 1), (91, 2), (270, 2), (271, 3), (360, 3), (361, 4), (4000, 4)],
)
@pytest.mark.parametrize("given", range(5))
def test_each_figure_exactly_and_one_day_above(policies: PolicyHistory, days: int, least: int, given: int) -> None:
    told, _ = run(policies, [step("e1", "02"), classed("e2", "03", NAMES[given]), overdue("e3", "04", days)])
    wanted = [None, "medium", "high", "high", "high"][max(0, least - given)]
    assert [one.severity for one in told] == ([wanted] if wanted else [])
    for one in told:
        figure = {1: "0", 2: "90", 3: "270", 4: "360"}[least]
        (reason,) = one.reasons
        assert (reason.code, reason.observed, reason.threshold, reason.unit) == (
            "class_too_good", str(days), figure, "days"
        )  # fmt: skip


def test_the_warning(policies: PolicyHistory) -> None:
    told, emits = run(policies, [step("e1", "02"), overdue("e2", "04", 1)])
    (one,) = told
    assert one.warning_id == anchored("L|2026-03-04")
    assert (one.subject, one.departments, one.event_ids, one.event_count) == (
        "borrower:BANK1:B", ("credit", "risk"), ("e2",), 1
    )  # fmt: skip
    assert one.measures == ("adjust_classification", "review_granted_loans")
    assert (one.window.start, one.window.end) == (at("2026-03-04 00:00"), at("2026-03-05 00:00"))
    assert (one.mode, one.late, one.notify, one.event_time) == ("live", False, True, at("2026-03-04 10:00"))
    assert one.reasons[0].text_en == (
        "Loan L is 1 day past due, more than 0: it must be at least special mention, and is normal."
    )
    assert one.reasons[0].text_zh == "贷款L逾期1天，超过0天，应至少归为关注类，现为正常类。"
    copies = [emit for emit in emits if emit.topic == "warnings.credit"]
    assert [(emit.key, emit.value) for emit in copies] == [("borrower:BANK1:B", one)]


def test_a_graver_gap_is_the_same_warning_and_a_milder_one_says_nothing_new(policies: PolicyHistory) -> None:
    events = [
        step("e1", "02"),
        overdue("e2", "04", 60),
        overdue("e3", "05", 91),
        classed("e4", "06", "special_mention"),
    ]
    told, _ = run(policies, [*events, overdue("e5", "07", 93)])
    assert [(one.warning_id, one.revision, one.severity, one.event_ids) for one in told] == [
        (anchored("L|2026-03-04"), 1, "medium", ("e2",)),
        (anchored("L|2026-03-04"), 2, "high", ("e3",)),
    ]


@pytest.mark.parametrize(
    "cure",
    [
        overdue("c", "05", 0),
        classed("c", "05", "special_mention"),
        classed("c", "05", "loss"),
        step("c", "05", "repaid"),
        step("c", "05", "written_off"),
        step("c", "05", "reversed"),
    ],
)
def test_an_episode_ends_and_another_begins(policies: PolicyHistory, cure: LoanEvent) -> None:
    before = [step("e1", "02"), overdue("e2", "04", 30), cure]
    told, _ = run(policies, before)
    assert [one.warning_id for one in told] == [anchored("L|2026-03-04")]
    closed = cure.kind in ("repaid", "written_off", "reversed")
    # Drawn again, it is as overdue as it was; not closed, it falls behind its class once more.
    again = (
        step("e3", "09") if closed else overdue("e3", "09", 361) if cure.kind != "overdue" else overdue("e3", "09", 5)
    )
    if cure.classification == "loss":
        again = classed("e3", "09", "normal")
    told, _ = run(policies, [*before, again])
    assert [one.warning_id for one in told] == [anchored("L|2026-03-04"), anchored("L|2026-03-09")]


def test_two_episodes_that_begin_on_one_day_are_one(policies: PolicyHistory) -> None:
    times = [f"2026-03-04 {hour:02d}:00" for hour in (8, 9, 10)]
    told, _ = run(policies, [step("e1", "02"), *(overdue(f"e{n}", t, n % 2) for n, t in enumerate(times, 3))])
    assert [(one.warning_id, one.revision) for one in told] == [(anchored("L|2026-03-04"), 1)]


def test_a_part_repayment_leaves_it_as_it_is(policies: PolicyHistory) -> None:
    told, _ = run(policies, [step("e1", "02"), overdue("e2", "04", 1), step("e3", "05", "repaid", "99.99")])
    assert [one.revision for one in told] == [1]


def test_a_late_step_is_judged_by_its_own_day_and_marked(policies: PolicyHistory) -> None:
    other = step("o", "06", loan_id="other")
    told, _ = run(policies, [step("e1", "02"), other, overdue("e2", "04", 1)])
    assert [(one.warning_id, one.late) for one in told] == [(anchored("L|2026-03-04"), True)]
    # One that a newer step has overtaken changes nothing, and so says nothing.
    told, _ = run(policies, [step("e1", "02"), overdue("e3", "05", 0), overdue("e2", "04", 1)])
    assert not told


def test_the_days_of_another_entity_are_another_warning(policies: PolicyHistory) -> None:
    there = {"entity": "BANK2"}
    told, _ = run(policies, [step("e1", "02"), step("e2", "02", **there), overdue("e3", "04", 1, **there)])
    assert [one.subject for one in told] == ["borrower:BANK2:B"]


# ------------------------------------------------------------------- contagion


def two(bad: str, good: str, **fields: Any) -> list[LoanEvent]:
    """A bad loan M and a good one L of one borrower."""
    return [step("e1", "02", amount=bad, loan_id="M", **fields), step("e2", "02", amount=good)]


def test_contagion_only_above_ten_per_cent(policies: PolicyHistory) -> None:
    worse = classed("e3", "04", "substandard", loan_id="M")
    assert not run(policies, [*two("100", "900"), worse])[0]
    told, emits = run(policies, [*two("100.01", "900"), worse])
    (one,) = told
    assert (one.warning_id, one.severity, one.event_ids, one.event_count) == (
        anchored("contagion|2026-03-04"), "high", ("e3",), 1
    )  # fmt: skip
    (reason,) = one.reasons
    assert (reason.code, reason.observed, reason.threshold, reason.unit) == (
        "contagion", "0.100009", "0.10", "share of the debtor's exposure"
    )  # fmt: skip
    assert reason.text_en == (
        "Loans that are substandard or worse are 0.100009 of the debtor's exposure, more than 0.10; "
        "another loan is better and must be at least substandard: L."
    )
    assert reason.text_zh == "借款人次级及以下贷款占其全部贷款的0.100009，超过0.10，其余贷款应至少归为次级类：L。"
    assert [emit.value for emit in emits if emit.topic == "warnings.credit"] == [one]


@pytest.mark.parametrize(("name", "contagious"), [("special_mention", False), ("doubtful", True), ("loss", True)])
def test_only_substandard_or_worse_is_contagious(policies: PolicyHistory, name: str, contagious: bool) -> None:
    told, _ = run(policies, [*two("500", "500"), classed("e3", "04", name, loan_id="M")])
    assert bool(told) is contagious


def test_contagion_in_foreign_money_at_the_loans_own_rate(policies: PolicyHistory) -> None:
    # USD 100 at 7.1 are 710: exactly a tenth beside 6,390, just above it beside 6,389.99.
    worse = classed("e3", "04", "substandard", loan_id="M", currency="USD")
    assert not run(policies, [*two("100", "6390", currency="USD"), worse])[0]
    told, _ = run(policies, [*two("100", "6389.99", currency="USD"), worse])
    assert [one.reasons[0].observed for one in told] == ["0.100000"]


@pytest.mark.parametrize(
    "cure",
    [
        classed("c", "05", "special_mention", loan_id="M"),
        classed("c", "05", "substandard"),  # the other is bad as well: none is better
        step("c", "05", "repaid", "100", loan_id="M"),
        step("c", "05", "repaid", "900"),
        step("c", "05", amount="1000", loan_id="N"),  # a drawing dilutes
    ],
)
def test_contagion_ends_and_begins_again(policies: PolicyHistory, cure: LoanEvent) -> None:
    before = [*two("200", "900"), classed("e3", "04", "doubtful", loan_id="M"), cure]
    assert [one.warning_id for one in run(policies, before)[0]] == [anchored("contagion|2026-03-04")]
    again = {
        "reclassified": classed("e4", "09", "loss" if cure.loan_id == "M" else "normal", loan_id=cure.loan_id),
        "repaid": step("e4", "09", amount=f"{cure.amount}", loan_id=cure.loan_id),
        "disbursed": step("e4", "09", "repaid", "1000", loan_id="N"),
    }[cure.kind]
    told, _ = run(policies, [*before, again])
    assert [one.warning_id for one in told] == [anchored("contagion|2026-03-04"), anchored("contagion|2026-03-09")]


def test_a_loan_that_comes_to_it_says_nothing_new(policies: PolicyHistory) -> None:
    before = [*two("500", "500"), classed("e3", "04", "loss", loan_id="M")]
    told, _ = run(policies, [*before, step("e4", "06", loan_id="N"), step("e5", "07", "repaid", "50", loan_id="N")])
    assert [(one.revision, one.event_count, one.event_ids) for one in told] == [(1, 1, ("e3",))]


def test_several_loans_are_named(policies: PolicyHistory) -> None:
    three = [*two("500", "500"), step("e3", "03", loan_id="N")]
    told, _ = run(policies, [*three, classed("e4", "04", "loss", loan_id="M")])
    assert "other loans are better and must be at least substandard: L, N." in told[0].reasons[0].text_en


def test_many_loans_are_not_all_named(policies: PolicyHistory) -> None:
    many = [step(f"e{n:02d}", "02", amount="1", loan_id=f"L{n:02d}") for n in range(25)]
    told, _ = run(policies, [*many, step("m", "03", loan_id="M"), classed("w", "04", "loss", loan_id="M")])
    (one,) = told
    assert "L18, L19 and 5 more." in one.reasons[0].text_en
    assert "L18、L19等25笔。" in one.reasons[0].text_zh


def test_both_rules_at_once(policies: PolicyHistory) -> None:
    events = [
        *two("500", "500"),
        classed("e3", "04", "substandard", loan_id="M"),
        overdue("e4", "05", 300, loan_id="M"),
    ]
    told, _ = run(policies, events)
    assert [(one.warning_id, one.severity) for one in told] == [
        (anchored("contagion|2026-03-04"), "high"),
        (anchored("M|2026-03-05"), "medium"),
    ]


# ------------------------------------------------------- modes, versions, mutes


def test_in_shadow_it_is_recorded_and_nobody_is_told(policy: Policy) -> None:
    told, emits = run(PolicyHistory(with_rule(policy, mode="shadow")), [step("e1", "02"), overdue("e2", "04", 1)])
    assert [one.mode for one in told] == ["shadow"]
    assert not [one for one in emits if one.topic == "warnings.credit"]


def test_a_rule_that_is_off_knows_since_when_on_the_day_it_is_switched_on(policy: Policy) -> None:
    off = with_rule(policy, mode="off")
    policies = PolicyHistory(off, with_rule(policy, "2026-03-06"))
    before = [*two("500", "500"), classed("e3", "04", "loss", loan_id="M"), overdue("e4", "05", 1)]
    assert not run(policies, before)[0]
    told, _ = run(policies, [*before, overdue("e5", "06", 2)])
    assert {one.warning_id for one in told} == {anchored("L|2026-03-05"), anchored("contagion|2026-03-04")}
    assert not run(PolicyHistory(off), [*before, overdue("e5", "06", 2)])[0]


def test_each_event_is_judged_by_the_figures_of_its_own_day(policy: Policy) -> None:
    later = with_rule(policy, "2026-03-06", special_mention_after="30", contagion_from="0.50")
    policies = PolicyHistory(policy, later)
    # Too good until the new figures come; the next change of the loan shows that it is good enough.
    before = [step("e1", "02"), overdue("e2", "05", 20), overdue("e3", "06", 21)]
    assert [one.warning_id for one in run(policies, before)[0]] == [anchored("L|2026-03-05")]
    told, _ = run(policies, [*before, overdue("e4", "07", 31)])
    assert [one.warning_id for one in told] == [anchored("L|2026-03-05"), anchored("L|2026-03-07")]
    # One that comes late, by its own day.
    told, _ = run(policies, [step("e1", "02"), step("o", "07", loan_id="O"), overdue("e2", "05", 20)])
    assert [(one.policy_version, one.late) for one in told] == [(policy.version, True)]
    worse = classed("e3", "05", "loss", loan_id="M")
    told, _ = run(
        policies, [*two("500", "500"), worse, step("e4", "06", "repaid", "1"), step("e5", "07", "repaid", "1")]
    )
    # 500 of 999 and of 998 are more than half again.
    assert [one.warning_id for one in told] == [anchored("contagion|2026-03-05")]
    told, _ = run(policies, [*two("500", "500"), worse, step("e4", "06", amount="1"), step("e5", "07", "repaid", "2")])
    assert [one.warning_id for one in told] == [anchored("contagion|2026-03-05"), anchored("contagion|2026-03-07")]


def test_a_mute_records_and_tells_nobody_until_it_is_over(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    mute = Mute(
        mute_id="m1",
        subject="borrower:BANK1:B",
        detector="misclassification",
        starts_at=at("2026-03-01 00:00"),
        ends_at=at("2026-03-05 00:00"),
        up_to="critical",
        reason="its class is being agreed",
        proposed_by="E1",
        proposed_at=at("2026-02-28 09:00"),
        approved_by="E2",
        approved_at=at("2026-02-28 10:00"),
    )
    assert policies.take(mute)
    told, emits = run(policies, [step("e1", "02"), overdue("e2", "04", 1), overdue("e3", "06", 2)])
    assert [(one.muted_by, one.notify) for one in told] == [("m1", False), (None, True)]
    assert [one.value.revision for one in emits if one.topic == "warnings.credit"] == [2]


def test_a_warning_is_remembered_for_as_long_as_it_holds(policies: PolicyHistory) -> None:
    """A year later the same episode is graver: its second revision, not a new warning's first."""
    events = [step("e1", "02"), overdue("e2", "04", 1), step("o", "2026-12-30 10:00", loan_id="O")]
    told, _ = run(policies, [*events, overdue("e3", "2027-03-05 10:00", 366)])
    assert [(one.warning_id, one.revision, one.severity) for one in told] == [
        (anchored("L|2026-03-04"), 1, "medium"),
        (anchored("L|2026-03-04"), 2, "high"),
    ]
