"""What a message becomes in the database.

Every write is an upsert by the message's own id: a message that is read again, or after a newer one, changes nothing.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from connectors.store.tables import (
    CASE_WARNINGS,
    CASES,
    DEAD_LETTERS,
    PORTFOLIO,
    REDRIVES,
    TASKS,
    WARNING_DEPARTMENTS,
    WARNINGS,
)
from models.credit.limits import level_rank
from models.dead_letter import DeadLetter, Redrive
from models.messages import PortfolioEntry
from models.response.case import Case
from models.risk_warning import RiskWarning, severity_rank

Row = dict[str, Any]
# SQLite takes this many rows of our tables in one statement and more; PostgreSQL 65,535 values.
_PAGE = 1000


class Target(Struct, frozen=True):
    """Where the messages of a topic go.

    Args:
        row: a message as a row of `table`, but for its `document`.
        newer_by: the column that says which of two messages of one id is the newer one.
        parts: the rows that hang on a message, by table; those of an older revision are replaced.
    """

    table: Table
    row: Callable[[Any], Row]
    newer_by: str
    parts: Mapping[Table, Callable[[Any], list[Row]]] = {}

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)


def project(connection: Connection, topic: str, messages: Sequence[tuple[Any, str]]) -> int:
    """Write the messages of a topic, in the order in which they stand there, into an open transaction.

    Args:
        messages: each with its text on the topic, which is kept: it may have fields that this release does not know.

    Returns:
        How many rows are new or newer than what was there.
    """
    target = TARGETS[topic]
    newest: dict[Hashable, tuple[Row, Any]] = {}
    for message, document in messages:
        row = target.row(message) | {"document": document}
        key = tuple(row[name] for name in target.key)
        known = newest.get(key)
        if known is None or row[target.newer_by] >= known[0][target.newer_by]:
            newest[key] = (row, message)
    written = upsert(connection, target.table, [row for row, _ in newest.values()], target.newer_by)
    kept = [newest[key][1] for key in written]
    for table, rows in target.parts.items():
        (name,) = target.key
        stale = [key[0] for key in written]
        for start in range(0, len(stale), _PAGE):
            connection.execute(delete(table).where(table.c[name].in_(stale[start : start + _PAGE])))
        if more := [row for message in kept for row in rows(message)]:
            connection.execute(table.insert(), more)
    return len(written)


def upsert(connection: Connection, table: Table, rows: Sequence[Row], newer_by: str) -> list[tuple[Any, ...]]:
    """Put rows of different keys in place of those that are not newer; the keys of those that were taken."""
    if not rows:
        return []
    key = list(table.primary_key.columns)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=key,
        set_={column.name: statement.excluded[column.name] for column in table.c if not column.primary_key},
        where=statement.excluded[newer_by] >= table.c[newer_by],
    )
    return [tuple(taken) for taken in connection.execute(statement.returning(*key), list(rows))]


def _warning(one: RiskWarning) -> Row:
    return {
        "warning_id": one.warning_id,
        "revision": one.revision,
        "detector": one.detector,
        "severity": one.severity,
        "rank": severity_rank(one.severity),
        "mode": one.mode,
        "subject": one.subject,
        "late": one.late,
        "muted_by": one.muted_by,
        "event_time": one.event_time,
        "detected_at": one.detected_at,
    }


def _warning_departments(one: RiskWarning) -> list[Row]:
    return [{"warning_id": one.warning_id, "department": name} for name in dict.fromkeys(one.departments)]


def _case(one: Case) -> Row:
    owed = [task for task in one.tasks if task.active]
    dues = [task.acknowledge_due_at for task in owed if task.acknowledged_at is None]
    dues += [task.due_at for task in owed]
    dues += [part.due_at for task in owed for part in task.measures if part.completed_at is None]
    return {
        "case_id": one.case_id,
        "revision": one.revision,
        "subject": one.subject,
        "mode": one.mode,
        "state": one.state,
        "severity": one.severity,
        "rank": severity_rank(one.severity),
        "confidential": one.confidential,
        "opened_at": one.opened_at,
        "resolved_at": one.resolved_at,
        "due_at": min(dues, default=None),
        "overdue": any(task.breached for task in owed),
    }


def _case_warnings(one: Case) -> list[Row]:
    return [{"case_id": one.case_id, "warning_id": ref.warning_id} for ref in one.warnings]


def _tasks(one: Case) -> list[Row]:
    return [
        {
            "case_id": one.case_id,
            "department": task.department,
            "round": task.round,
            "mode": one.mode,
            "state": task.state,
            "active": task.active,
            "severity": task.severity,
            "rank": severity_rank(task.severity),
            "overdue": task.active and task.breached,
            "created_at": task.created_at,
            "due_at": task.due_at,
            "acknowledged_at": task.acknowledged_at,
            "done_at": task.done_at,
            "escalation_level": task.escalation_level,
        }
        for task in one.tasks
    ]


def _line(one: PortfolioEntry) -> Row:
    return {
        "entity": one.entity,
        "dimension": one.dimension,
        "member": one.member,
        "level": one.level,
        "rank": level_rank(one.level),
        "exposure": float(one.exposure),
        "as_of": one.as_of,
    }


def _letter(one: DeadLetter) -> Row:
    return {
        "dead_letter_id": one.dead_letter_id,
        "source_topic": one.source_topic,
        "reason": one.reason,
        "refused_at": one.refused_at,
    }


def _redrive(one: Redrive) -> Row:
    return {"dead_letter_id": one.dead_letter_id, "state": one.state, "at": one.at}


# Confidential cases stand on `cases` as stubs alone: whole ones are on a topic that the projector need not be let into.
TARGETS: dict[str, Target] = {
    "warnings": Target(WARNINGS, _warning, "revision", {WARNING_DEPARTMENTS: _warning_departments}),
    "cases": Target(CASES, _case, "revision", {CASE_WARNINGS: _case_warnings, TASKS: _tasks}),
    "portfolio": Target(PORTFOLIO, _line, "as_of"),
    "dead-letters": Target(DEAD_LETTERS, _letter, "refused_at"),
    "redrives": Target(REDRIVES, _redrive, "at"),
}
