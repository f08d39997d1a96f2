"""The desk as a reader has it: a real browser goes through it, in both languages, on a wide and a narrow screen."""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from connectors.desk.app import build_desk
from connectors.desk.texts import WORDS
from connectors.metrics import Metrics
from connectors.store.engine import open_store
from models.policy import Policy
from streams.playground import free_port
from tests.response import SUBJECT
from tests.stored import EVIL, filled

CASE = f"/cases/{quote(SUBJECT + '#1', safe='')}"
PAGES = ("/", "/warnings", "/warnings/w1", "/cases", CASE, "/book", "/dead-letters", "/nowhere", "/warnings?page=x")
# 320 CSS pixels are what WCAG 2.2 asks of a page that must not scroll sideways (1.4.10).
SIZES = {"wide": (1280, 900), "narrow": (320, 800)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium must be there in CI: apt-get install chromium")
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # As root Chromium starts without its sandbox alone; it sees nothing but this test's pages.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"] * (os.getuid() == 0))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, policy: Policy) -> Iterator[str]:
    """The address of a desk over a database with something of everything in it."""
    port = free_port(0)
    with filled(tmp_path_factory.mktemp("desk")) as settings:
        engine = open_store(settings, read_only=True)
        application = build_desk(engine, policy, Metrics(), ("127.0.0.1",))
        server = uvicorn.Server(uvicorn.Config(application, port=port, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()
        engine.dispose()


class Reader:
    """A page of a browser, and what went wrong on it."""

    def __init__(self, browser: Browser, desk: str, language: str, size: str) -> None:
        width, height = SIZES[size]
        context = browser.new_context(locale=language, viewport={"width": width, "height": height}, base_url=desk)
        self.page: Page = context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))

    def close(self) -> None:
        self.page.context.close()


@pytest.fixture
def reader(browser: Browser, desk: str, request: pytest.FixtureRequest) -> Iterator[Reader]:
    made = Reader(browser, desk, *getattr(request, "param", ("en", "wide")))
    yield made
    made.close()


@pytest.mark.parametrize(
    "reader", [("en", "wide"), ("zh-CN", "wide"), ("en", "narrow"), ("zh-CN", "narrow")], indirect=True
)
def test_every_page_opens_without_complaint_and_fits_the_screen(reader: Reader) -> None:
    for address in PAGES:
        reader.page.goto(address)
        assert reader.page.locator("h1").count() == 1
        scrolls = reader.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert scrolls <= 0, address
    # A page that is not there, or not understood, is the only thing that a browser may remark on.
    assert all("status of 4" in one for one in reader.wrong), reader.wrong


def test_one_walks_from_what_is_owed_to_a_warning_and_changes_the_language(reader: Reader) -> None:
    page = reader.page
    page.goto("/")
    page.get_by_role("link", name="operations").first.click()
    expect(page).to_have_url(re.compile(r"/cases\?department=operations$"))
    page.get_by_role("link", name=f"{SUBJECT}#1").click()
    expect(page.get_by_text("The history is whole")).to_be_visible()
    page.get_by_role("link", name="w1").click()
    expect(page.get_by_text("2 transactions sum to 620000 CNY")).to_be_visible()
    assert EVIL in page.locator("table").inner_text()
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_text("合计620000 CNY。")).to_be_visible()
    page.get_by_role("link", name=f"{SUBJECT}#1").click()
    expect(page.get_by_text("经过完整")).to_be_visible()
    assert reader.wrong == []


def test_a_form_narrows_a_list_by_keyboard_alone(reader: Reader) -> None:
    page = reader.page
    page.goto("/warnings")
    page.get_by_label("Department").focus()
    page.get_by_label("Department").select_option("credit")
    page.keyboard.press("Tab")
    page.get_by_label("Subject").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label("Department")).to_have_value("credit")
    page.get_by_label("Subject").fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text(WORDS["en"]["nothing_matches"])).to_be_visible()
    assert reader.wrong == []
