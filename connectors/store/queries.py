"""What the desk asks of the database. Every function takes a connection; lists come a page at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Select, Table, case, exists, func, or_, select

from connectors.store.tables import (
    CASE_WARNINGS,
    CASES,
    DEAD_LETTERS,
    HEARTBEAT,
    PORTFOLIO,
    PROGRESS,
    REDRIVES,
    TASKS,
    WARNING_DEPARTMENTS,
    WARNINGS,
)
from models.dead_letter import DeadLetter, Redrive
from models.messages import PortfolioEntry
from models.response.case import Case
from models.risk_warning import RiskWarning

M = TypeVar("M")


class Found(Struct, Generic[M], frozen=True):
    """A page of a list: what is on it, the same as JSON, and whether there is another page."""

    items: tuple[M, ...]
    documents: tuple[str, ...]
    more: bool


class Letter(Struct, frozen=True):
    """A dead letter, and what became of it."""

    letter: DeadLetter
    redrive: Redrive | None


class Owing(Struct, frozen=True):
    """What a department owes on live cases."""

    department: str
    open: int
    overdue: int
    unacknowledged: int
    critical_unacknowledged: int
    next_due: datetime | None


class Freshness(Struct, frozen=True):
    """How far the database has come.

    Args:
        seen_at: when the projector said last that it works; None where it never did.
        waiting: records that were not in the database then.
        newest: when the newest record in the database was sent.
    """

    seen_at: datetime | None
    waiting: int
    newest: datetime | None


class WarningsAsked(Struct, frozen=True, kw_only=True):
    """Which warnings; None: any."""

    mode: str = "live"
    department: str | None = None
    detector: str | None = None
    severity: str | None = None
    subject: str | None = None


class CasesAsked(Struct, frozen=True, kw_only=True):
    """Which cases; None: any."""

    mode: str = "live"
    state: str | None = "open"
    department: str | None = None
    severity: str | None = None
    subject: str | None = None
    overdue: bool = False


def warnings(connection: Connection, asked: WarningsAsked, page: int, size: int) -> Found[RiskWarning]:
    """The newest first."""
    query = select(WARNINGS.c.document).where(WARNINGS.c.mode == asked.mode)
    for name in ("detector", "severity", "subject"):
        if (value := getattr(asked, name)) is not None:
            query = query.where(WARNINGS.c[name] == value)
    if asked.department is not None:
        told = WARNING_DEPARTMENTS.c
        query = query.where(
            exists().where(told.warning_id == WARNINGS.c.warning_id, told.department == asked.department)
        )
    query = query.order_by(WARNINGS.c.detected_at.desc(), WARNINGS.c.warning_id)
    return _page(connection, query, RiskWarning, page, size)


def document(connection: Connection, table: Table, key: str) -> str | None:
    """One message of a table with one key, such as `WARNINGS`, as it stands on its topic."""
    (column,) = table.primary_key
    return connection.scalar(select(table.c.document).where(column == key))


def warning(connection: Connection, warning_id: str) -> RiskWarning | None:
    """One, in its newest revision."""
    found = document(connection, WARNINGS, warning_id)
    return None if found is None else msgspec.json.decode(found, type=RiskWarning)


def warnings_of(connection: Connection, case_id: str) -> list[RiskWarning]:
    """Those of a case, oldest first."""
    query = select(WARNINGS.c.document).join(CASE_WARNINGS, CASE_WARNINGS.c.warning_id == WARNINGS.c.warning_id)
    query = query.where(CASE_WARNINGS.c.case_id == case_id).order_by(WARNINGS.c.event_time, WARNINGS.c.warning_id)
    return [msgspec.json.decode(one, type=RiskWarning) for one in connection.scalars(query)]


def cases_of(connection: Connection, warning_id: str) -> list[str]:
    """Ids of the cases that a warning is in."""
    query = select(CASE_WARNINGS.c.case_id).where(CASE_WARNINGS.c.warning_id == warning_id)
    return list(connection.scalars(query.order_by(CASE_WARNINGS.c.case_id)))


def cases(connection: Connection, asked: CasesAsked, page: int, size: int) -> Found[Case]:
    """What is overdue first, then by gravity and by the next deadline."""
    query = select(CASES.c.document).where(CASES.c.mode == asked.mode)
    for name in ("state", "severity", "subject"):
        if (value := getattr(asked, name)) is not None:
            query = query.where(CASES.c[name] == value)
    if asked.overdue:
        query = query.where(CASES.c.overdue)
    if asked.department is not None:
        mine = exists().where(TASKS.c.case_id == CASES.c.case_id, TASKS.c.department == asked.department)
        query = query.where(mine.where(TASKS.c.active) if asked.state == "open" else mine)
    query = query.order_by(
        CASES.c.overdue.desc(), CASES.c.rank.desc(), CASES.c.due_at.is_(None), CASES.c.due_at, CASES.c.case_id
    )
    return _page(connection, query, Case, page, size)


def one_case(connection: Connection, case_id: str) -> Case | None:
    """One, as it stands."""
    found = document(connection, CASES, case_id)
    return None if found is None else msgspec.json.decode(found, type=Case)


def owing(connection: Connection) -> list[Owing]:
    """What departments owe on live cases, by name."""
    task = TASKS.c

    def number(condition: Any) -> Any:
        return func.sum(case((condition, 1), else_=0))

    seen = task.acknowledged_at.is_(None)
    query = (
        select(
            task.department,
            func.count(),
            number(task.overdue),
            number(seen),
            number(seen & (task.severity == "critical")),
            func.min(task.due_at),
        )
        .where(task.active, task.mode == "live")
        .group_by(task.department)
        .order_by(task.department)
    )
    return [Owing(*row) for row in connection.execute(query)]


def counts(connection: Connection, now: datetime) -> dict[str, int]:
    """How many live cases are open, and how many live warnings came in the last day."""
    open_cases = select(func.count()).where(CASES.c.mode == "live", CASES.c.state == "open")
    day = WARNINGS.c.detected_at > now - timedelta(days=1)
    told = select(func.count()).where(WARNINGS.c.mode == "live", day)
    return {"open_cases": connection.scalar(open_cases) or 0, "warnings_last_day": connection.scalar(told) or 0}


def wholes(connection: Connection) -> dict[str, PortfolioEntry]:
    """The line on the whole book of each legal entity of the bank, the largest book first."""
    query = select(PORTFOLIO.c.document).where(PORTFOLIO.c.dimension == "entity")
    query = query.order_by(PORTFOLIO.c.exposure.desc(), PORTFOLIO.c.entity)
    lines = [msgspec.json.decode(one, type=PortfolioEntry) for one in connection.scalars(query)]
    return {one.entity: one for one in lines}


def book(connection: Connection, entity: str, dimension: str, page: int, size: int) -> Found[PortfolioEntry]:
    """Lines of a book over a dimension, the largest exposure first."""
    query = select(PORTFOLIO.c.document).where(PORTFOLIO.c.entity == entity, PORTFOLIO.c.dimension == dimension)
    query = query.order_by(PORTFOLIO.c.exposure.desc(), PORTFOLIO.c.member)
    return _page(connection, query, PortfolioEntry, page, size)


def at_level(connection: Connection, size: int) -> Found[PortfolioEntry]:
    """Lines of any book that hold a level of a limit, the gravest first."""
    query = select(PORTFOLIO.c.document).where(PORTFOLIO.c.rank > 0)
    query = query.order_by(PORTFOLIO.c.rank.desc(), PORTFOLIO.c.exposure.desc(), PORTFOLIO.c.member)
    return _page(connection, query, PortfolioEntry, 1, size)


def letters(connection: Connection, topic: str | None, open_only: bool, page: int, size: int) -> Found[Letter]:
    """Dead letters, the newest first."""
    letter = DEAD_LETTERS.c
    query = select(letter.document, REDRIVES.c.document).join_from(
        DEAD_LETTERS, REDRIVES, REDRIVES.c.dead_letter_id == letter.dead_letter_id, isouter=True
    )
    if topic is not None:
        query = query.where(letter.source_topic == topic)
    if open_only:
        query = query.where(or_(REDRIVES.c.state.is_(None), REDRIVES.c.state != "sent"))
    query = query.order_by(letter.refused_at.desc(), letter.dead_letter_id)
    rows = connection.execute(_cut(query, page, size)).all()
    both = [f'{{"letter":{one},"redrive":{redrive or "null"}}}' for one, redrive in rows]
    return _found(both, Letter, size)


def freshness(connection: Connection) -> Freshness:
    """How far the database has come."""
    beat = connection.execute(select(HEARTBEAT.c.seen_at, HEARTBEAT.c.waiting)).first()
    newest = connection.scalar(select(func.max(PROGRESS.c.stamped_at)))
    return Freshness(beat.seen_at if beat else None, beat.waiting if beat else 0, newest)


def _cut(query: Select[Any], page: int, size: int) -> Select[Any]:
    """A page, and one row of the next: whether there is one."""
    return query.limit(size + 1).offset((page - 1) * size)


def _page(connection: Connection, query: Select[Any], kind: type[M], page: int, size: int) -> Found[M]:
    return _found(connection.scalars(_cut(query, page, size)).all(), kind, size)


def _found(documents: Sequence[str], kind: type[M], size: int) -> Found[M]:
    shown = tuple(documents[:size])
    return Found(tuple(msgspec.json.decode(one, type=kind) for one in shown), shown, len(documents) > size)
