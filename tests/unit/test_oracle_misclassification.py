"""The oracle on classes that are too good for the days past due, and on bad loans that make the rest bad."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent
from models.policy import Policy, PolicyHistory
from models.risk_warning import warning_id
from tests.make import at, loan

RULE = "misclassification"
SUBJECT = "borrower:BANK1:B"


def step(number: int, kind: str, value: Any = None, loan_id: str = "L", **fields: Any) -> LoanEvent:
    """An event of borrower B's loan on the `number`th of March, 10:00; `value` is amount, class or days past due."""
    values: dict[str, Any] = {"borrower_id": "B", "loan_id": loan_id, "kind": kind} | fields
    event = loan(f"e{number:02d}-{loan_id}", f"2026-03-{number:02d} 10:00", "1", **values)
    if kind == "reclassified":
        return replace(event, amount=None, classification=value)
    if kind == "overdue":
        return replace(event, amount=None, days_past_due=value)
    return replace(event, amount=Decimal(value))


def judge(policy: Policy | PolicyHistory, *events: LoanEvent) -> pl.DataFrame:
    history = policy if isinstance(policy, PolicyHistory) else PolicyHistory(policy)
    frame = oracle.warnings(loans=oracle.from_events(events), policies=history)
    return frame.filter(pl.col("detector") == RULE).sort("event_time", "anchor")


def found(policy: Policy | PolicyHistory, *events: LoanEvent) -> list[tuple[str, str, str]]:
    return judge(policy, *events).select("anchor", "severity", "observed").rows()


def loans(*amounts: str) -> list[LoanEvent]:
    return [step(1, "disbursed", amount, f"L{i}") for i, amount in enumerate(amounts)]


# ---------------------------------------------------------------- too good a class


@pytest.mark.parametrize(
    ("days", "given", "severity"),
    [
        (0, "normal", None), (1, "normal", "medium"), (90, "normal", "medium"), (91, "normal", "high"),
        (90, "special_mention", None), (91, "special_mention", "medium"), (270, "special_mention", "medium"),
        (271, "special_mention", "high"), (270, "substandard", None), (271, "substandard", "medium"),
        (361, "substandard", "high"), (360, "doubtful", None), (361, "doubtful", "medium"), (9999, "loss", None),
        (361, "normal", "high"),
    ],
)  # fmt: skip
def test_the_class_that_days_past_due_ask_for(policy: Policy, days: int, given: str, severity: str | None) -> None:
    events = [step(1, "disbursed", "100"), step(2, "reclassified", given), step(3, "overdue", days)]
    assert found(policy, *events) == ([("L|2026-03-03", severity, str(days))] if severity else [])


def test_a_warning_says_what_was_seen(policy: Policy) -> None:
    row = judge(policy, step(1, "disbursed", "100"), step(2, "overdue", 30)).row(0, named=True)
    assert row["warning_id"] == warning_id(RULE, 1, SUBJECT, "L|2026-03-02")
    assert (row["subject"], row["departments"]) == (SUBJECT, ["credit", "risk"])
    assert (row["event_time"], row["window_end"]) == (at("2026-03-02 10:00"), at("2026-03-03 00:00"))


@pytest.mark.parametrize(
    "ending",
    [
        step(4, "overdue", 0),
        step(4, "reclassified", "special_mention"),
        step(4, "repaid", "100"),
        step(4, "written_off", "100"),
    ],
)
def test_an_episode_ends_when_the_class_will_do_or_nothing_is_owed(policy: Policy, ending: LoanEvent) -> None:
    begun = [step(1, "disbursed", "100"), step(2, "overdue", 10), step(3, "overdue", 11), ending]
    assert [row[0] for row in found(policy, *begun)] == ["L|2026-03-02"]
    again = [step(5, "disbursed", "5"), step(6, "reclassified", "normal"), step(7, "overdue", 12)]
    anchors = [row[0] for row in found(policy, *begun, *again)]
    # Drawn again after it was repaid, a loan is as late as it was.
    day = {"overdue": "07", "reclassified": "06"}.get(ending.kind, "05")
    assert anchors == ["L|2026-03-02", f"L|2026-03-{day}"]


def test_severity_rises_within_an_episode_and_never_falls(policy: Policy) -> None:
    events = [step(1, "disbursed", "100"), step(2, "overdue", 10), step(3, "overdue", 91), step(4, "overdue", 20)]
    assert found(policy, *events) == [("L|2026-03-02", "high", "91")]
    assert judge(policy, *events)["window_end"].to_list() == [at("2026-03-04 00:00")]
    assert found(policy, *events, step(5, "overdue", 95)) == [("L|2026-03-02", "high", "91")]


def test_a_repayment_in_part_and_a_second_draw_change_nothing(policy: Policy) -> None:
    events = [step(1, "disbursed", "100"), step(2, "overdue", 10), step(3, "repaid", "50"), step(4, "disbursed", "7")]
    assert found(policy, *events) == [("L|2026-03-02", "medium", "10")]


def test_the_newest_status_wins_whatever_the_arrival(policy: Policy) -> None:
    events = [step(1, "disbursed", "100"), step(3, "overdue", 0), step(2, "overdue", 200)]
    assert found(policy, *events) == []
    same_time = replace(step(3, "overdue", 200), event_id="e03-K")  # before e03-L
    assert found(policy, *events[:2], same_time) == []
    later = replace(same_time, event_id="e03-M")
    assert found(policy, *events[:2], later) == [("L|2026-03-03", "high", "200")]
    # A class does not make older days past due stale, nor the other way round.
    assert found(policy, events[0], step(4, "reclassified", "normal"), step(2, "overdue", 5)) == [
        ("L|2026-03-02", "medium", "5")
    ]


