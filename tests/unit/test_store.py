"""What stands in the database after messages, on SQLite and on PostgreSQL; and which versions go together."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from msgspec.structs import replace
from sqlalchemy import Engine, func, inspect, select, text

from connectors.errors import SettingsError
from connectors.settings import Settings
from connectors.store import queries, versions
from connectors.store.engine import StoreError, answering, database_url, open_store
from connectors.store.projection import project
from connectors.store.projector import rebuild
from connectors.store.tables import METADATA, TASKS, WARNINGS
from models.dead_letter import Redrive
from models.response.confidential import stub
from tests import stored
from tests.response import HOUR, MONDAY, SUBJECT, Desk, action, on_industry, warning
from tests.stored import letter, line

NOW = datetime(2026, 3, 3, tzinfo=UTC)


@pytest.fixture
def store(database: str) -> Iterator[Engine]:
    engine = open_store(Settings(database=database))
    versions.upgrade(engine)
    yield engine
    engine.dispose()


def put(store: Engine, topic: str, *messages: Any) -> int:
    with store.begin() as connection:
        return stored.put(connection, topic, *messages)


def ask(store: Engine, query: Any, *arguments: Any) -> Any:
    with store.connect() as connection:
        return query(connection, *arguments)


# ------------------------------------------------------------------- messages


def test_of_a_warning_the_newest_revision_stands_whatever_comes_when(store: Engine) -> None:
    told = [warning(revision=number, severity="high", detected_at=MONDAY + number * HOUR) for number in (1, 2, 3)]
    assert put(store, "warnings", told[1]) == 1
    assert put(store, "warnings", told[0]) == 0
    assert ask(store, queries.warning, "w1") == told[1]
    assert put(store, "warnings", told[2], told[0], told[1]) == 1
    assert put(store, "warnings", told[2]) == 1  # read again: the same is written once more
    assert ask(store, queries.warning, "w1") == told[2]
    with store.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(WARNINGS)) == 1


def test_what_a_newer_release_says_besides_is_kept(store: Engine) -> None:
    newer = msgspec.json.encode(msgspec.to_builtins(warning()) | {"branch": "0731"}).decode()
    with store.begin() as connection:
        project(connection, "warnings", [(warning(), newer)])
    found = ask(store, queries.warnings, queries.WarningsAsked(), 1, 10)
    assert found.items == (warning(),)
    assert found.documents == (newer,)
    assert ask(store, queries.document, WARNINGS, "w1") == newer


def test_departments_are_those_of_the_newest_revision(store: Engine) -> None:
    put(store, "warnings", warning(departments=("operations",)))
    put(store, "warnings", warning(revision=2, departments=("risk", "credit", "risk")))
    for department, there in (("operations", 0), ("risk", 1), ("credit", 1)):
        found = ask(store, queries.warnings, queries.WarningsAsked(department=department), 1, 10)
        assert len(found.items) == there


def test_lists_are_paged_and_say_whether_there_is_more(store: Engine) -> None:
    told = [warning(warning_id=f"w{n}", detected_at=MONDAY + n * HOUR) for n in range(5)]
    put(store, "warnings", *told)
    pages = [ask(store, queries.warnings, queries.WarningsAsked(), page, 2) for page in (1, 2, 3)]
    assert [[one.warning_id for one in page.items] for page in pages] == [["w4", "w3"], ["w2", "w1"], ["w0"]]
    assert [page.more for page in pages] == [True, True, False]


def test_shadow_and_drill_are_not_shown_unless_asked_for(store: Engine) -> None:
    put(store, "warnings", warning(mode="shadow"), warning(warning_id="w2", mode="drill"))
    for mode, there in (("live", []), ("shadow", ["w1"]), ("drill", ["w2"])):
        found = ask(store, queries.warnings, queries.WarningsAsked(mode=mode), 1, 10)
        assert [one.warning_id for one in found.items] == there


def test_a_case_has_the_tasks_of_its_newest_revision(store: Engine) -> None:
    desk = Desk()
    emits = desk.take(warning(departments=("operations", "risk")))
    for kind, hours in (("acknowledge", 1), ("start", 2), ("complete", 3)):
        emits += desk.take(action(kind, MONDAY + hours * HOUR))
    told = [one.value for one in emits if one.topic == "cases"]
    assert len(told) > 2
    put(store, "cases", *told[:2])
    put(store, "cases", told[-1])
    put(store, "cases", *told[:-1])
    assert ask(store, queries.one_case, f"{SUBJECT}#1") == told[-1]
    with store.connect() as connection:
        rows = connection.execute(select(TASKS.c.department, TASKS.c.state).order_by(TASKS.c.department)).all()
    assert [tuple(row) for row in rows] == [(t.department, t.state) for t in sorted(told[-1].tasks, key=str)]
    assert ask(store, queries.cases_of, "w1") == [f"{SUBJECT}#1"]


def test_what_departments_owe_is_what_their_open_tasks_say(store: Engine) -> None:
    desk = Desk()
    desk.take(warning(severity="critical"), on_industry(warning_id="w2"))
    desk.take(warning(warning_id="w3", subject="customer:~spring~C1", mode="drill"))
    desk.tick(MONDAY + timedelta(days=30))
    put(store, "cases", *desk.cases.values())
    owing = {one.department: one for one in ask(store, queries.owing)}
    assert owing.keys() == {"operations", "credit"}
    assert (owing["operations"].open, owing["operations"].overdue) == (1, 1)
    assert (owing["operations"].critical_unacknowledged, owing["credit"].critical_unacknowledged) == (1, 0)
    assert owing["operations"].next_due == desk.case().tasks[0].due_at
    counts = ask(store, queries.counts, MONDAY + HOUR)
    assert counts["open_cases"] == 2


def test_of_a_confidential_case_nothing_is_left_but_that_it_is_there(store: Engine) -> None:
    desk = Desk()
    desk.take(warning())
    open_ = desk.case()
    put(store, "cases", open_)
    hidden = stub(replace(open_, confidential=True, revision=open_.revision + 1))
    put(store, "cases", hidden)
    assert ask(store, queries.one_case, open_.case_id) == hidden
    assert ask(store, queries.owing) == []
    assert ask(store, queries.warnings_of, open_.case_id) == []


def test_overdue_cases_come_first_then_the_gravest_then_what_is_due_soonest(store: Engine) -> None:
    desk = Desk()
    for number, (severity, hours) in enumerate([("low", 0), ("high", 0.75), ("high", 0.5), ("critical", 0.75)]):
        at = MONDAY + hours * HOUR
        desk.take(warning(at, warning_id=f"w{number}", subject=f"customer:C{number}", severity=severity))
    cases = [one for one in desk.cases.values()]
    late = next(one for one in cases if one.subject == "customer:C0")
    task = replace(late.tasks[0], breached_at=late.tasks[0].due_at)
    cases[cases.index(late)] = replace(late, tasks=(task,))
    put(store, "cases", *cases)
    found = ask(store, queries.cases, queries.CasesAsked(), 1, 10)
    assert [one.subject[-1] for one in found.items] == ["0", "3", "2", "1"]
    only = ask(store, queries.cases, queries.CasesAsked(overdue=True), 1, 10)
    assert [one.subject[-1] for one in only.items] == ["0"]


def test_figures_of_a_book_are_exact_and_the_newest_line_stands(store: Engine) -> None:
    exact = line("12345678901234567890.12", MONDAY + HOUR, level="warning")
    put(store, "portfolio", line("1"), exact, line("2"), line("3", member="A"))
    found = ask(store, queries.book, "B1", "industry", 1, 10)
    assert found.items == (exact, line("3", member="A"))
    assert ask(store, queries.at_level, 10).items == (exact,)
    assert ask(store, queries.wholes) == {}


def test_a_dead_letter_knows_what_became_of_it(store: Engine) -> None:
    put(store, "dead-letters", letter(1), letter(2))
    redrive = Redrive(
        dead_letter_id="transactions/0/1", state="claimed", by="li", at=NOW, repaired=True, topic="transactions"
    )
    put(store, "redrives", redrive)
    waiting = ask(store, queries.letters, None, True, 1, 10)
    assert [one.letter.source_offset for one in waiting.items] == [2, 1]
    put(store, "redrives", replace(redrive, state="sent", at=NOW + HOUR, partition=0, offset=9))
    put(store, "redrives", redrive)
    assert [one.letter.source_offset for one in ask(store, queries.letters, None, True, 1, 10).items] == [2]
    assert ask(store, queries.letters, None, False, 1, 10).items[1].redrive.state == "sent"
    assert ask(store, queries.letters, "loans", False, 1, 10).items == ()


def test_more_messages_than_one_statement_takes(store: Engine) -> None:
    told = [warning(warning_id=f"w{n}", departments=("risk", "operations")) for n in range(2500)]
    assert put(store, "warnings", *told) == 2500
    assert put(store, "warnings", *(replace(one, revision=2) for one in told)) == 2500


def test_texts_of_any_script_and_times_of_any_zone_come_back(store: Engine) -> None:
    shanghai = timezone(timedelta(hours=8))
    odd = warning(subject="customer:客户'\"; DROP TABLE warnings; -- 🏦", detected_at=MONDAY.astimezone(shanghai))
    put(store, "warnings", odd)
    assert ask(store, queries.warnings, queries.WarningsAsked(subject=odd.subject), 1, 10).items == (odd,)
    with store.connect() as connection:
        assert connection.scalar(select(WARNINGS.c.detected_at)) == MONDAY


def test_a_rebuild_empties_everything(store: Engine) -> None:
    put(store, "warnings", warning())
    rebuild(store)
    with store.connect() as connection:
        for table in METADATA.sorted_tables:
            assert connection.scalar(select(func.count()).select_from(table)) == 0
        assert versions.found(connection) == versions.wanted()


# ------------------------------------------------------------------- versions


def test_the_migrations_make_the_tables_of_this_release(store: Engine) -> None:
    with store.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    assert versions.upgrade(store) == (versions.wanted(), versions.wanted())


def test_tables_that_are_not_ours_are_left_alone(database: str) -> None:
    engine = open_store(Settings(database=database))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE cases (id INTEGER)"))
    with pytest.raises(StoreError, match=r"tables of such names already .cases.: give Liandong its own"):
        versions.upgrade(engine)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["cases"]
        with pytest.raises(StoreError, match="empty: start `liandong project`"):
            versions.check(connection)
    engine.dispose()


def test_a_newer_database_is_read_and_not_written(store: Engine) -> None:
    put(store, "warnings", warning())
    with store.begin() as connection:  # as the next release might
        connection.execute(text("ALTER TABLE warnings ADD COLUMN branch VARCHAR"))
        connection.execute(text("UPDATE alembic_version SET version_num = :next"), {"next": str(versions.wanted() + 1)})
    with store.connect() as connection:
        assert versions.check(connection) == versions.wanted() + 1
        assert queries.warning(connection, "w1") == warning()
    with pytest.raises(StoreError, match="use the newer release"):
        versions.upgrade(store)


def test_an_older_database_is_not_read_before_it_is_upgraded(store: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "wanted", lambda: 2)
    with store.connect() as connection, pytest.raises(StoreError, match="needs 2: run `liandong database --upgrade`"):
        versions.check(connection)


# ------------------------------------------------------------------- addresses


def test_who_only_reads_cannot_write(store: Engine, database: str) -> None:
    engine = open_store(Settings(database=database), read_only=True)
    with pytest.raises(Exception, match=r"read-?only"), engine.begin() as connection:
        stored.put(connection, "warnings", warning())
    engine.dispose()


def test_where_no_database_is_named_it_stands_with_the_other_data(tmp_path: Any) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    assert database_url(settings).database == str(tmp_path / "new" / "liandong.db")
    with pytest.raises(StoreError, match=r"there is no database .* start `liandong project`"):
        open_store(settings, read_only=True)
    engine = open_store(settings)
    assert versions.upgrade(engine) == (0, versions.wanted())
    engine.dispose()


@pytest.mark.parametrize(
    "address",
    ["mysql://u@h/x", "liandong.db", "sqlite://", "sqlite:///:memory:", "postgresql://u@h", "postgresql://u@h:x/y"],
)
def test_an_address_that_cannot_be_used_is_refused_by_the_variable(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^LIANDONG_DATABASE.*write sqlite:///file.db or postgresql://"):
        database_url(Settings(database=address))


def test_the_password_stands_in_a_file_and_is_shown_nowhere(tmp_path: Any) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    env = {"LIANDONG_DATABASE": "postgresql://u@h/x", "LIANDONG_DATABASE_PASSWORD_FILE": str(file)}
    settings = Settings.from_env(env)
    assert database_url(settings).password == "s3cret"  # noqa: S105
    assert "s3cret" not in f"{settings!r} {database_url(settings)!r}"
    inline = Settings.from_env({"LIANDONG_DATABASE": "postgresql://u:s3cret@h/x"})
    assert database_url(inline).password == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(inline)
    with pytest.raises(SettingsError, match="LIANDONG_DATABASE_PASSWORD_FILE and LIANDONG_DATABASE_PASSWORD are both"):
        Settings.from_env(env | {"LIANDONG_DATABASE_PASSWORD": "x"})
    with pytest.raises(SettingsError, match="would have no effect with SQLite"):
        database_url(Settings(database_password="x"))  # noqa: S106


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    engine = open_store(Settings(database="postgresql://u:s3cret@127.0.0.1:1/x"))
    with pytest.raises(StoreError, match=r"u:\*\*\*@127.0.0.1:1/x does not answer") as failed, answering(engine):
        versions.upgrade(engine)
    assert "s3cret" not in str(failed.value)
