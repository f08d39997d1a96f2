"""A kill at any instant: batches are read again, cut differently, and still every event counts once.

What a worker does: it applies a batch, has its messages acknowledged, stores the states, and only then is done. A kill
in between has the batch read again by the next worker, from where the states are, in batches of other sizes.
"""

from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from models.messages import ActivityWatermark
from models.pipeline import MemoryStates
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Record, Refused
from models.stages.activity import ActivityStage, Progress
from models.stages.customers import CustomersStage
from tests.activity import NOW, learning
from tests.make import at, transaction

START = at("2026-03-02 09:00")

# (day, branch, currency): three branches over two weeks; now and then a currency without a rate.
events_of = st.lists(
    st.tuples(st.integers(0, 13), st.sampled_from("AABC"), st.sampled_from(["CNY"] * 9 + ["CHF", "SEK"])), max_size=120
).map(
    lambda rows: [
        transaction(
            f"e{number}",
            START + timedelta(days=day),
            "50000",
            method="cash",
            branch_id=branch,
            currency=currency,
            customer_id=f"C{number % 3}",
        )
        for number, (day, branch, currency) in enumerate(sorted(rows))
    ]
)


class Broker:
    """One partition of `transactions`, its worker, and whoever reads `activity`."""

    def __init__(self, policies: PolicyHistory, events: Sequence[Any]) -> None:
        self.policies, self.events = policies, events
        self.customers = MemoryStates()
        self.applied: dict[str, int] = {}
        self.activity, self.stage = MemoryStates(), ActivityStage(policies)
        self.warnings: dict[str, RiskWarning] = {}

    def batch(self, start: int, end: int, *, killed: bool, stored: set[str]) -> None:
        """Read a batch. A killed worker has sent everything, and has stored the states of some customers."""
        stage, states, applied = CustomersStage(self.policies), deepcopy(self.customers), dict(self.applied)
        emits = []
        for offset in range(start, end):
            event = self.events[offset]
            if offset <= applied.get(event.key, -1):
                continue
            try:
                emits += stage.apply(states, Record("transactions", 0, offset, event.event_time, event, NOW))
            except Refused:
                continue
            applied[event.key] = offset
        emits += stage.flush(states)
        for emit in emits:
            if emit.topic == "activity":
                self.keep(self.stage.apply(self.activity, Record("activity", 0, 0, NOW, emit.value, NOW)))
                self.activity.through_bytes()
        for key in stored if killed else set(applied):
            if key in states.values:
                self.customers.values[key], self.applied[key] = states.values[key], applied[key]

    def catch_up(self, done: int) -> None:
        """The worker has judged all events there are; time goes on to the newest."""
        accepted = [event.event_time for event in self.events[:done] if event.currency == "CNY"]
        if accepted:  # at the arrival of the newest that was accepted: no wall clock beyond it, as in an ended history
            mark = ActivityWatermark(partition=0, partitions=1, caught_up_at=accepted[-1])
            self.keep(self.stage.apply(self.activity, Record("activity", 0, 0, NOW, mark, NOW)))

    def keep(self, emits: Any) -> None:
        self.warnings |= {emit.value.warning_id: emit.value for emit in emits if emit.topic == "warnings"}

    def end(self) -> tuple[Any, ...]:
        """All that must not depend on the kills: warnings, what is counted and known of each day, what was taken."""
        self.keep(self.stage.end(self.activity, NOW))
        progress = self.activity.load("~activity", Progress) or Progress()
        states = {key: one for key, one in self.activity.values.items() if key != "~activity"}
        return self.warnings, states, progress.offsets, progress.start, progress.closed, progress.days


@given(
    events_of,
    st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.integers(1, 30), st.sets(st.sampled_from("012")))),
)
@settings(max_examples=50, deadline=None)
def test_any_kills_and_cuts_give_what_one_clean_run_gives(
    policy: Policy, events: Sequence[Any], cuts: list[tuple[int, bool, int, set[str]]]
) -> None:
    policies = PolicyHistory(learning(policy, learn=2, minimum=1, low="0.5", high="1.5"))
    clean, broken = Broker(policies, events), Broker(policies, events)
    clean.batch(0, len(events), killed=False, stored=set())
    done = 0
    for size, killed, back, stored in cuts:
        end = min(len(events), done + size)
        broken.batch(done, end, killed=killed, stored={f"C{name}" for name in stored})
        if killed:  # what was not committed is read again, and an earlier commit may be lost as well
            done = max(0, done - back)
        else:
            done = end
            broken.catch_up(done)
    broken.batch(done, len(events), killed=False, stored=set())
    assert broken.end() == clean.end()
