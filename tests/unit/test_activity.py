"""Silence: what is counted, what is usual, which day is outside, and when it is judged."""

import base64
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from connectors.codec import Codec
from models.activity.bands import same_kind_before
from models.activity.log import MAX_NAME, SPAN, ActivityLog, counted, last_offset
from models.messages import ActivityBatch, ActivityLabel, ActivityWatermark, Told
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyError, PolicyHistory, parse_policy
from models.risk_warning import RiskWarning
from models.stage import Record, Tick
from models.stages.customers import CustomersStage
from tests.activity import NOW, Watch, days_from, learning, noon, seen
from tests.data import ROOT
from tests.make import CN, at, report, transaction

MONDAY = date(2026, 3, 2)
BRANCH = "branch:0731"


@pytest.fixture(scope="module")
def short(policy: Policy) -> Policy:
    """Learns from three days."""
    return learning(policy, learn=3)


def weekdays(number: int, first: date = MONDAY) -> list[date]:
    return [day for day in days_from(first, 2 * number + 7) if day.weekday() < 5][:number]


def after(policy: Policy, usual: list[int], count: int) -> list[RiskWarning]:
    """What is told of a branch after working days with these counts, and one more."""
    watch = Watch(learning(policy, learn=len(usual)))
    days = weekdays(len(usual) + 2)
    watch.day(days[0] - timedelta(days=3), {"other": 1})  # the start, on a Friday
    for day, number in zip(days, [*usual, count], strict=False):
        watch.day(day, {"0731": number})
    watch.day(days[-1], {"other": 1})
    return watch.found(BRANCH)


# --- figures ---


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('low = { value = "0.25"', 'low = { value = "1"', "detectors.silence.low must be below 1"),
        ("high = { value = 4", "high = { value = 1", "detectors.silence.high must be above 1"),
        ("learn = { value = 20", "learn = { value = 0", "detectors.silence.learn must be a whole number of 1 or more"),
        ("learn = { value = 20", 'learn = { value = "2.5"', "detectors.silence.learn must be a whole number"),
        ("grace = { value = 6", "grace = { value = -1", "detectors.silence.grace must be a whole number of 0 or more"),
        ("minimum = { value = 20,", "minimum = { value = 0,", "detectors.silence.minimum must be above zero"),
        ('silent = "high"', 'silent = "low"', "detectors.silence.severities.silent must not be milder than outside"),
        ('silent = "high", ', "", "detectors.silence.severities: Object missing required field `silent`"),
    ],
)
def test_figures_that_contradict_one_another_are_refused(old: str, new: str, message: str) -> None:
    text = (ROOT / "deploy" / "policy" / "cn.toml").read_text(encoding="utf-8")
    before, mark, after_it = text.partition("[detectors.silence]")
    assert old in after_it
    with pytest.raises(PolicyError, match=re.escape(message)):
        parse_policy(before + mark + after_it.replace(old, new, 1))


# --- cells ---


def test_cells_say_for_each_offset_what_it_counts_for() -> None:
    log = ActivityLog()
    log.accepted(seen(5, transaction("a", "2026-03-02 09:00", "1", branch_id="0731", channel="atm")), MONDAY)
    log.refused(6, "CHF", "b", at("2026-03-02 10:00"))
    log.accepted(seen(7, transaction("c", "2026-03-02 11:00", "1")), MONDAY)
    log.accepted(seen(9, transaction("d", "2026-03-02 08:00", "1", branch_id="0731", channel="atm")), MONDAY)
    log.told(9, "structuring", MONDAY)
    (batch,) = log.batches("transactions", 3)
    assert (batch.first_offset, last_offset(batch)) == (5, 9)
    assert base64.b64decode(batch.cells) == bytes([1, 0, 0, 0, 2, 0, 0, 0, 1, 0])
    assert batch.labels == (ActivityLabel(MONDAY, "0731", "atm"), ActivityLabel(MONDAY))
    assert batch.told == (Told(9, "structuring", MONDAY),)
    assert [(one.offset, one.currency, one.event_id) for one in batch.missing] == [(6, "CHF", "b")]
    assert batch.newest == batch.arrived == at("2026-03-02 11:00")
    for taken, numbers in ((-1, [2, 1]), (4, [2, 1]), (5, [1, 1]), (7, [1]), (8, [1]), (9, []), (20, [])):
        assert [number for _, number in counted(batch, taken)] == numbers
    codec = Codec()
    for message in (batch, ActivityWatermark(partition=3, partitions=4, caught_up_at=NOW)):
        body, headers = codec.encode("activity", message)
        assert codec.decode("activity", b"~activity", body, headers) == message


