"""A currency without a rate: one warning a currency and day to operations, however the refused records come."""

from datetime import date, timedelta
from decimal import Decimal

from msgspec.structs import replace

from models.activity.log import ActivityLog
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.reference import Mute, Rate
from models.risk_warning import MAX_EVIDENCE, RiskWarning
from tests.activity import Watch
from tests.make import at, loan, report, transaction

DAY = "2026-03-02"


def missing(pipeline: LocalPipeline) -> list[RiskWarning]:
    found = [one for one in pipeline.warnings.values() if one.detector == "missing_rate"]
    return sorted(found, key=lambda one: (one.subject, one.window.start))


def refused(policies: PolicyHistory, number: int, currency: str = "CHF") -> LocalPipeline:
    pipeline = LocalPipeline(policies)
    for one in range(number):
        when = at(f"{DAY} 09:00") + timedelta(seconds=one)
        pipeline.feed("transactions", transaction(f"e{one:04d}", when, "9", currency=currency))
    return pipeline


def test_one_warning_a_currency_and_day(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    for name, when, currency in (
        ("e3", f"{DAY} 23:59:59", "CHF"),
        ("e1", f"{DAY} 00:00", "CHF"),
        ("e2", f"{DAY} 12:00", "SEK"),
        ("e4", "2026-03-03 00:00", "CHF"),
        ("e5", f"{DAY} 12:00", "USD"),
    ):
        pipeline.feed("transactions", transaction(name, when, "9", currency=currency, customer_id=name))
    assert [(one.subject, one.event_ids, one.event_count) for one in missing(pipeline)] == [
        ("currency:CHF", ("e1", "e3"), 2),
        ("currency:CHF", ("e4",), 1),
        ("currency:SEK", ("e2",), 1),
    ]


def test_it_says_what_to_do(policies: PolicyHistory) -> None:
    (warning,) = missing(refused(policies, 1))
    assert (warning.severity, warning.departments, warning.measures) == ("medium", ("operations",), ("put_rate",))
    assert (warning.window.start, warning.window.end) == (at(f"{DAY} 00:00"), at("2026-03-03 00:00"))
    (reason,) = warning.reasons
    assert (reason.code, reason.observed, reason.threshold, reason.unit) == ("no_rate", "1", "0", "transactions")
    assert reason.text_en == (
        "1 CHF record of 2026-03-02 was refused for want of a rate, and judged by no rule: put the rate with "
        "`liandong rates put`, then send what was refused again with `liandong dead-letters redrive`."
    )
    assert "有1笔CHF记录因没有汇率被拒收" in reason.text_zh
    (warning,) = missing(refused(policies, 2))
    assert (warning.revision, warning.reasons[0].observed) == (2, "2")
    assert warning.reasons[0].text_en.startswith("2 CHF records of 2026-03-02 were refused")
    assert warning.event_time == at(f"{DAY} 09:00:01")


def test_operations_get_their_copy_and_a_mute_holds_it_back(policies: PolicyHistory, policy: Policy) -> None:
    event = transaction("e1", f"{DAY} 10:00", "9", currency="CHF")
    emits = LocalPipeline(policies).feed("transactions", event)
    assert [one.topic for one in emits] == ["activity", "warnings", "warnings.operations"]
    muting = PolicyHistory(policy)
    muting.take(
        Mute(
            mute_id="M1",
            subject="currency:CHF",
            detector="missing_rate",
            starts_at=at(f"{DAY} 00:00"),
            ends_at=at("2026-03-03 00:00"),
            up_to="medium",
            reason="the treasury knows",
            proposed_by="ling",
            proposed_at=at(f"{DAY} 00:00"),
            approved_by="chen",
            approved_at=at(f"{DAY} 00:01"),
        )
    )
    emits = LocalPipeline(muting).feed("transactions", event)
    assert [one.topic for one in emits] == ["activity", "warnings"]
    assert emits[-1].value.muted_by == "M1"


def test_each_record_counts_and_evidence_is_bounded(policies: PolicyHistory) -> None:
    number = 640  # told at each of the first 20, then at each doubling
    (warning,) = missing(refused(policies, number))
    assert (warning.event_count, warning.revision) == (number, 25)
    assert warning.event_ids == tuple(f"e{one:04d}" for one in range(MAX_EVIDENCE))
    pipeline = LocalPipeline(policies)
    for _ in range(2):  # a record of its own each time: it is sent again, and refused again
        pipeline.feed("transactions", transaction("e1", f"{DAY} 09:00", "9", currency="CHF"))
    assert [one.event_count for one in missing(pipeline)] == [2]


def test_loans_count_in_the_same_warning(policies: PolicyHistory) -> None:
    pipeline = refused(policies, 1)
    pipeline.feed("loans", loan("k1", f"{DAY} 08:00", "100", currency="CHF"))
    pipeline.feed("loans", loan("k2", f"{DAY} 11:00", "100", currency="CHF", kind="approved"))  # moves no money
    (warning,) = missing(pipeline)
    assert (warning.event_ids, warning.event_count) == (("k1", "e0000"), 2)
    assert warning.event_time == at(f"{DAY} 09:00")


def test_what_can_be_judged_or_is_refused_for_other_reasons_is_not_counted(policies: PolicyHistory) -> None:
    pipeline = LocalPipeline(policies)
    pipeline.feed("transactions", transaction("e1", f"{DAY} 09:00", "9"))
    pipeline.feed("transactions", transaction("e2", f"{DAY} 09:00", "9", currency="CHF", origin="bank"))
    pipeline.feed("transactions", transaction("e3", "2026-02-02 09:00", "9", currency="CHF"))  # too late
    pipeline.feed("reports", report("r1", f"{DAY} 09:00"))
    assert [one.reason for one in pipeline.refusals] == ["too_late"]
    assert not missing(pipeline)


def test_a_rate_that_holds_from_a_day_on_leaves_the_days_before(policy: Policy) -> None:
    rate = Rate(currency="CHF", as_of=date(2026, 3, 3), rate=Decimal(8), source="treasury")
    pipeline = LocalPipeline(PolicyHistory(policy, rates=[rate]))
    for name, when in (("e1", f"{DAY} 23:59"), ("e2", "2026-03-03 00:00")):
        pipeline.feed("transactions", transaction(name, when, "9", currency="CHF"))
    assert [one.event_ids for one in missing(pipeline)] == [("e1",)]


def test_a_refusal_changes_no_state_of_the_customer(policies: PolicyHistory) -> None:
    pipeline = refused(policies, 3)
    pipeline.feed("transactions", transaction("e9", "2026-02-01 09:00", "9"))  # would be late behind a taken event
    assert [one.reason for one in pipeline.refusals] == ["no_rate"] * 3


def test_off_and_shadow(policy: Policy) -> None:
    rule = policy.detectors.missing_rate

    def moded(mode: str) -> PolicyHistory:
        changed = replace(rule, mode=mode)
        return PolicyHistory(replace(policy, detectors=replace(policy.detectors, missing_rate=changed)))

    assert not missing(refused(moded("off"), 3))
    (warning,) = missing(refused(moded("shadow"), 3))
    assert (warning.mode, warning.event_count) == ("shadow", 3)


def test_old_warnings_are_forgotten(policy: Policy) -> None:
    """Those of days longer ago than `episodes.remember`, when the clock shows it."""
    watch, log = Watch(policy), ActivityLog()
    for offset, day in enumerate((DAY, "2026-05-22")):
        log.refused(offset, "CHF", f"e{offset}", at(f"{day} 09:00"))
    for batch in log.batches("loans", 0):
        watch.show(batch)
    watch.day(date(2026, 5, 21), {"0731": 1})
    for day in (date(2026, 5, 22), date(2026, 5, 23)):  # closes the day before: 80 and 81 days after
        watch.day(day, {"0731": 1})
        watch.caught_up(at(f"{day} 12:00"))
        kept = [key for key in watch.states.values if key.startswith("missing|")]
        assert len(kept) == (2 if day.day == 22 else 1)
    assert kept == ["missing|CHF|2026-05-22"]
    assert len(watch.warnings) == 2
