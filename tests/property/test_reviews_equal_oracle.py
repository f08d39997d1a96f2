"""Review lists and reclassifications: what the stream answers in the end is what the oracle says of the history."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest

from models import oracle
from models.oracle.frames import canonical
from models.oracle.lending import accepted_loans
from models.oracle.reviews import reclassified, review_list
from models.policy import PolicyHistory
from tests.desk import Desk, step
from tests.make import at
from tests.unit.test_loan_proofs import ASKED_AT, LIVES, ask, ends

SUBJECTS = ("industry:BANK1:K", "borrower:BANK1:B1", "group:BANK1:G1", "real_estate:BANK1:total")
START = at("2026-03-02 09:00")


def history(dice: Random) -> list[Any]:
    """The lives of some loans, in order of time: opened, partly or wholly repaid, reviewed, reclassified."""
    events = []
    for number in range(8):
        owner: dict[str, Any] = {
            "loan_id": f"L{number}",
            "borrower_id": dice.choice(("B1", "B2")),
            "group_id": dice.choice((None, "G1")),
            "industry": dice.choice(("K70", "A01")),
            "real_estate": dice.choice(("none", "mortgage")),
        }
        when = START + timedelta(hours=dice.randrange(60))
        kinds = [("disbursed", "100")]
        kinds += dice.choices(
            [("reviewed", None), ("reclassified", None), ("repaid", "40"), ("repaid", "30"), ("overdue", None)], k=5
        )
        for count, (kind, amount) in enumerate(kinds):
            fields = owner | ({"classification": "substandard"} if kind == "reclassified" else {})
            fields |= {"days_past_due": 3} if kind == "overdue" else {}
            events.append(step(f"e{number}-{count}", when.isoformat(), kind, amount, **fields))
            when += timedelta(hours=dice.randrange(1, 30))
    return sorted(events, key=lambda one: (one.event_time, one.event_id))


def utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment is not None else None


@pytest.mark.parametrize("seed", range(40))
def test_the_answers_in_the_end(seed: int, policies: PolicyHistory) -> None:
    dice = Random(seed)  # noqa: S311 - a test's dice
    events = history(dice)
    since = START + timedelta(hours=dice.randrange(80))
    desk = Desk(policies)
    place = sum(one.event_time <= since for one in events)
    for number, one in enumerate([*events, None]):
        if number == place:
            for subject in SUBJECTS:
                desk.ask(ask(subject, since=since))
                desk.ask(ask(subject, since=since, kind="reclassified", measure="adjust_classification"))
        if one is not None:
            desk.feed(one)
    steps = accepted_loans(canonical(oracle.from_events(events), "loans"), policies).steps
    for subject in SUBJECTS:
        answers = [one for one in desk.proofs if one.subject == subject]
        listed = [one for one in answers if one.measure == "review_granted_loans"][-1]
        expected = review_list(steps, subject, since)
        assert (listed.listed, listed.left, utc(listed.done_at)) == (
            expected.listed,
            expected.left,
            utc(expected.done_at),
        )
        seen = [one for one in answers if one.measure == "adjust_classification"][-1]
        assert utc(seen.done_at) == utc(reclassified(steps, subject, since))


@pytest.mark.parametrize("life", LIVES)
def test_every_order_of_arrival(life: str, policies: PolicyHistory) -> None:
    """The last answers after any order, and what the oracle says of that very order."""
    subject = "industry:BANK1:K"
    for order in permutations(LIVES[life]):
        steps = accepted_loans(canonical(oracle.from_events(list(order)), "loans"), policies).steps
        expected = review_list(steps, subject, ASKED_AT)
        listed, seen = ends(list(order), (0, 0))
        assert (*listed[:2], utc(listed[2])) == (expected.listed, expected.left, utc(expected.done_at))
        assert utc(seen[2]) == utc(reclassified(steps, subject, ASKED_AT))