def test_nothing_seen_says_nothing() -> None:
    assert list(ActivityLog().batches("transactions", 0)) == []


def test_a_long_batch_is_cut_and_its_last_piece_alone_moves_time() -> None:
    log = ActivityLog()
    for offset in range(2 * SPAN + 1):
        log.accepted(seen(offset, transaction("e", noon(MONDAY), "1", branch_id=f"b{offset}")), MONDAY)
    pieces = list(log.batches("transactions", 0))
    assert [(one.first_offset, last_offset(one)) for one in pieces] == [
        (0, SPAN - 1),
        (SPAN, 2 * SPAN - 1),
        (2 * SPAN, 2 * SPAN),
    ]
    assert [one.newest for one in pieces] == [None, None, noon(MONDAY)]
    assert sum(number for one in pieces for _, number in counted(one, -1)) == 2 * SPAN + 1


def test_a_senders_free_text_is_no_channel() -> None:
    log = ActivityLog()
    for offset, length in enumerate((MAX_NAME, MAX_NAME + 1)):
        log.accepted(seen(offset, transaction("e", noon(MONDAY), "1", channel="x" * length)), MONDAY)
    (batch,) = log.batches("transactions", 0)
    assert [label.channel for label in batch.labels] == ["x" * MAX_NAME, None]


def test_the_customers_stage_says_what_it_accepted_once(policies: PolicyHistory) -> None:
    stage, states = CustomersStage(policies), MemoryStates()
    event = transaction("e1", "2026-03-02 09:00", "500000", branch_id="0731", channel="")
    records = [seen(0, event), seen(1, event), seen(0, report("r1", "2026-03-03 00:30"), "reports")]
    flushed = []
    for record in records:
        list(stage.apply(states, record))
        flushed.append([emit.value for emit in stage.flush(states)])
    first, again, told = flushed
    assert [(one.topic, one.labels, one.told, one.newest) for one in first] == [
        (
            "transactions",
            (ActivityLabel(MONDAY, "0731"),),
            (Told(0, "large_transaction", MONDAY),),
            event.event_time,
        )
    ]
    assert again == []
    assert [(one.topic, one.labels, one.told) for one in told] == [
        ("reports", (ActivityLabel(date(2026, 3, 3), "0731"),), (Told(0, "teller_report", date(2026, 3, 3)),))
    ]


def test_customers_say_that_they_have_caught_up(policies: PolicyHistory) -> None:
    stage, states = CustomersStage(policies, 4, timedelta(seconds=2)), MemoryStates()
    assert not list(stage.tick(states, Tick(NOW, False, 9.0)))
    (emit,) = stage.tick(states, Tick(NOW, True, 9.0))
    assert (emit.topic, emit.key) == ("activity", "~activity")
    assert emit.value == ActivityWatermark(partition=0, partitions=4, caught_up_at=NOW - timedelta(seconds=2))
    assert not list(stage.tick(states, Tick(NOW + timedelta(seconds=1), True, 9.0)))
    assert list(stage.tick(states, Tick(NOW + timedelta(seconds=2), True, 9.0)))


