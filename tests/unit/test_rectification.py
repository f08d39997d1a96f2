"""From a branch's sample over a finding and its rectification to the new sample that closes it, or opens it again."""

from datetime import datetime
from typing import Any

from models.messages import LargeBooking
from models.response.case import TaskMeasure
from tests.make import at
from tests.property.test_inspections import Floor, booking
from tests.response import POLICY, Desk, action, warning

CASE = "branch:B1#1"


class Bank:
    """The cases of branch B1 and the floor that watches its transactions, wired as the topics wire them."""

    def __init__(self) -> None:
        self.desk, self.floor = Desk(), Floor(POLICY)
        sample = warning(
            at("2026-03-01 00:00"),
            subject="branch:B1",
            detector="inspection",
            severity="low",
            measures=("inspect_sample",),
            event_ids=("t91", "t92"),
        )
        self.desk.take(sample)

    def act(self, kind: str, when: str, **fields: Any) -> None:
        self.desk.take(action(kind, at(f"2026-03-{when}"), case_id=CASE, **fields))
        for ask in self.desk.asks.values():
            if ask.kind == "clean_resample":
                self.floor.asked(ask)

    def large(self, *ones: LargeBooking) -> None:
        self.floor.large(*ones)

    def until(self, when: datetime, offset: int) -> None:
        self.floor.until(when, offset)
        self.desk.take(*self.floor.proofs)
        self.floor.proofs.clear()

    def measure(self, code: str) -> TaskMeasure:
        task = self.desk.cases[CASE].task("operations")
        assert task is not None
        return next(one for one in reversed(task.measures) if one.code == code)


def found() -> Bank:
    """Something was wrong in the sample, and operations says that it is put right."""
    bank = Bank()
    bank.act("acknowledge", "02 10:00")
    bank.act("find", "02 15:00", measure="inspect_sample", evidence=("t91",), note="no copy of the passport")
    bank.act("complete", "02 16:00", measure="inspect_sample")
    bank.act("complete", "03 11:00", measure="rectify_controls")
    assert not bank.desk.refused
    assert bank.measure("rectify_controls").claimed is not None
    assert bank.desk.cases[CASE].state == "open"
    return bank


def test_a_clean_sample_closes_what_was_found() -> None:
    bank = found()
    bank.large(booking(1, "05"), booking(2, "09"))
    bank.until(at("2026-03-14 12:00"), 3)
    done = bank.measure("rectify_controls")
    assert (done.completed_at, done.completed_by) == (at("2026-03-14 00:00"), "ling")
    case = bank.desk.cases[CASE]
    assert case.state == "resolved"
    assert [entry.kind for entry in case.history if entry.kind in ("found", "claimed", "proved")] == [
        "found",
        "claimed",
        "proved",
    ]


def test_a_sample_that_lacks_a_control_leaves_it_owed_until_a_later_one_is_clean() -> None:
    bank = found()
    bank.large(booking(1, "05"), booking(2, "09", lacks=("approval",)))
    bank.until(at("2026-03-14 12:00"), 3)
    owed = bank.measure("rectify_controls")
    assert (owed.completed_at, owed.claimed, owed.failed) == (None, None, ("t2",))
    assert bank.desk.cases[CASE].state == "open"
    bank.act("complete", "16 11:00", measure="rectify_controls")
    bank.large(booking(4, "18"))
    bank.until(at("2026-03-27 12:00"), 5)
    assert bank.measure("rectify_controls").completed_at == at("2026-03-27 00:00")
    assert bank.desk.cases[CASE].state == "resolved"
