"""The desk's pages and API: what they show, in both languages, and what they refuse."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import Engine, text

from connectors.desk.app import build_desk
from connectors.desk.texts import WORDS
from connectors.metrics import Metrics
from connectors.settings import Settings
from connectors.store.engine import open_store
from connectors.store.versions import upgrade
from models.policy import Policy
from tests.response import SUBJECT
from tests.stored import EVIL, fill, line, put

PAGES = ("/", "/warnings", "/warnings/w1", "/cases", f"/cases/{quote(SUBJECT + '#1')}", "/book", "/dead-letters")
ODD = "customer:a/b %?&客户"


class Visitor:
    """A browser at a desk."""

    def __init__(self, engine: Engine, policy: Policy) -> None:
        self.engine, self.metrics = engine, Metrics()
        self.desk: FastAPI = build_desk(engine, policy, self.metrics, ("desk.bank.example",))
        self.client = TestClient(self.desk, base_url="http://desk.bank.example", follow_redirects=False)

    def get(self, address: str, language: str = "en", status: int = 200, **headers: str) -> Response:
        answer = self.client.get(address, headers={"Accept-Language": language, **headers})
        assert answer.status_code == status, answer.text
        return answer

    def requests(self, route: str, status: str) -> float:
        labels = {"route": route, "status": status}
        return self.metrics.registry.get_sample_value("liandong_desk_request_seconds_count", labels) or 0


@pytest.fixture
def empty(tmp_path: Path, policy: Policy) -> Iterator[Visitor]:
    settings = Settings(database=f"sqlite:///{tmp_path}/desk.db")
    writer = open_store(settings)
    upgrade(writer)
    writer.dispose()
    engine = open_store(settings, read_only=True)
    yield Visitor(engine, policy)
    engine.dispose()


@pytest.fixture
def visitor(empty: Visitor) -> Visitor:
    writer = open_store(Settings(database=str(empty.engine.url)))
    fill(writer)
    writer.dispose()
    return empty


# ------------------------------------------------------------------- pages


def test_every_word_is_there_in_both_languages() -> None:
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    assert all(WORDS["zh"].values())


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_whole_and_does_nothing_that_a_name_says(visitor: Visitor, page: str, language: str) -> None:
    answer = visitor.get(page, language)
    assert f'lang="{ {"en": "en", "zh": "zh-CN"}[language] }"' in answer.text
    assert WORDS[language]["zone"] in unescape(answer.text)
    assert answer.text.rstrip().endswith("</html>")
    assert "<script" not in answer.text
    assert "script" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_overview_says_what_departments_owe_and_what_is_gravest(visitor: Visitor) -> None:
    page = visitor.get("/").text
    assert "3 records are still to come" in page
    assert page.index(f"{SUBJECT}#1") < page.index("industry:B1:K#1")
    assert "customer:C9" in page
    for words in ("operations", "credit", "risk", "75.00%", "control", "150.00%", "confidential"):
        assert words in page
    assert 'http-equiv="refresh"' in page


def test_empty_pages_say_so_and_what_to_do(empty: Visitor) -> None:
    assert "start `liandong project`" in empty.get("/").text
    for page in ("/warnings", "/cases", "/dead-letters"):
        assert WORDS["en"]["nothing_matches"] in empty.get(page).text
    assert WORDS["en"]["nothing"] in empty.get("/book").text


def test_a_projector_that_has_gone_quiet_is_told_on_every_page(empty: Visitor) -> None:
    writer = open_store(Settings(database=str(empty.engine.url)))
    fill(writer, seen_at=datetime.now(UTC) - timedelta(minutes=2))
    writer.dispose()
    for page in PAGES:
        assert WORDS["en"]["stale"] in empty.get(page).text
        assert WORDS["zh"]["stale_more"] in empty.get(page, "zh-CN,zh;q=0.9").text


def test_lists_are_narrowed_by_what_is_asked_for(visitor: Visitor) -> None:
    for query, there in (
        ("", 4),
        ("?department=credit", 1),
        ("?severity=critical", 1),
        ("?detector=industry_concentration&severity=", 1),
        ("?mode=shadow", 1),
        (f"?subject={quote(ODD)}", 1),
        ("?subject=nobody", 0),
    ):
        assert visitor.get(f"/warnings{query}").text.count('<td class="id">') == there, query
    for query, there in (
        ("", 3),
        ("?state=resolved", 1),
        ("?state=all", 4),
        ("?department=credit", 1),
        ("?overdue=true", 2),
        ("?mode=drill", 0),
    ):
        assert visitor.get(f"/cases{query}").text.count('<td class="id">') == there, query
    assert visitor.get("/dead-letters").text.count('<td class="id">transactions/') == 2
    assert visitor.get("/dead-letters?waiting=true").text.count('<td class="id">transactions/') == 1


def test_a_warning_shows_its_reasons_and_leads_to_its_case_and_back(visitor: Visitor) -> None:
    page = visitor.get("/warnings/w3", "zh").text
    for words in ("合计620000 CNY。", "620000", "500000", "协助调查客户交易", "e1"):
        assert words in page
    address = f"/cases/{quote(ODD + '#1', safe='')}"
    assert f'href="{address}"' in page
    case = visitor.get(address).text
    assert 'href="/warnings/w3"' in case
    assert "The history is whole" in case
    assert "completed" in case


def test_a_confidential_case_shows_no_more_than_that_it_is_there(visitor: Visitor) -> None:
    page = visitor.get(f"/cases/{quote('customer:C9#1', safe='')}").text
    assert WORDS["en"]["confidential"] in page
    for words in ("History", "w4", "operations"):
        assert words not in page


def test_shares_are_of_the_book_as_it_stands(visitor: Visitor) -> None:
    page = visitor.get("/book").text
    assert page.index("K Real estate") < page.index("A Agriculture")
    for words in ("75.00%", "25.00%", "200.00%", "0.5000"):
        assert words in page
    assert "房地产业" in visitor.get("/book?entity=B1&dimension=industry", "zh").text
    assert WORDS["en"]["nothing_matches"] in visitor.get("/book?entity=B2").text


def test_pages_of_a_list_lead_to_each_other(empty: Visitor) -> None:
    writer = open_store(Settings(database=str(empty.engine.url)))
    with writer.begin() as connection:
        lines = [line(str(1000 - n), dimension="borrower", member=f"b{n:03}") for n in range(120)]
        put(connection, "portfolio", *lines, line("1", dimension="entity", member="B1"))
    writer.dispose()
    first = empty.get("/book?dimension=borrower").text
    assert '<a href="/book?dimension=borrower&amp;page=2" rel="next">' in first
    assert 'rel="prev"' not in first
    last = empty.get("/book?dimension=borrower&page=3").text
    assert ("b119" in last, "b099" in last, 'rel="next"' in last) == (True, False, False)
    assert '<a href="/book?dimension=borrower&amp;page=2" rel="prev">' in last


def test_the_language_is_kept_and_one_comes_back_to_where_one_was(visitor: Visitor) -> None:
    page = visitor.get("/warnings?severity=critical").text
    assert 'href="/language/zh?to=/warnings%3Fseverity%3Dcritical"' in page
    answer = visitor.get("/language/zh?to=/warnings%3Fseverity%3Dcritical", status=303)
    assert answer.headers["location"] == "/warnings?severity=critical"
    assert WORDS["zh"]["overview"] in visitor.get("/").text
    for elsewhere in ("https://evil.example", "//evil.example", "/\\evil.example"):
        assert visitor.get(f"/language/en?to={quote(elsewhere)}", status=303).headers["location"] == "/"
    visitor.get("/language/fr", status=422)


# ------------------------------------------------------------------- the API


def test_the_api_gives_messages_as_they_are_on_their_topics(visitor: Visitor) -> None:
    told = visitor.get("/api/warnings?size=2").json()
    assert len(told["warnings"]) == 2
    assert told["more"] is True
    one = visitor.get("/api/warnings/w1").json()
    assert one["reasons"][0]["text_en"].endswith(f"{EVIL}.")
    case = visitor.get(f"/api/cases/{quote(ODD + '#1', safe='')}").json()
    assert (case["subject"], case["state"]) == (ODD, "resolved")
    lines = visitor.get("/api/portfolio?entity=B1").json()["lines"]
    assert [one["exposure"] for one in lines] == ["75", "25"]
    letters = visitor.get("/api/dead-letters?waiting=true").json()["dead_letters"]
    assert [one["letter"]["dead_letter_id"] for one in letters] == ["transactions/0/2"]
    summary = visitor.get("/api/summary").json()
    assert summary["open_cases"] == 3
    assert summary["freshness"]["waiting"] == 3
    assert {one["department"] for one in summary["owing"]} == {"operations", "risk", "credit"}


def test_every_way_of_the_api_is_described(visitor: Visitor) -> None:
    described = visitor.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/api/summary",
        "/api/warnings",
        "/api/warnings/{warning_id}",
        "/api/cases",
        "/api/cases/{case_id}",
        "/api/portfolio",
        "/api/dead-letters",
        "/health",
    }
    assert all(way["get"]["description"] for way in described["paths"].values())


# ------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("/warnings?page=0", "page"),
        ("/warnings?severity=dire", "severity"),
        ("/cases?state=lost", "state"),
        ("/book?dimension=colour", "dimension"),
        ("/api/warnings?size=100000", "size"),
        ("/api/portfolio", "entity"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(visitor: Visitor, address: str, named: str) -> None:
    answer = visitor.get(address, status=422)
    assert f"{named}: " in answer.text
    assert answer.headers["content-type"].startswith("application/json" if "/api/" in address else "text/html")


def test_what_is_not_there_is_said_in_the_readers_language(visitor: Visitor) -> None:
    for address in ("/warnings/none", "/cases/none", "/none"):
        assert WORDS["zh"]["not_found"] in visitor.get(address, "zh", status=404).text
    assert visitor.get("/api/cases/none", status=404).json() == {"detail": "there is none of this id"}
    visitor.get("/static/../app.py", status=404)


def test_another_name_than_the_desks_is_not_answered(visitor: Visitor) -> None:
    assert visitor.get("/", status=400, Host="rebound.evil.example").text == "Invalid host header"


def test_nothing_can_be_written(visitor: Visitor) -> None:
    for address in (*PAGES, "/api/warnings", "/health"):
        assert visitor.client.post(address).status_code == 405
    described = visitor.get("/openapi.json").json()["paths"]
    assert {method for way in described.values() for method in way} == {"get"}


def test_while_the_database_does_not_answer_it_says_so_and_is_not_well(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert visitor.get("/health").text == "well"

    def up() -> Any:
        return visitor.metrics.registry.get_sample_value("liandong_database_up", {"process": "desk"})

    assert up() == 1
    with open_store(Settings(database=str(visitor.engine.url))).begin() as connection:
        connection.execute(text("ALTER TABLE warnings RENAME TO gone"))
    assert WORDS["en"]["unavailable"] in visitor.get("/warnings", status=503).text
    assert visitor.get("/api/warnings", status=503).json() == {"detail": "the database does not answer"}
    assert up() == 0
    assert visitor.requests("/warnings", "5xx") == 1


def test_requests_are_timed_by_route_and_no_id_is_a_label(visitor: Visitor) -> None:
    visitor.get("/warnings/w1")
    visitor.get("/warnings/w2")
    visitor.get("/cases/none", status=404)
    visitor.get("/anything-at-all", status=404)
    assert visitor.requests("/warnings/{warning_id}", "2xx") == 2
    assert visitor.requests("/cases/{case_id:path}", "4xx") == 1
    assert visitor.requests("other", "4xx") == 1