def test_what_is_sent_again_in_other_pieces_counts_once(short: Policy) -> None:
    events = [transaction(f"e{n}", noon(MONDAY), "1", branch_id="0731") for n in range(10)]

    def piece(start: int, end: int) -> ActivityBatch:
        log = ActivityLog()
        for offset in range(start, end):
            log.accepted(seen(offset, events[offset]), MONDAY)
            log.told(offset, "structuring", MONDAY)
        (batch,) = log.batches("transactions", 0)
        return batch

    watch = Watch(short)
    for start, end in ((0, 4), (0, 4), (2, 3), (1, 7), (5, 10), (0, 10)):
        watch.show(piece(start, end))
    assert watch.states.values[str(MONDAY)].counts == {  # type: ignore[attr-defined]
        "source:transactions": 10,
        BRANCH: 10,
        "rule:structuring": 10,
    }


# --- the band ---


@pytest.mark.parametrize(
    ("count", "code", "severity"),
    [
        (0, "below_band", "high"),
        (1, "below_band", "medium"),
        (9, "below_band", "medium"),
        (10, None, None),
        (40, None, None),
        (160, None, None),
        (161, "above_band", "medium"),
    ],
)
def test_exactly_on_a_line_is_inside(policy: Policy, count: int, code: str | None, severity: str | None) -> None:
    found = after(policy, [39, 41, 40], count)
    assert [(one.reasons[0].code, one.severity, one.reasons[0].observed) for one in found] == (
        [(code, severity, str(count))] if code else []
    )


def test_the_median_of_an_even_number_of_days_lies_between_two(policy: Policy) -> None:
    assert not after(policy, [10, 41, 30, 21], 7)
    (warning,) = after(policy, [10, 41, 30, 21], 6)
    (reason,) = warning.reasons
    assert (reason.code, reason.observed, reason.threshold, reason.unit) == ("below_band", "6", "6.375", "events a day")
    assert "中位数为25.5" in reason.text_zh
    assert reason.text_en == (
        "branch 0731 had 6 events on 2026-03-06, below the band's floor of 6.375 (median of the 4 working days "
        "before: 25.5); check its feed, or whether it is closed."
    )


def test_a_series_that_is_usually_small_is_not_judged(policy: Policy) -> None:
    assert not after(policy, [19, 20, 19, 20], 0)  # median 19.5
    assert [one.severity for one in after(policy, [20, 20, 19, 20], 0)] == ["high"]
    assert not after(policy, [0, 0, 0], 500)  # a branch that opens


def test_a_warning_says_what_was_judged(short: Policy) -> None:
    (warning,) = after(short, [40, 40, 40], 3)
    thursday = date(2026, 3, 5)
    assert (warning.detector, warning.subject, warning.mode) == ("silence", BRANCH, "live")
    assert (warning.departments, warning.measures) == (("risk",), ("check_feed",))
    assert (warning.event_ids, warning.event_count) == ((), 1)
    assert (warning.window.start, warning.window.end) == (at(f"{thursday} 00:00"), at("2026-03-06 00:00"))
    assert warning.event_time == warning.window.end
    assert warning.notify


# --- days ---


def test_a_make_up_saturday_is_a_working_day(policy: Policy) -> None:
    """14 February 2026 is worked, the nine days after it are Spring Festival, 28 February is worked again."""
    policies = PolicyHistory(policy)
    start = date(2026, 2, 1)
    assert same_kind_before(date(2026, 2, 28), start, 4, policies) == [
        date(2026, 2, 27),
        date(2026, 2, 26),
        date(2026, 2, 25),
        date(2026, 2, 24),
    ]
    assert same_kind_before(date(2026, 2, 24), start, 2, policies) == [date(2026, 2, 14), date(2026, 2, 13)]
    assert same_kind_before(date(2026, 3, 1), start, 2, policies) == [date(2026, 2, 23), date(2026, 2, 22)]
    assert same_kind_before(date(2026, 2, 4), start, 9, policies) == [date(2026, 2, 3), date(2026, 2, 2)]
    assert same_kind_before(start, start, 9, policies) == []


