"""The sample after a rectification: of which days, how much is known of them, and when it is answered."""

from hashlib import sha256

import pytest
from msgspec.structs import replace

from models.activity import resample
from models.activity.resample import first_kept
from models.messages import ACTIVITY_KEY
from models.policy import Policy
from models.proofs import MOST_EVIDENCE
from models.stages.activity import Progress
from tests.make import at
from tests.property.test_inspections import SINCE, Floor, ask, booking

# Claimed on 10 March: the days 11 to 20 are drawn from, and the 20th is closed at six in the morning of the 21st.
OVER = at("2026-03-21 06:00")


@pytest.fixture
def floor(policy: Policy) -> Floor:
    return Floor(policy)


def kept_days(floor: Floor) -> list[str]:
    return sorted(key for key in floor.states.keys() if key.startswith("large|"))


def waiting(floor: Floor) -> list[str]:
    progress = floor.states.load(ACTIVITY_KEY, Progress)
    return [] if progress is None else [key for keys in progress.inspecting.asked.values() for key in keys]


@pytest.mark.parametrize(
    ("when", "drawn"),
    [
        ("2026-03-10 23:59:59.999999", ()),
        ("2026-03-11 00:00", ("t1",)),
        ("2026-03-20 23:59:59.999999", ("t1",)),
        ("2026-03-21 00:00", ()),
    ],
)
@pytest.mark.parametrize("read_late", [False, True])
def test_the_days_after_the_claims_own_are_drawn_from(
    floor: Floor, when: str, drawn: tuple[str, ...], read_late: bool
) -> None:
    one = replace(booking(1, "10"), event_time=at(when))
    floor.large(booking(0, "09"))
    if read_late:
        floor.large(one)
        floor.asked(ask())
    else:
        floor.asked(ask())
        floor.large(one)
    floor.until(OVER, 2)
    assert [(proof.evidence, proof.done_at) for proof in floor.proofs] == [(drawn, at("2026-03-21 00:00"))]


@pytest.mark.parametrize(("when", "count"), [("2026-03-21 05:59:59.999999", 0), ("2026-03-21 06:00", 1)])
def test_it_is_answered_when_the_last_day_is_closed(floor: Floor, when: str, count: int) -> None:
    floor.asked(ask())
    floor.large(booking(1, "11"))
    floor.until(at(when), 2)
    assert len(floor.proofs) == count


def test_a_claim_that_is_read_after_its_days_is_answered_at_once(floor: Floor) -> None:
    floor.large(booking(1, "10", lacks=("identity",)), booking(2, "11"), booking(3, "20", lacks=("approval",)))
    floor.until(at("2026-03-25 12:00"), 4)
    floor.asked(ask())
    (proof,) = floor.proofs
    assert (proof.done_at, proof.failed) == (None, ("t3",))


def test_as_long_as_all_its_days_are_known_a_claim_gets_them(floor: Floor) -> None:
    """With the 25th closed, the 11th is the first day that is known."""
    assert first_kept(at("2026-03-25 00:00").date(), floor.policies) == at("2026-03-11 00:00").date()
    floor.large(booking(1, "11", lacks=("identity",)))
    floor.until(at("2026-03-26 12:00"), 2)
    assert kept_days(floor) == ["large|2026-03-11|B1"]
    floor.asked(ask())
    assert [proof.failed for proof in floor.proofs] == [("t1",)]


def test_one_that_is_read_later_than_that_gets_the_first_days_that_are_known(floor: Floor) -> None:
    """An old claim gets a sample all the same, never none at all."""
    floor.large(booking(1, "11", lacks=("identity",)), booking(2, "21"))
    floor.until(at("2026-03-27 12:00"), 3)
    assert kept_days(floor) == ["large|2026-03-21|B1"]
    floor.asked(ask())
    assert [(proof.done_at, proof.evidence) for proof in floor.proofs] == [(at("2026-03-22 00:00"), ("t2",))]
    floor.asked(ask(case_id="branch:B1#2", since=at("2026-02-01 09:00")))
    assert [proof.evidence for proof in floor.proofs[1:]] == [("t2",)]


def test_the_five_smallest_numbers_of_the_claim_are_drawn(floor: Floor) -> None:
    floor.asked(ask())
    floor.large(*(booking(number, "12") for number in range(1, 20)))
    floor.until(OVER, 30)
    name = "cn-2026|branch:B1#1|2026-03-10T07:00:00+00:00"
    names = sorted(
        (f"t{number}" for number in range(1, 20)), key=lambda one: sha256(f"{name}|{one}".encode()).hexdigest()
    )
    assert sorted(floor.proofs[0].evidence) == sorted(names[:5])


