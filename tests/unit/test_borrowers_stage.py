"""The borrowers' stage across policy versions: what is too late, and for how long an event is known again."""

from decimal import Decimal

from msgspec.structs import replace

from models import oracle
from models.messages import PortfolioEntry
from models.oracle.frames import canonical
from models.oracle.lending import accepted_loans
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory
from models.stage import Record
from models.stages.borrowers import BorrowersStage
from tests.make import at, loan

OF_B = {"borrower_id": "B", "loan_id": "L"}


def late(policy: Policy, days: str, valid_from: str) -> Policy:
    lateness = replace(policy.events.lateness, value=Decimal(days))
    head = replace(policy.policy, version=f"{days} from {valid_from}", valid_from=at(f"{valid_from} 00:00"))
    return replace(policy, policy=head, events=replace(policy.events, lateness=lateness))


def test_an_event_is_known_again_for_as_long_as_it_may_come(policy: Policy) -> None:
    """Events of the 5th may come ten days late, those of the 10th one day: the newer figure forgets no older event."""
    policies = PolicyHistory(late(policy, "10", "2020-01-01"), late(policy, "1", "2026-03-10"))
    first = loan("e1", "2026-03-05 10:00", "100", **OF_B)
    newer = loan("e2", "2026-03-12 10:00", "50", **OF_B)
    edge = loan("e3", "2026-03-15 10:00", "7", **OF_B)
    sent = [first, newer, first, edge, first, newer]
    pipeline, emits = LocalPipeline(policies), []
    for event in sent:
        emits += pipeline.feed("loans", event)
        pipeline.restart()
    emits += pipeline.finish()
    lines = {one.key: one.value for one in emits if isinstance(one.value, PortfolioEntry)}
    assert lines["BANK1|entity|BANK1"].exposure == Decimal("157")
    # Sent once more, the 12th is too late by its own day's figure, the 5th exactly in time by its own.
    assert [(one.event_id, one.reason) for one in pipeline.refusals] == [("e2", "too_late")]
    frame = oracle.from_events(sent)
    assert oracle.refusals(loans=frame, policies=policies).rows() == [("e2", "too_late")]
    assert accepted_loans(canonical(frame, "loans"), policies).frame["event_id"].to_list() == ["e1", "e2", "e3"]


def test_what_came_late_is_counted(policy: Policy) -> None:
    stage, states = BorrowersStage(PolicyHistory(policy), 1), MemoryStates()
    events = [loan("e1", "2026-03-05 10:00", "100", **OF_B), loan("e2", "2026-03-04 10:00", "50", **OF_B)]
    for offset, event in enumerate([*events, events[1]]):
        list(stage.apply(states, Record("loans", 0, offset, event.event_time, event, event.event_time)))
    assert stage.came_late() == {"loans": 1}
    assert not any(stage.came_late().values())