def test_a_quiet_weekend_is_usual_and_a_quiet_make_up_day_is_not(short: Policy) -> None:
    watch = Watch(short)
    for day in days_from(date(2026, 1, 26), 40):
        quiet = day.weekday() == 6 or (day.weekday() == 5 and day != date(2026, 2, 14))
        quiet = quiet or date(2026, 2, 15) <= day <= date(2026, 2, 23)
        if day != date(2026, 2, 28):
            watch.day(day, {"0731": 3 if quiet else 40})
    (warning,) = watch.found(BRANCH)
    assert (warning.severity, warning.window.start) == ("high", at("2026-02-28 00:00"))


def test_the_first_day_of_all_is_never_learned_before(short: Policy) -> None:
    """Three working days are learned from, the first of all among them; the fourth is judged."""
    watch = Watch(short)
    for day, number in zip(weekdays(5), (40, 40, 40, 0, 40), strict=True):
        watch.day(day, {"0731": number, "other": 1})
    assert [one.window.start.date() for one in watch.found(BRANCH)] == [date(2026, 3, 5)]
    watch = Watch(short)
    for day, number in zip(weekdays(4), (40, 40, 0, 40), strict=True):
        watch.day(day, {"0731": number, "other": 1})
    assert not watch.found(BRANCH)


# --- episodes ---


def run_of(policy: Policy, numbers: list[int], first: date = MONDAY) -> list[RiskWarning]:
    """The branch's warnings over working days with these counts, after three with 40."""
    watch = Watch(policy)
    for day, number in zip(weekdays(len(numbers) + 4, first), [40, 40, 40, *numbers, 40], strict=True):
        watch.day(day, {"0731": number, "other": 1})
    return watch.found(BRANCH)


def test_days_outside_on_one_side_are_one_warning(short: Policy) -> None:
    (warning,) = run_of(learning(short, learn=3), [5, 0])  # Thursday and Friday
    assert (warning.event_count, warning.severity, warning.revision) == (2, "high", 2)
    assert (warning.window.start, warning.window.end) == (at("2026-03-05 00:00"), at("2026-03-07 00:00"))


def test_a_severity_never_falls(short: Policy) -> None:
    (warning,) = run_of(short, [0, 5])
    assert (warning.severity, warning.event_count, warning.reasons[0].observed) == ("high", 2, "5")


def test_a_day_inside_ends_an_episode(short: Policy) -> None:
    found = run_of(short, [5, 40, 5])
    assert [(one.event_count, one.window.start.date()) for one in found] == [
        (1, date(2026, 3, 5)),
        (1, date(2026, 3, 9)),
    ]


def test_a_day_on_the_other_side_begins_another_episode(short: Policy) -> None:
    found = run_of(short, [5, 200, 5])
    assert [one.reasons[0].code for one in found] == ["below_band", "above_band", "below_band"]


def test_days_that_are_not_judged_neither_end_nor_lengthen(short: Policy) -> None:
    """The weekend between has too few weekends before it."""
    (warning,) = run_of(short, [40, 5, 5])
    assert (warning.event_count, warning.window.end) == (2, at("2026-03-10 00:00"))
    assert warning.window.start == at("2026-03-06 00:00")


# --- the clock ---


def ready(policy: Policy, partitions: int = 1) -> Watch:
    """Three days with 40 events of a branch, then a Thursday with none but another branch's, too few to judge it."""
    watch = Watch(policy, partitions=partitions)
    for day, number in zip(weekdays(4), (40, 40, 40, 0), strict=True):
        watch.day(day, {"0731": number, "other": 15})
    return watch


def test_a_day_is_judged_when_its_grace_is_over_to_the_second(short: Policy) -> None:
    watch = ready(short)
    assert not watch.caught_up(at("2026-03-06 05:59:59"))
    (warning,) = watch.caught_up(at("2026-03-06 06:00:00"))
    assert (warning.subject, warning.event_time) == (BRANCH, at("2026-03-06 00:00"))
    watch = ready(learning(short, grace=0))
    assert not watch.caught_up(at("2026-03-05 23:59:59"))
    assert [one.subject for one in watch.caught_up(at("2026-03-06 00:00:00"))] == [BRANCH]