def test_the_figures_are_those_of_the_claims_day(policy: Policy) -> None:
    rule = policy.detectors.inspection
    short = replace(rule, resample_days=replace(rule.resample_days, value=rule.resample_days.value - 8))
    head = replace(policy.policy, version="later", valid_from=at("2026-03-10 00:00"))
    later = replace(policy, policy=head, detectors=replace(policy.detectors, inspection=short))
    for since, done_at in ((SINCE, "2026-03-13 00:00"), (at("2026-03-09 23:59"), "2026-03-20 00:00")):
        floor = Floor(policy)
        floor.policies.take(later)
        floor.asked(ask(since=since))
        floor.large(booking(1, "11"))
        floor.until(OVER, 2)
        assert [proof.done_at for proof in floor.proofs] == [at(done_at)]


def test_an_ask_that_is_sent_again_is_answered_once(floor: Floor) -> None:
    floor.asked(ask())
    floor.large(booking(1, "11"))
    floor.asked(ask())
    floor.until(OVER, 2)
    floor.asked(ask())
    assert len(floor.proofs) == 1
    assert waiting(floor) == []


def test_one_that_nobody_waits_for_leaves_nothing(floor: Floor) -> None:
    floor.asked(ask(open=False, revision=2))  # never heard of
    floor.asked(ask())
    assert waiting(floor) == ["ask|branch:B1#1|rectify_controls"]
    floor.asked(ask(open=False, revision=4))
    assert waiting(floor) == []
    assert not [key for key in floor.states.keys() if key.startswith("ask|")]
    floor.large(booking(1, "11"))
    floor.until(OVER, 2)
    assert floor.proofs == []
    floor.asked(ask(revision=5))
    floor.asked(ask(open=False, revision=6))  # after it was answered
    assert len(floor.proofs) == 1
    assert not [key for key in floor.states.keys() if key.startswith("ask|")]


def test_branches_and_cases_have_samples_of_their_own(floor: Floor) -> None:
    floor.asked(ask())
    floor.asked(ask(case_id="branch:B1#2"))
    floor.asked(ask(case_id="branch:B2#1", subject="branch:B2"))
    floor.large(booking(1, "11"), booking(2, "12", "B2", ("identity",)))
    floor.until(OVER, 3)
    assert {proof.case_id: proof.failed or proof.evidence for proof in floor.proofs} == {
        "branch:B1#1": ("t1",),
        "branch:B1#2": ("t1",),
        "branch:B2#1": ("t2",),
    }


def test_a_branch_may_be_called_anything(floor: Floor) -> None:
    floor.asked(ask(case_id="branch:a|b:c#1", subject="branch:a|b:c"))
    floor.large(booking(1, "11", "a|b:c"), booking(2, "11", "a|b"))
    floor.until(OVER, 3)
    assert [proof.evidence for proof in floor.proofs] == [("t1",)]


def test_what_proves_it_is_no_more_than_a_message_should_have(policy: Policy) -> None:
    rule = policy.detectors.inspection
    many = replace(rule, resample=replace(rule.resample, value=rule.resample.value * 10))
    floor = Floor(replace(policy, detectors=replace(policy.detectors, inspection=many)))
    floor.asked(ask())
    floor.large(*(booking(number, f"{11 + number % 10}") for number in range(40)))
    floor.until(OVER, 50)
    (proof,) = floor.proofs
    assert len(proof.evidence) == MOST_EVIDENCE
    assert proof.evidence[-1] == "t9"  # of those of the 20th the last by name: the newest


def test_of_a_branchs_day_the_smallest_numbers_are_kept(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "MOST_KEPT", 3)
    floor.large(*(booking(number, "12") for number in range(1, 10)))
    floor.asked(ask())
    floor.until(OVER, 20)
    names = sorted((f"t{number}" for number in range(1, 10)), key=lambda one: sha256(one.encode()).hexdigest())
    assert sorted(floor.proofs[0].evidence) == sorted(names[:3])


def test_states_do_not_grow_with_time(policy: Policy) -> None:
    floor = Floor(policy)
    for day in range(1, 31):
        floor.large(booking(2 * day, f"{day:02}"))
        floor.until(at(f"2026-03-{day:02} 12:00"), 2 * day + 1)
    # The 29th is closed.
    assert kept_days(floor) == [f"large|2026-03-{day}|B1" for day in range(15, 31)]
    floor.until(at("2026-04-16 12:00"), 200)
    kinds = {key.partition("|")[0] for key in floor.states.keys() if "|" in key}
    assert kinds.isdisjoint({"large", "sample", "branches"})
    progress = floor.states.load(ACTIVITY_KEY, Progress)
    assert progress is not None
    assert (progress.inspecting.months, progress.inspecting.days) == ([], [])
