"""The desk's API: what the pages show, as JSON. Messages are as on their topics (`deploy/schemas`)."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from sqlalchemy import Connection

from connectors.desk.asked import PAGE_SIZE, AskedCases, AskedWarnings, Page, Size
from connectors.store import queries
from connectors.store.queries import Found
from connectors.store.tables import CASES, WARNINGS
from models.messages import BookDimension

_OPTIONAL: dict[int | str, dict[str, Any]] = {404: {"description": "There is none of this id."}}


def connection(request: Request) -> Any:
    """A connection for the time of a request."""
    with request.app.state.engine.connect() as opened:
        yield opened


Database = Annotated[Connection, Depends(connection)]
router = APIRouter(prefix="/api", tags=["API"], default_response_class=Response)


@router.get("/summary")
def summary(database: Database) -> Response:
    """What departments owe on live cases, what came in the last day, and how far the database has come."""
    found = {
        **queries.counts(database, datetime.now(UTC)),
        "owing": queries.owing(database),
        "freshness": queries.freshness(database),
    }
    return _json(msgspec.json.encode(found))


@router.get("/warnings")
def warnings(database: Database, asked: AskedWarnings, page: Page = 1, size: Size = PAGE_SIZE) -> Response:
    """Warnings in their newest revision, the newest first."""
    return _list("warnings", queries.warnings(database, asked, page, size))


@router.get("/warnings/{warning_id}", responses=_OPTIONAL)
def warning(database: Database, warning_id: str) -> Response:
    """One warning, with its reasons and the ids of the events behind it."""
    return _one(queries.document(database, WARNINGS, warning_id))


@router.get("/cases")
def cases(database: Database, asked: AskedCases, page: Page = 1, size: Size = PAGE_SIZE) -> Response:
    """Cases as they stand: what is overdue first, then by gravity and by the next deadline."""
    return _list("cases", queries.cases(database, asked, page, size))


@router.get("/cases/{case_id:path}", responses=_OPTIONAL)
def case(database: Database, case_id: str) -> Response:
    """One case with its tasks and history; `#` in its id is written %23."""
    return _one(queries.document(database, CASES, case_id))


@router.get("/portfolio")
def portfolio(
    database: Database,
    entity: Annotated[str, Query(min_length=1, max_length=200)],
    dimension: BookDimension = "industry",
    page: Page = 1,
    size: Size = PAGE_SIZE,
) -> Response:
    """Lines of a legal entity's book over a dimension, the largest exposure first."""
    return _list("lines", queries.book(database, entity, dimension, page, size))


@router.get("/dead-letters")
def dead_letters(
    database: Database,
    topic: Annotated[str, Query(max_length=200)] = "",
    waiting: bool = False,
    page: Page = 1,
    size: Size = PAGE_SIZE,
) -> Response:
    """Refused messages and what became of them, the newest first; `waiting`: only those that nobody has sent again."""
    return _list("dead_letters", queries.letters(database, topic or None, waiting, page, size))


def _list(name: str, found: Found[Any]) -> Response:
    # The documents are put in as they stand: nothing is rounded or written another way.
    items = ",".join(found.documents)
    return _json(f'{{"{name}":[{items}],"more":{"true" if found.more else "false"}}}'.encode())


def _one(document: str | None) -> Response:
    if document is None:
        raise HTTPException(404, "there is none of this id")
    return _json(document.encode())


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
