"""The tables, as this release has them; `migrations` makes them.

A row is one message of a topic in its newest revision: `document` is the message itself, as JSON, and the other columns
are what the desk selects and sorts by. Figures are read from the document, where they are exact.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Instant(TypeDecorator[datetime]):
    """A time with an offset. SQLite keeps none, so what is stored is UTC, and what is read says so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData()


def _table(name: str, *parts: Any) -> Table:
    return Table(name, METADATA, *parts)


def _key(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _is(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _maybe(name: str, kind: Any = String) -> Column[Any]:
    return Column(name, kind)


# `rank` of a severity is 0 for low to 3 for critical, that of a level 0 for none to 3 for control.
WARNINGS = _table(
    "warnings",
    _key("warning_id"),
    _is("revision", Integer),
    _is("detector"),
    _is("severity"),
    _is("rank", SmallInteger),
    _is("mode"),
    _is("subject"),
    _is("late", Boolean),
    _maybe("muted_by"),
    _is("event_time", Instant),
    _is("detected_at", Instant),
    _is("document", Text),
    Index("warnings_newest", "mode", "detected_at"),
    Index("warnings_subject", "subject"),
)
WARNING_DEPARTMENTS = _table(
    "warning_departments",
    _key("warning_id"),
    _key("department"),
    Index("warning_departments_department", "department"),
)
CASES = _table(
    "cases",
    _key("case_id"),
    _is("revision", Integer),
    _is("subject"),
    _is("mode"),
    _is("state"),
    _is("severity"),
    _is("rank", SmallInteger),
    _is("confidential", Boolean),
    _is("opened_at", Instant),
    _maybe("resolved_at", Instant),
    _maybe("due_at", Instant),  # the next deadline of any task that is not done
    _is("overdue", Boolean),
    _is("document", Text),
    Index("cases_state", "mode", "state"),
    Index("cases_subject", "subject"),
)
CASE_WARNINGS = _table(
    "case_warnings",
    _key("case_id"),
    _key("warning_id"),
    Index("case_warnings_warning", "warning_id"),
)
TASKS = _table(
    "tasks",
    _key("case_id"),
    _key("department"),
    _key("round", Integer),
    _is("mode"),
    _is("state"),
    _is("active", Boolean),
    _is("severity"),
    _is("rank", SmallInteger),
    _is("overdue", Boolean),
    _is("created_at", Instant),
    _is("due_at", Instant),
    _maybe("acknowledged_at", Instant),
    _maybe("done_at", Instant),
    _is("escalation_level", SmallInteger),
    Index("tasks_active", "active", "department"),
)
PORTFOLIO = _table(
    "portfolio",
    _key("entity"),
    _key("dimension"),
    _key("member"),
    _maybe("level"),
    _is("rank", SmallInteger),
    _is("exposure", Double),  # to sort by alone: the document has it exactly
    _is("as_of", Instant),
    _is("document", Text),
    Index("portfolio_rank", "rank"),
)
DEAD_LETTERS = _table(
    "dead_letters",
    _key("dead_letter_id"),
    _is("source_topic"),
    _is("reason"),
    _is("refused_at", Instant),
    _is("document", Text),
    Index("dead_letters_newest", "refused_at"),
)
REDRIVES = _table(
    "redrives",
    _key("dead_letter_id"),
    _is("state"),
    _is("at", Instant),
    _is("document", Text),
)
HEARTBEAT = _table(
    "heartbeat",
    _key("process"),
    _is("seen_at", Instant),
    _is("waiting", BigInteger),  # records that were not in the database then
)
PROGRESS = _table(
    "progress",
    _key("topic"),
    _key("partition", Integer),
    _maybe("topic_id"),  # of the broker's: a topic that was made anew has another
    _is("next_offset", BigInteger),
    _maybe("stamped_at", Instant),  # when the newest record that stands here was written
)
