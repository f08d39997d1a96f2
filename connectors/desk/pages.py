"""The desk's pages, made on the server: they need no script, and work in any browser that a bank has."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Template
from sqlalchemy import Connection

from connectors.account_texts import Language, say
from connectors.desk.api import Database
from connectors.desk.asked import (
    DEPARTMENTS,
    DIMENSIONS,
    MODES,
    PAGE_SIZE,
    SEVERITIES,
    AskedCases,
    AskedWarnings,
    Page,
)
from connectors.desk.texts import LANGUAGES, WORDS
from connectors.reports.case_file import case_file, page_parts
from connectors.reports.page import spoken, template
from connectors.store import queries
from connectors.topics import TOPICS
from models.credit.industry import industry_name
from models.messages import BookDimension, PortfolioEntry
from models.policy import Policy
from models.response.confidential import is_stub

# The projector notes that it works every five seconds; a restart takes some of them.
STALE = timedelta(minutes=1)
FEW = 8  # lines of a list on the overview
LANGUAGE_COOKIE = "language"

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@router.get("/")
def overview(request: Request, database: Database) -> Response:
    """What departments owe, and what is gravest."""
    cases = queries.cases(database, queries.CasesAsked(), 1, FEW)
    warnings = queries.warnings(database, queries.WarningsAsked(), 1, FEW)
    return _page(
        request,
        database,
        "overview",
        owing=queries.owing(database),
        counts=queries.counts(database, datetime.now(UTC)),
        cases=cases,
        warnings=warnings,
        lines=queries.at_level(database, FEW),
        wholes=queries.wholes(database),
    )


@router.get("/warnings")
def warnings(request: Request, database: Database, asked: AskedWarnings, page: Page = 1) -> Response:
    """A list of warnings."""
    found = queries.warnings(database, asked, page, PAGE_SIZE)
    detectors = _policy(request).detectors.__struct_fields__
    return _page(request, database, "warnings", asked=asked, found=found, page=page, detectors=detectors)


@router.get("/warnings/{warning_id}")
def warning(request: Request, database: Database, warning_id: str) -> Response:
    """One warning with its reasons."""
    if (one := queries.warning(database, warning_id)) is None:
        raise HTTPException(404)
    return _page(request, database, "warning", one=one, cases=queries.cases_of(database, warning_id))


@router.get("/cases")
def cases(request: Request, database: Database, asked: AskedCases, page: Page = 1) -> Response:
    """A list of cases."""
    found = queries.cases(database, asked, page, PAGE_SIZE)
    return _page(request, database, "cases", asked=asked, found=found, page=page)


@router.get("/cases/{case_id:path}")
def case(request: Request, database: Database, case_id: str) -> Response:
    """One case: its warnings, tasks and history."""
    if (one := queries.one_case(database, case_id)) is None:
        raise HTTPException(404)
    file = case_file(one, queries.warnings_of(database, case_id), {})
    parts = page_parts(file, _policy(request), language_of(request))
    parts |= {"with_evidence": False, "link": _warning_address, "case_words": parts.pop("words")}
    return _page(request, database, "case", stub=is_stub(one), **parts)


@router.get("/book")
def book(
    request: Request,
    database: Database,
    entity: Annotated[str, Query(max_length=200)] = "",
    dimension: BookDimension = "industry",
    page: Page = 1,
) -> Response:
    """A legal entity's loan book over a dimension."""
    wholes = queries.wholes(database)
    chosen = entity or next(iter(wholes), "")
    found = queries.book(database, chosen, dimension, page, PAGE_SIZE)
    return _page(
        request,
        database,
        "book",
        wholes=wholes,
        entity=chosen,
        dimension=dimension,
        found=found,
        page=page,
    )