def test_time_goes_on_from_the_arrival_of_the_newest_event(short: Policy) -> None:
    """A replay of 2026, read in 2030: its years since are not silent, the next morning is over a morning later."""
    watch = Watch(short)
    arrival = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
    log, offset = ActivityLog(), 0
    for day, number in zip(weekdays(4), (40, 40, 40, 1), strict=True):
        for _ in range(number):
            event = transaction(f"e{offset}", noon(day), "1", branch_id="0731")
            log.accepted(seen(offset, event, arrival=arrival), day)
            offset += 1
    for batch in log.batches("transactions", 0):
        watch.show(batch)
    assert not watch.caught_up(arrival - timedelta(seconds=1))
    assert not watch.caught_up(arrival + timedelta(hours=18, seconds=-1))  # Friday, 05:59:59
    assert {one.subject for one in watch.caught_up(arrival + timedelta(hours=18))} == {BRANCH, "source:transactions"}
    assert not watch.caught_up(arrival + timedelta(days=1))
    assert len(watch.caught_up(arrival + timedelta(hours=42))) == 2  # Friday was silent, and no more days


def test_the_slowest_partition_tells_the_time(short: Policy) -> None:
    watch = ready(short, partitions=3)
    friday = at("2026-03-06 12:00")
    watch.day(friday.date(), {"other": 15})
    watch.day(date(2026, 3, 5), {"other": 1}, partition=1)
    assert not watch.caught_up(noon(date(2026, 3, 5)), partition=1)
    assert not watch.caught_up(friday, partition=0)  # the third has not spoken yet
    assert not watch.caught_up(friday, partition=2)  # never had an event: it holds nobody up, but the second does
    watch.day(friday.date(), {"other": 1}, partition=1)
    assert [one.subject for one in watch.caught_up(friday - timedelta(seconds=9), partition=1)] == [BRANCH]


def test_a_topic_that_is_read_ahead_ends_no_day(short: Policy) -> None:
    """After a break the reports of days are read at once, the transactions of those days for minutes."""
    watch = ready(short)
    assert not watch.caught_up(noon(date(2026, 3, 5)))
    assert not watch.reported(at("2026-03-20 09:00"))
    for day in days_from(date(2026, 3, 5), 15):
        watch.day(day, {"0731": 40})
    watch.caught_up(at("2026-03-20 09:00"))
    assert not watch.found(BRANCH)


def test_both_topics_past_a_day_end_it_without_catching_up(short: Policy) -> None:
    watch = ready(short)
    watch.caught_up(noon(date(2026, 3, 5)))
    assert not watch.reported(at("2026-03-06 09:00"))
    assert [one.subject for one in watch.day(date(2026, 3, 6), {"other": 15})] == [BRANCH]


def test_what_comes_after_its_day_was_judged_counts_for_later_days(short: Policy) -> None:
    watch = ready(short)
    assert len(watch.caught_up(at("2026-03-06 06:00"))) == 1
    watch.day(date(2026, 3, 5), {"0731": 40})
    watch.day(date(2026, 3, 6), {"0731": 11, "other": 1})
    watch.day(date(2026, 3, 9), {"0731": 9, "other": 1})
    watch.day(date(2026, 3, 10), {"other": 1})
    # On the 9th the median of 40, 40 and 11 is 40; without the late events it would be 11 of 40, 0 and 11.
    assert [one.window.start.date() for one in watch.found(BRANCH)] == [date(2026, 3, 5), date(2026, 3, 9)]


def test_the_state_stays_bounded_and_forgets_nothing_that_matters(short: Policy) -> None:
    watch = Watch(short)
    for day in days_from(MONDAY, 60):
        watch.day(day, {"0731": 40})
        watch.caught_up(noon(day))
    days = [key for key in watch.states.values if key[0] == "2"]
    assert 5 <= len(days) <= 14
    assert not watch.warnings
    assert [one.subject for one in watch.caught_up(noon(day) + timedelta(days=2))] == [BRANCH, "source:transactions"]


