"""However messages are cut into transactions, repeated or put out of order: the newest of each id stands."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Engine, select

from connectors.settings import Settings
from connectors.store import queries
from connectors.store.engine import open_store
from connectors.store.projector import rebuild
from connectors.store.tables import CASE_WARNINGS, TASKS
from connectors.store.versions import upgrade
from models.response.case import Case
from models.response.confidential import stub
from models.revisions import newest
from models.risk_warning import RiskWarning
from tests.response import HOUR, MONDAY, Desk, action, warning
from tests.stored import put


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path: Path = tmp_path_factory.mktemp("store")
    engine = open_store(Settings(database=f"sqlite:///{path}/liandong.db"))
    upgrade(engine)
    yield engine
    engine.dispose()


def lives() -> list[Case]:
    """Every revision of two cases, one of which ends as a stub."""
    desk = Desk()
    emits: list[Any] = []
    for subject in ("customer:C42", "customer:C43"):
        case_id = f"{subject}#1"
        emits += desk.take(warning(subject=subject, warning_id=f"w-{subject}", departments=("operations", "risk")))
        emits += desk.take(action("acknowledge", MONDAY + HOUR, case_id=case_id))
        emits += desk.take(warning(MONDAY + HOUR, subject=subject, warning_id=f"x-{subject}", severity="high"))
        emits += desk.take(action("complete", MONDAY + 2 * HOUR, case_id=case_id))
    cases = [one.value for one in emits if one.topic == "cases"]
    last = cases[-1]
    return [*cases, stub(replace(last, revision=last.revision + 1, confidential=True))]


LIVES = lives()
WARNINGS = [
    warning(warning_id=name, revision=revision, departments=departments, detected_at=MONDAY + revision * HOUR)
    for name in ("a", "b", "c")
    for revision, departments in ((1, ("operations",)), (2, ("operations", "risk")), (3, ("credit",)))
]


def written(store: Engine, topic: str, messages: list[Any], cuts: list[int]) -> None:
    rebuild(store)
    places = sorted({0, len(messages), *(cut % (len(messages) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        with store.begin() as connection:
            put(connection, topic, *messages[start:end])


CUTS = st.lists(st.integers(0, 50), max_size=6)


@given(st.lists(st.sampled_from(WARNINGS), min_size=1, max_size=20), CUTS)
def test_warnings(store: Engine, messages: list[RiskWarning], cuts: list[int]) -> None:
    written(store, "warnings", messages, cuts)
    expected = newest(messages, lambda one: one.warning_id)
    with store.connect() as connection:
        assert {one: queries.warning(connection, one) for one in expected} == expected
        for department in ("operations", "risk", "credit"):
            found = queries.warnings(connection, queries.WarningsAsked(department=department), 1, 100).items
            assert {one.warning_id for one in found} == {
                name for name, one in expected.items() if department in one.departments
            }


@given(st.lists(st.sampled_from(LIVES), min_size=1, max_size=20), CUTS)
def test_cases(store: Engine, messages: list[Case], cuts: list[int]) -> None:
    written(store, "cases", messages, cuts)
    expected = newest(messages, lambda one: one.case_id)
    with store.connect() as connection:
        assert {one: queries.one_case(connection, one) for one in expected} == expected
        tasks = {tuple(row) for row in connection.execute(select(TASKS.c.case_id, TASKS.c.department, TASKS.c.state))}
        parts = {tuple(row) for row in connection.execute(select(CASE_WARNINGS))}
    assert tasks == {(one.case_id, task.department, task.state) for one in expected.values() for task in one.tasks}
    assert parts == {(one.case_id, ref.warning_id) for one in expected.values() for ref in one.warnings}
