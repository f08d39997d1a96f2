"""What a mute does to a warning: recorded, told to nobody, no case, until it ends or something graver comes."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from models.episodes import Episode, observe, tell
from models.events import Transaction
from models.mutes import Mutes
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.reference import Mute
from models.risk_warning import Finding, Reason, RiskWarning, Severity, Window
from tests.make import at, transaction
from tests.response import DAY, HOUR, MONDAY, SUBJECT, Desk, warning

START = at("2026-03-02 00:00")
NOON = at("2026-03-02 12:00")
MICROSECOND = timedelta(microseconds=1)


def mute(subject: str = SUBJECT, detector: str = "structuring", up_to: Severity = "medium", **fields: Any) -> Mute:
    """From the start of 2 March for a day."""
    values: dict[str, Any] = {
        "starts_at": START,
        "ends_at": START + DAY,
        "reason": "known",
        "proposed_by": "ling",
        "proposed_at": START - DAY,
        "approved_by": "wang",
        "approved_at": START - HOUR,
    }
    return Mute(mute_id="m1", subject=subject, detector=detector, up_to=up_to, **values | fields)


class Story:
    """One episode, told event by event under one mute (or none)."""

    def __init__(self, policy: Policy, *mutes: Mute) -> None:
        self.policy = policy
        self.mutes = Mutes()
        for one in mutes:
            self.mutes.take(one)
        self.episode: Episode | None = None

    def event(self, when: datetime, count: int, severity: Severity = "medium") -> RiskWarning | None:
        finding = Finding(
            subject=SUBJECT,
            anchor="a",
            severity=severity,
            departments=("operations",),
            reasons=(Reason(code="c", observed="1", threshold="1", unit="days", text_zh="一", text_en="one"),),
            event_ids=("e1",),
            event_count=count,
            window=Window(START, START + DAY),
            measures=(),
            event_time=when,
        )
        self.episode = observe(self.episode, "structuring", 1, finding)
        rule = self.policy.detectors.structuring
        return tell(self.episode, rule, self.policy, self.mutes, event_time=when, now=when, late=False)

    def told(self, when: datetime, count: int, severity: Severity = "medium") -> tuple[int, bool, str | None] | None:
        """(revision, notify, muted_by) of what is told."""
        one = self.event(when, count, severity)
        return None if one is None else (one.revision, one.notify, one.muted_by)


def test_a_muted_warning_is_recorded_and_nobody_is_notified(policy: Policy) -> None:
    story = Story(policy, mute())
    assert story.told(NOON, 1) == (1, False, "m1")
    assert story.told(NOON + HOUR, 2) == (2, False, "m1")
    assert story.told(NOON + 2 * HOUR, 2) is None  # nothing new is recorded no more often than else


def test_without_a_mute_all_is_as_ever(policy: Policy) -> None:
    story = Story(policy)
    assert [story.told(NOON, 1), story.told(NOON + HOUR, 2), story.told(NOON + HOUR, 2)] == [
        (1, True, None),
        (2, False, None),
        None,
    ]


@pytest.mark.parametrize(
    ("when", "muted"),
    [(START - MICROSECOND, False), (START, True), (START + DAY - MICROSECOND, True), (START + DAY, False)],
)
def test_a_mute_covers_its_interval_exactly(policy: Policy, when: datetime, muted: bool) -> None:
    assert Story(policy, mute()).told(when, 1) == ((1, False, "m1") if muted else (1, True, None))


def test_after_the_mute_the_next_event_is_told_even_without_a_doubling(policy: Policy) -> None:
    story = Story(policy, mute())
    story.told(NOON, 1)
    assert story.told(NOON + HOUR, 30) == (2, False, "m1")
    assert story.told(START + DAY - MICROSECOND, 31) is None
    assert story.told(START + DAY, 32) == (3, True, None)
    assert story.told(START + DAY + HOUR, 33) is None


def test_after_a_lifting_as_well(policy: Policy) -> None:
    lifting = {"lift_proposed_by": "wang", "lift_proposed_at": NOON, "lifted_by": "ling", "lifted_at": NOON}
    story = Story(policy, mute(**lifting))
    assert story.told(NOON - MICROSECOND, 1) == (1, False, "m1")
    assert story.told(NOON, 1) == (2, True, None)


def test_what_is_graver_than_the_mute_is_told(policy: Policy) -> None:
    story = Story(policy, mute())
    assert story.told(NOON, 1, "low") == (1, False, "m1")
    assert story.told(NOON + HOUR, 2, "medium") == (2, False, "m1")
    assert story.told(NOON + 2 * HOUR, 3, "high") == (3, True, None)
    assert story.told(NOON + 3 * HOUR, 4, "critical") == (4, True, None)


def test_corroboration_can_lift_a_warning_over_the_mute(policy: Policy) -> None:
    story = Story(policy, mute())
    story.told(NOON, 1)
    assert story.episode is not None
    story.episode.partners = ("another",)
    assert story.told(NOON + HOUR, 1) == (2, True, None)


def test_an_episode_that_was_told_keeps_its_interval_over_a_mute(policy: Policy) -> None:
    again = timedelta(hours=policy.episodes.renotify_after.whole)
    assert again == DAY
    first = START - HOUR
    story = Story(policy, mute())
    assert story.told(first, 1) == (1, True, None)
    assert story.told(START, 2) == (2, False, "m1")
    assert story.told(first + again, 3) == (3, False, "m1")  # due, but muted until the day is over
    assert story.told(START + DAY, 4) == (4, True, None)  # due since an hour
    assert story.told(START + DAY + HOUR, 5) == (5, False, None)
    assert story.told(START + 2 * DAY - MICROSECOND, 6) == (6, False, None)
    assert story.told(START + 2 * DAY, 7) == (7, True, None)


def test_an_episode_that_was_told_lately_is_not_told_again_because_a_mute_ends(policy: Policy) -> None:
    story = Story(policy, mute(ends_at=NOON))
    story.told(START - HOUR, 1)
    assert story.told(START, 2) == (2, False, "m1")
    assert story.told(NOON, 3) == (3, False, None)


def test_a_mute_is_of_one_subject_and_rule(policy: Policy) -> None:
    assert Story(policy, mute("customer:other")).told(NOON, 1) == (1, True, None)
    assert Story(policy, mute(detector="teller_report")).told(NOON, 1) == (1, True, None)


def fed(pipeline: LocalPipeline, event: Transaction) -> list[tuple[str, RiskWarning]]:
    """The warnings that a transaction gives, with their topics."""
    emits = pipeline.feed("transactions", event)
    return [(one.topic, one.value) for one in emits if isinstance(one.value, RiskWarning)]


def test_the_department_gets_no_copy_of_a_muted_warning(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    policies.take(mute("customer:C1", "large_transaction", "low"))
    pipeline = LocalPipeline(policies)
    both = ["warnings", "warnings.operations"]
    assert [topic for topic, _ in fed(pipeline, transaction("e0", START - HOUR, "500000"))] == both
    ((topic, muted),) = fed(pipeline, transaction("e1", NOON, "500000"))
    assert (topic, muted.muted_by, muted.notify) == ("warnings", "m1", False)
    assert [topic for topic, _ in fed(pipeline, transaction("e2", NOON, "500000", customer_id="C2"))] == both


def test_a_mute_taken_between_two_events_counts_from_the_second(policy: Policy) -> None:
    policies = PolicyHistory(policy)
    pipeline = LocalPipeline(policies)
    first = fed(pipeline, transaction("e1", NOON, "500000"))
    policies.take(mute("customer:C1", "large_transaction", "low"))
    second = fed(pipeline, transaction("e2", NOON + HOUR, "500000"))
    assert [one.muted_by for _, one in (*first, *second)] == [None, None, "m1"]


def test_no_case_is_opened_of_a_muted_warning_and_one_is_when_it_is_told() -> None:
    desk = Desk()
    assert desk.take(warning(notify=False, muted_by="m1")) == []
    assert desk.cases == {}
    desk.take(warning(MONDAY + HOUR, revision=2))
    assert [(ref.warning_id, ref.revision) for ref in desk.case().warnings] == [("w1", 2)]
    before = desk.case()
    assert desk.take(warning(MONDAY + 2 * HOUR, revision=3, notify=False, muted_by="m1")) == []
    assert desk.case() == before
