"""Loans across rates, schemes and late arrivals: a book takes off what it had put on, in the stream and the oracle."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from models import oracle
from models.credit.industry import Scheme
from models.events import LoanEvent
from models.messages import PortfolioEntry
from models.oracle.frames import canonical
from models.oracle.lending import accepted_loans
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.reference import Rate
from models.risk_warning import RiskWarning
from tests.make import at, loan

USD = {"currency": "USD", "loan_id": "L", "borrower_id": "B"}


def rate(day: str, value: str) -> Rate:
    return Rate(currency="USD", as_of=date.fromisoformat(day), rate=Decimal(value), source="a test")


def run(policies: PolicyHistory, events: Sequence[LoanEvent]) -> tuple[LocalPipeline, dict[str, PortfolioEntry]]:
    """The pipeline after the events, with a restart after each, and the lines of the books; the oracle must agree."""
    pipeline, emits = LocalPipeline(policies), []
    for event in events:
        emits += pipeline.feed("loans", event)
        pipeline.restart()
    emits += pipeline.finish()
    assert not pipeline.refusals
    told = [emit.value for emit in emits if emit.topic == "portfolio"]
    assert all(one.exposure >= 0 for one in told)
    lines = {one.member: one for one in told if one.dimension in ("industry", "entity")}
    frame = oracle.from_events(events)
    warned = oracle.warnings(loans=frame, policies=policies)
    assert dict(warned.select("warning_id", "severity").rows()) == {
        key: one.severity for key, one in pipeline.warnings.items()
    }
    moves = accepted_loans(canonical(frame, "loans"), policies).frame
    # Units of the oracle are 10^-(decimal places of amounts and of rates).
    places = frame.schema["amount"].scale + max(-int(value.as_tuple()[2]) for value in ALL_RATES)  # type: ignore[attr-defined]
    assert lines["BANK1"].exposure == Decimal(moves["delta"].sum()).scaleb(-places)
    assert lines["BANK1"].loans == moves["opened"].sum()
    return pipeline, lines


def of_industries(pipeline: LocalPipeline) -> list[RiskWarning]:
    """Books as small in kinds as these are warned of for their HHI as well."""
    return [one for one in pipeline.warnings.values() if one.subject.startswith("industry:")]


def owed(lines: dict[str, PortfolioEntry], *members: str) -> list[str]:
    return [f"{lines[member].exposure.normalize():f}" for member in members]


# Decimal places of the shipped policy's rates, of which the yen has most, are those of the rates used here.
ALL_RATES = (Decimal("0.048"), Decimal("7.123"))


def step(event_id: str, day: str, kind: str, amount: str, **fields: Any) -> LoanEvent:
    when = day if " " in day else f"{day} 10:00"
    return loan(event_id, f"2026-03-{when}", amount, kind=kind, **(USD | fields))


@pytest.mark.parametrize("later", ["6.9", "7.123", "19"])
def test_a_loan_repaid_at_another_rate_leaves_nothing(policy: Policy, later: str) -> None:
    policies = PolicyHistory(policy, rates=[rate("2026-03-05", later)])
    out, part = step("e1", "04", "disbursed", "1000"), step("e2", "05", "repaid", "400")
    _, lines = run(policies, [out, part])
    assert (lines["K"].exposure, lines["BANK1"].exposure, lines["K"].loans) == (Decimal("4260"), Decimal("4260"), 1)
    _, lines = run(policies, [out, part, step("e3", "06", "written_off", "599.99")])
    assert lines["K"].exposure == Decimal("0.071")
    for last in ("repaid", "written_off", "reversed"):
        _, lines = run(policies, [out, part, step("e3", "06", last, "600")])
        assert owed(lines, "K", "BANK1") == ["0", "0"]
        assert lines["K"].loans == 0
        assert lines["BANK1"].hhi is None


def test_a_drawdown_counts_at_the_rate_of_the_loans_opening(policy: Policy) -> None:
    # Of a book of 1,000,000 beside it, 15 % are reached at USD 24,855.0125 at 7.10.
    policies = PolicyHistory(policy, rates=[rate("2026-03-05", "7.2")])
    base = [loan(f"base-{i}", f"2026-03-01 00:{i:02d}", "50000", "") for i in range(20)]
    opened = step("e1", "04", "disbursed", "10000")
    below, reached = (step("e2", "05", "disbursed", amount) for amount in ("14855.01", "14855.02"))
    assert not of_industries(run(policies, [*base, opened, below])[0])
    (warning,) = of_industries(run(policies, [*base, opened, reached])[0])
    assert (warning.severity, warning.event_ids, warning.reasons[0].observed) == ("low", ("e2",), "0.150000")
    # Repaid in full and drawn again, it is still the same loan.
    paid = step("e3", "06", "repaid", "24855.02")
    again = replace(reached, event_id="e4", event_time=at("2026-03-07 10:00"), amount=Decimal("24855.01"))
    assert run(policies, [*base, opened, reached, paid, again])[1]["K"].exposure == Decimal("176470.571")


def test_a_loan_stays_in_the_industry_that_it_was_opened_in(policy: Policy) -> None:
    def version(scheme: Scheme) -> Policy:
        rule = replace(policy.detectors.industry_concentration, scheme=scheme)
        return replace(policy, detectors=replace(policy.detectors, industry_concentration=rule))

    later = version("naics")
    later = replace(later, policy=replace(later.policy, version="later", valid_from=at("2026-03-05 00:00")))
    policies = PolicyHistory(version("gbt4754"), later)
    cny = {"currency": "CNY", "industry": "52"}
    out = step("e1", "04", "disbursed", "1000", **cny)
    more = step("e2", "05", "disbursed", "500", **cny)
    other = step("e3", "05", "disbursed", "70", **(cny | {"loan_id": "new"}))
    _, lines = run(policies, [out, more, other])
    assert owed(lines, "F", "52", "BANK1") == ["1500", "70", "1570"]
    _, lines = run(policies, [out, more, other, step("e4", "06", "repaid", "1500", **(cny | {"industry": "11"}))])
    assert owed(lines, "F", "52", "BANK1") == ["0", "70", "70"]


def test_of_disbursements_under_way_at_once_the_first_taken_opens_the_loan(policy: Policy) -> None:
    policies = PolicyHistory(policy, rates=[rate("2026-03-05", "7.2")])
    early, late = step("e1", "04", "disbursed", "100"), step("e2", "05", "disbursed", "100", industry="C13")
    _, lines = run(policies, [early, late])
    assert lines["K"].exposure == Decimal("1420")
    _, lines = run(policies, [late, early])
    assert lines["C"].exposure == Decimal("1440")
    assert "K" not in lines


def test_a_repayment_that_comes_first_is_at_the_rate_of_what_it_waited_for(policy: Policy) -> None:
    policies = PolicyHistory(policy, rates=[rate("2026-03-05", "7.2")])
    out, part, rest = (
        step("e1", "04", "disbursed", "100"),
        step("e2", "05", "repaid", "30", industry="C13"),
        step("e3", "06", "written_off", "69.99"),
    )
    for events in permutations([out, part, rest]):
        pipeline, lines = run(policies, events)
        assert owed(lines, "K", "BANK1") == ["0.071", "0.071"]
        assert lines["K"].loans == 1
        assert "C" not in lines
        assert not pipeline.warnings


def test_a_late_repayment_counts_no_sooner_than_what_it_repays(policy: Policy) -> None:
    policies = PolicyHistory(policy, rates=[rate("2026-03-05", "7.2")])
    other = step("o", "02", "disbursed", "10", industry="C13", loan_id="other")
    out, before = step("e1", "05", "disbursed", "100"), step("e2", "04", "repaid", "100")
    for events in ([out, before], [other, out, before], [out, before, other]):
        _, lines = run(policies, events)
        assert owed(lines, "K") == ["0"]
        assert lines["K"].loans == 0


def test_within_an_instant_what_adds_comes_first(policy: Policy) -> None:
    """By their ids the repayment of z, the loan that warns and z itself, all of one instant, however they arrive."""
    policies, base = PolicyHistory(policy), [loan(f"b{i}", f"2026-03-01 00:{i:02d}", "50000", "") for i in range(20)]
    cny = {"currency": "CNY", "loan_id": "z", "industry": "A01"}
    z, paid = step("z", "04", "disbursed", "100", **cny), step("a", "04", "repaid", "100", **cny)
    large = loan("m", "2026-03-04 10:00", "200000")
    for order in permutations([z, paid, large]):  # where z comes after its repayment, that waits for it
        pipeline, lines = run(policies, [*base, *order])
        assert owed(lines, "A", "K", "BANK1") == ["0", "200000", "1200000"]
        # m is judged before z is disbursed, and neither after z is repaid.
        assert [one.reasons[0].observed for one in of_industries(pipeline)] == ["0.166667"]
