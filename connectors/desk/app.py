"""The desk as an ASGI application."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from connectors.desk import api, pages
from models.policy import Policy

LOG = logging.getLogger(__name__)

# No script at all, and nothing from elsewhere: a name in a transaction is shown, and cannot do anything.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STATIC = Path(__file__).with_name("static")


class DeskMetrics(Protocol):
    """What the desk tells of itself; `connectors.metrics.Metrics` is one."""

    def request(self, route: str, status: int, seconds: float) -> None: ...

    def database(self, process: str, *, up: bool) -> None: ...


def build_desk(engine: Engine, policy: Policy, metrics: DeskMetrics, hosts: Sequence[str]) -> FastAPI:
    """The application.

    Args:
        engine: of a database that `connectors.store.versions.check` has found right; it is not disposed of.
        policy: for the bank's clock and the names of measures.
        hosts: names under which it may be called; another one in a request's Host is refused, so that no page elsewhere
            can have a reader's browser ask it.
    """
    desk = FastAPI(
        title="Liandong desk",
        summary="Warnings, cases, the loan book and refused messages, as JSON.",
        version=version("liandong"),
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    desk.state.engine, desk.state.policy = engine, policy
    desk.include_router(api.router)
    desk.include_router(pages.router)
    desk.mount("/static", StaticFiles(directory=_STATIC), name="static")

    @desk.get("/health", response_class=PlainTextResponse, tags=["API"])
    def health() -> str:
        """200 while the database answers, else 503."""
        with engine.connect() as connection:
            connection.execute(select(1))
        metrics.database("desk", up=True)
        return "well"

    @desk.middleware("http")
    async def measured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began, status = time.perf_counter(), 500
        try:
            answer = await call_next(request)
            status = answer.status_code
            for name, value in _HEADERS.items():
                answer.headers.setdefault(name, value)
            return answer
        finally:
            # By route and not by address: an address holds ids.
            route = getattr(request.scope.get("route"), "path", "other")
            metrics.request(route, status, time.perf_counter() - began)

    @desk.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if _wants_json(request):
            return JSONResponse({"detail": error.detail}, error.status_code)
        return pages.error_page(request, error.status_code, "not_found" if error.status_code == 404 else "bad_request")

    @desk.exception_handler(RequestValidationError)
    async def not_understood(request: Request, error: RequestValidationError) -> Response:
        found = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        if _wants_json(request):
            return JSONResponse({"detail": found}, 422)
        return pages.error_page(request, 422, "bad_request", "; ".join(found))

    @desk.exception_handler(OperationalError)
    async def unavailable(request: Request, error: OperationalError) -> Response:
        metrics.database("desk", up=False)
        LOG.warning("the database does not answer: %s", error.orig)
        if _wants_json(request):
            return JSONResponse({"detail": "the database does not answer"}, 503)
        return pages.error_page(request, 503, "unavailable")

    desk.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return desk


def _wants_json(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/health", "/openapi"))