# --- modes ---


def test_a_rule_that_is_off_is_not_judged_and_a_shadow_tells_no_department(short: Policy) -> None:
    assert not run_of(learning(short, mode="off"), [0, 0])
    watch = Watch(learning(short, mode="shadow", departments=("risk", "operations")))
    for day, number in zip(weekdays(5), (40, 40, 40, 0, 40), strict=True):
        watch.day(day, {"0731": number, "other": 1})
    assert [one.mode for one in watch.found(BRANCH)] == ["shadow"]
    assert set(watch.topics) == {"warnings"}


def test_departments_with_a_topic_get_their_copy(short: Policy) -> None:
    for departments, topics in ((("risk",), {"warnings"}), (("operations",), {"warnings", "warnings.operations"})):
        watch = Watch(learning(short, departments=departments))
        for day, number in zip(weekdays(5), (40, 40, 40, 0, 40), strict=True):
            watch.day(day, {"0731": number, "other": 1})
        assert watch.found(BRANCH)
        assert set(watch.topics) == topics


def test_the_day_is_judged_by_its_own_version(short: Policy) -> None:
    """The rule is off until Thursday the 12th: days before it are learned from, none of them is warned of."""
    later = replace(short.policy, version="cn-2", valid_from=datetime(2026, 3, 12, tzinfo=CN), title_en="later")
    watch = Watch(learning(short, mode="off"), replace(short, policy=later))
    for day, number in zip(weekdays(11), (40, 40, 40, 0, 40, 40, 40, 40, 0, 0, 40), strict=True):
        watch.day(day, {"0731": number, "other": 1})
    (warning,) = watch.found(BRANCH)
    assert (warning.window.start, warning.event_count) == (at("2026-03-12 00:00"), 2)


# --- rules, and the whole pipeline ---


def test_a_rule_that_no_longer_warns_is_noticed(short: Policy) -> None:
    pipeline = LocalPipeline(PolicyHistory(short))
    for day, number in zip(weekdays(5), (24, 24, 24, 2, 24), strict=True):
        for customer in range(number):
            event = transaction(f"{day}-{customer}", noon(day), "60000", method="cash", customer_id=f"C{customer}")
            pipeline.feed("transactions", event)
        for small in range(24 - number):
            pipeline.feed("transactions", transaction(f"{day}-s{small}", noon(day), "5", customer_id=f"S{small}"))
    assert not any(one.detector == "silence" for one in pipeline.warnings.values())
    pipeline.finish()
    (warning,) = [one for one in pipeline.warnings.values() if one.detector == "silence"]
    assert warning.subject == "rule:large_transaction"
    assert warning.reasons[0].text_en.startswith("rule large_transaction had 2 new warnings on 2026-03-05, below")
    assert "2项新预警" in warning.reasons[0].text_zh


def test_nothing_is_expected_of_a_rule_that_is_off(short: Policy) -> None:
    rules = short.detectors
    off = replace(short, detectors=replace(rules, large_transaction=replace(rules.large_transaction, mode="off")))
    last = weekdays(5)[3]
    head = off.policy
    switched = replace(off, policy=replace(head, version="off", valid_from=at(f"{last} 00:00")))
    pipeline = LocalPipeline(PolicyHistory(short, switched))
    for day in weekdays(5):
        for customer in range(24):
            event = transaction(f"{day}-{customer}", noon(day), "60000", method="cash", customer_id=f"C{customer}")
            pipeline.feed("transactions", event)
    pipeline.finish()
    assert not [one for one in pipeline.warnings.values() if one.detector == "silence"]


def test_the_record_may_be_of_another_partition(short: Policy) -> None:
    """All activity lies in one partition, whatever partition it speaks of."""
    watch = Watch(short, partitions=2)
    record = Record("activity", 1, 7, NOW, ActivityWatermark(partition=0, partitions=2, caught_up_at=NOW), NOW)
    assert list(watch.stage.apply(watch.states, record)) == []