def test_events_of_loans_that_are_not_there_are_refused_and_say_nothing(policy: Policy) -> None:
    events = [
        step(1, "approved", "100"),
        step(2, "overdue", 100),
        step(3, "disbursed", "100"),
        step(4, "repaid", "100"),
        step(5, "overdue", 100),
        step(6, "reclassified", "loss"),
    ]
    assert found(policy, *events) == []
    assert oracle.refusals(loans=oracle.from_events(events), policies=PolicyHistory(policy)).rows() == [
        ("e02-L", "closed_loan"),  # nothing was owed then, whatever came later
        ("e05-L", "closed_loan"),
        ("e06-L", "closed_loan"),
    ]


# ---------------------------------------------------------------------- contagion


@pytest.mark.parametrize(("bad", "infects"), [("100", False), ("100.01", True), ("999", True)])
def test_bad_loans_make_the_rest_bad_above_a_tenth(policy: Policy, bad: str, infects: bool) -> None:
    events = [*loans(bad, str(1000 - Decimal(bad))), step(2, "reclassified", "substandard", "L0")]
    share = str(Decimal(bad) / 1000)
    expected = [("contagion|2026-03-02", "high", f"{Decimal(share):.6f}")] if infects else []
    assert found(policy, *events) == expected
    milder = [*events[:2], step(2, "reclassified", "special_mention", "L0")]
    assert found(policy, *milder) == []


def test_contagion_ends_when_the_rest_is_bad_too_or_the_bad_is_gone(policy: Policy) -> None:
    begun = [*loans("200", "800"), step(2, "reclassified", "doubtful", "L0")]
    for ending, again, day in (
        (step(3, "reclassified", "substandard", "L1"), step(4, "reclassified", "special_mention", "L1"), "04"),
        (step(3, "reclassified", "normal", "L0"), step(4, "reclassified", "loss", "L0"), "04"),
        (step(3, "repaid", "200", "L0"), step(4, "disbursed", "200", "L0"), "04"),
        (step(3, "repaid", "120", "L0"), step(4, "disbursed", "120", "L0"), "04"),  # 80 of 880, and back
        (step(3, "repaid", "800", "L1"), step(4, "disbursed", "800", "L1"), "04"),
    ):
        assert [row[0] for row in found(policy, *begun, ending)] == ["contagion|2026-03-02"]
        anchors = [row[0] for row in found(policy, *begun, ending, again)]
        assert anchors == ["contagion|2026-03-02", f"contagion|2026-03-{day}"], ending


def test_a_new_loan_beside_a_bad_one_is_infected(policy: Policy) -> None:
    events = [step(1, "disbursed", "200"), step(2, "reclassified", "loss"), step(3, "disbursed", "300", "L2")]
    assert found(policy, *events) == [("contagion|2026-03-03", "high", "0.400000")]
    assert found(policy, *events[:2], step(3, "disbursed", "1800", "L2")) == []  # exactly a tenth
    assert found(policy, *events[:2], step(3, "disbursed", "300", "L2", entity="BANK2")) == []
    assert found(policy, *events[:2], step(3, "disbursed", "300", "L2", borrower_id="B2")) == []


def test_exposures_are_compared_at_the_rates_of_the_loans(policy: Policy) -> None:
    # 100 dollars are 710 yuan: of 7,100 a tenth, of a cent less more than that.
    dollars = step(1, "disbursed", "100", "L0", currency="USD")
    bad = step(2, "reclassified", "substandard", "L0", currency="USD")
    assert found(policy, dollars, step(1, "disbursed", "6390", "L1"), bad) == []
    assert len(found(policy, dollars, step(1, "disbursed", "6389.99", "L1"), bad)) == 1


def test_a_late_and_a_bad_loan_are_two_warnings(policy: Policy) -> None:
    events = [*loans("200", "800"), step(2, "reclassified", "loss", "L0"), step(3, "overdue", 5, "L1")]
    assert found(policy, *events) == [("contagion|2026-03-02", "high", "0.200000"), ("L1|2026-03-03", "medium", "5")]


def test_each_event_is_judged_by_the_figures_of_its_own_day(policy: Policy) -> None:
    def version(name: str, day: str, **fields: Any) -> Policy:
        rule = replace(policy.detectors.misclassification, **fields)
        head = replace(policy.policy, version=name, valid_from=at(f"{day} 00:00"))
        return replace(policy, policy=head, detectors=replace(policy.detectors, misclassification=rule))

    patient = replace(policy.detectors.misclassification.special_mention_after, value=Decimal(30))
    history = PolicyHistory(
        version("v1", "2020-01-01"), version("v2", "2026-03-03", special_mention_after=patient),
        version("v3", "2026-03-05", mode="off"), version("v4", "2026-03-07"),
    )  # fmt: skip
    opened = step(1, "disbursed", "100")
    assert [row[0] for row in found(history, opened, step(2, "overdue", 30))] == ["L|2026-03-02"]
    assert found(history, opened, step(3, "overdue", 30)) == []
    assert [row[0] for row in found(history, opened, step(3, "overdue", 31))] == ["L|2026-03-03"]
    # While the rule is off nothing is told; what begins and ends then, does.
    assert found(history, opened, step(5, "overdue", 31)) == []
    assert [row[0] for row in found(history, opened, step(5, "overdue", 31), step(7, "overdue", 32))] == [
        "L|2026-03-05"
    ]
    through: Sequence[LoanEvent] = [opened, step(2, "overdue", 5), step(5, "overdue", 0), step(7, "overdue", 9)]
    assert [row[0] for row in found(history, *through)] == ["L|2026-03-02", "L|2026-03-07"]