@router.get("/dead-letters")
def dead_letters(
    request: Request,
    database: Database,
    topic: Annotated[str, Query(max_length=200)] = "",
    waiting: bool = False,
    page: Page = 1,
) -> Response:
    """Refused messages."""
    found = queries.letters(database, topic or None, waiting, page, PAGE_SIZE)
    topics = [spec.name for spec in TOPICS.values() if spec.direction == "input"]
    return _page(request, database, "letters", found=found, page=page, topic=topic, waiting=waiting, topics=topics)


@router.get("/language/{language}")
def language(request: Request, language: Language, to: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """Choose a language, and go back to where one was."""
    # Only to a page of the desk's own: an address elsewhere would make it a helper of fraud.
    inside = to.startswith("/") and not to.startswith(("//", "/\\"))
    answer = RedirectResponse(to if inside else "/", status_code=303)
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 24 * 3600, samesite="lax", httponly=True)
    return answer


def language_of(request: Request) -> Language:
    """As chosen before, else as the browser wants it, else English."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    for known in LANGUAGES:
        if chosen == known:
            return known
    for wanted in request.headers.get("accept-language", "").split(","):
        for known in LANGUAGES:
            if wanted.strip().casefold().startswith(known):
                return known
    return "en"


def error_page(request: Request, status: int, text: str, detail: str = "") -> Response:
    """What went wrong, in the reader's language; `text` is a key of the desk's words."""
    body = _template("error").render(_common(request) | {"text": text, "detail": detail, "fresh": None})
    return HTMLResponse(body, status_code=status)


def _page(request: Request, database: Connection, name: str, **more: Any) -> Response:
    fresh = queries.freshness(database)
    stale = fresh.seen_at is None or datetime.now(UTC) - fresh.seen_at > STALE
    common = _common(request)
    # Macros see nothing of a page by themselves; `ctx` is what every page has.
    return HTMLResponse(_template(name).render(common | more | {"ctx": common, "fresh": fresh, "stale": stale}))


def _common(request: Request) -> dict[str, Any]:
    language, policy, url = language_of(request), _policy(request), request.url

    def member(line: PortfolioEntry) -> str:
        if line.dimension != "industry":
            return say(line.member, language)
        return f"{line.member} {industry_name(line.member, policy.detectors.industry_concentration.scheme, language)}"

    def page_address(number: int) -> str:
        return f"{url.path}?{url.include_query_params(page=number).query}"

    return {
        **spoken(policy, language, nothing="–"),
        "words": WORDS[language],
        "other": "zh" if language == "en" else "en",
        "here": f"{url.path}?{url.query}" if url.query else url.path,
        "path": url.path,
        "member": member,
        "of_whole": _of_whole,
        "percent": lambda share: "–" if share is None else f"{share:.2%}",
        "money": lambda amount: f"{amount:,.2f}",
        "case_address": lambda case_id: f"/cases/{quote(case_id, safe='')}",
        "warning_address": _warning_address,
        "page_address": page_address,
        "zone": policy.bank_calendar.zone.key,
        "policy": policy,
        "release": request.app.version,
        "departments": DEPARTMENTS,
        "severities": SEVERITIES,
        "modes": MODES,
        "dimensions": DIMENSIONS,
    }


def _of_whole(line: PortfolioEntry, wholes: Mapping[str, PortfolioEntry]) -> tuple[Decimal, Decimal | None]:
    """What share of its entity's book a line is, and how often it holds its net capital, both as things stand.

    A line's own figures are of the moment at which it changed last: two lines could not be compared by them.
    """
    whole = wholes.get(line.entity)
    if whole is None or whole.exposure <= 0:
        return line.share, line.to_net_capital
    capital = whole.net_capital
    return line.exposure / whole.exposure, line.exposure / capital if capital is not None and capital > 0 else None


def _warning_address(warning_id: str) -> str:
    return f"/warnings/{quote(warning_id, safe='')}"


def _policy(request: Request) -> Policy:
    policy: Policy = request.app.state.policy
    return policy


def _template(name: str) -> Template:
    return template(f"{name}.html.j2", "connectors.desk")
