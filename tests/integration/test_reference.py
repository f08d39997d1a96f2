"""Policy, rates, watch list and mutes over a real broker: proposed, approved, taken by a running worker, no restart."""

import time
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from connectors.admin import ensure_topics
from connectors.records import TopicReader
from connectors.settings import Settings
from connectors.writer import EventWriter
from models.events import Counterparty
from models.policy import parse_policy
from models.reference import Mute, Rate
from models.risk_warning import RiskWarning
from streams.cli import app
from streams.playground import WorkerProcess
from streams.wiring import changelog_topics
from tests.conftest import broker_of
from tests.data import ROOT
from tests.make import CN, transaction

if TYPE_CHECKING:
    from connectors.broker import RunningBroker

FILE = ROOT / "deploy" / "policy" / "cn.toml"
TEXT = FILE.read_text(encoding="utf-8")
PATIENCE = 60.0
TODAY = datetime.now(CN).date()


def back(days: int) -> date:
    return TODAY - timedelta(days=days)


def on(days: int, hour: int = 10) -> datetime:
    """An hour some days ago in the bank's zone."""
    day = back(days)
    return datetime(day.year, day.month, day.day, hour, tzinfo=CN)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator["RunningBroker"]:
    """One of this module's own: the reference topics have fixed names, and a version once approved stays."""
    yield from broker_of("kafka", tmp_path_factory.mktemp("kafka"))


@pytest.fixture(scope="module")
def settings(broker: "RunningBroker") -> Settings:
    made = Settings(bootstrap=(broker.bootstrap,), policy=FILE, session_timeout_seconds=6.0)
    ensure_topics(made, changelog_topics(made))
    return made


class Live:
    """A worker, what is sent to it, and what comes of it."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        self.worker = self.start()
        self.sent = 0

    def start(self, policy: Path = FILE) -> WorkerProcess:
        name = f"worker-{time.monotonic_ns()}.log"
        worker = WorkerProcess(msgspec.structs.replace(self.settings, policy=policy), self.folder / name)
        if policy == FILE:
            worker.wait_ready()
        return worker

    def send(self, topic: str, *events: Any) -> None:
        with EventWriter(self.settings) as writer:
            for event in events:
                writer.write(topic, event)

    def pay(self, customer: str, when: datetime, amount: str, **fields: Any) -> str:
        """Cash in of a customer; the event's id."""
        self.sent += 1
        values = {"method": "cash", "direction": "in", "payee": None, "customer_id": customer} | fields
        event = transaction(f"{customer}-{self.sent}", when, amount, **values)
        self.send("transactions", event)
        return event.event_id

    def read(self, topic: str) -> list[Any]:
        with TopicReader(self.settings) as reader:
            return [event for _, event in reader.events(topic)]

    def warnings(self, customer: str, topic: str = "warnings") -> list[RiskWarning]:
        return [one for one in self.read(topic) if one.subject == f"customer:{customer}"]

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            self.worker.check()
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s\n{self.log()}"
            time.sleep(0.2)
        return found

    def log(self) -> str:
        return self.worker.log.read_text()

    def wait_log(self, text: str) -> None:
        self.wait(lambda: text in self.log(), text)


@pytest.fixture(scope="module")
def live(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    one = Live(settings, tmp_path_factory.mktemp("live"))
    try:
        yield one
    finally:
        one.worker.stop()


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command, in this process; text output unfolded."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP", settings.bootstrap[0])
    monkeypatch.setenv("LIANDONG_POLICY", str(FILE))

    def invoke(*args: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        assert result.exit_code == code, result.output
        return result

    return invoke


def version(folder: Path, name: str, first: date, *changes: tuple[str, str]) -> Path:
    """The default policy under another name, from another day on, in a file."""
    text = TEXT.replace('version = "cn-2026.1"', f'version = "{name}"')
    for old, new in (("2026-01-01T00:00:00", f"{first}T00:00:00"), *changes):
        assert old in text
        text = text.replace(old, new)
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return file


LOWER_CASH = ('cash = { amounts = { CNY = "50000"', 'cash = { amounts = { CNY = "40000"')


def test_a_version_is_proposed_approved_and_judges_from_its_day_on(
    live: Live, run: Callable[..., Result], tmp_path: Path
) -> None:
    file = version(tmp_path, "cn-live", back(3), LOWER_CASH)
    assert "--retroactive" in run("policy", "propose", file, "--reason", "less cash", code=1).output
    proposed = run("policy", "propose", file, "--reason", "less cash", "--retroactive").output
    assert "liandong policy approve cn-live --as head-of-risk" in proposed
    live.pay("V1", on(4), "60000")
    live.pay("V1", on(4, 11), "45000", account_id="A2")
    live.wait(lambda: live.warnings("V1"), "a warning by the first version")
    approved = run("policy", "approve", "cn-live", "--as", "head-of-risk", "--retroactive", "--yes").output
    assert "detectors.large_transaction.cash.amounts.CNY" in approved
    assert "liandong reevaluate" in approved
    live.wait_log(f"policy cn-live holds from {back(3)}; events already judged are not judged again")
    live.wait_log("policy cn-live is in force")
    live.pay("V2", on(4), "45000")
    live.pay("V2", on(3), "45000")
    live.pay("V2", on(3, 0) - timedelta(microseconds=1), "4900")  # late, and of the day before: 49,900 in all
    (warning,) = live.wait(lambda: live.warnings("V2"), "a warning by the second version")
    assert (warning.detector, warning.policy_version, warning.event_ids) == ("large_transaction", "cn-live", ("V2-4",))
    assert {one.policy_version for one in live.warnings("V1")} == {"cn-2026.1"}
    listed = msgspec.json.decode(run("policy", "list", "--format", "json").stdout)["rows"]
    assert [(one["version"], one["state"], one["in_force"]) for one in listed] == [
        ("cn-2026.1", "file", False),
        ("cn-live", "approved", True),
    ]


def test_a_rate_opens_a_currency_from_its_day_on(live: Live, run: Callable[..., Result]) -> None:
    refused = live.pay("R1", on(3), "100000", currency="SEK")
    live.wait(lambda: any(refused in str(letter.source_key or "") or letter.source_key == "R1"
                          for letter in live.read("dead-letters")), "no rate yet")  # fmt: skip
    run("rates", "put", "sek", "0.75", "--from", back(2), "--source", "treasury")
    live.wait_log(f"rate SEK 0.75 holds from {back(2)}")
    live.pay("R1", on(3, 11), "100000", currency="SEK")
    taken = live.pay("R1", on(2), "100000", currency="SEK")
    (warning,) = live.wait(lambda: live.warnings("R1"), "a warning in crowns")
    assert warning.event_ids == (taken,)
    assert [one.reason for one in live.read("dead-letters") if one.source_key == "R1"] == ["no_rate", "no_rate"]


def test_an_entry_of_the_watch_list_takes_effect(live: Live, run: Callable[..., Result]) -> None:
    run(
        "watch-list",
        "add",
        "--kind",
        "name",
        "--value",
        "Ivan Petrov",
        "--source",
        "UN",
        "--from",
        back(2),
        "--id",
        "w1",
    )
    live.wait_log(f"watch-list entry w1 holds from {back(2)}")
    party = Counterparty(name="Иван Петров", account_id="X1")
    for days in (3, 2):
        live.pay("W1", on(days), "100", method="transfer", direction="out", counterparty=party)
    (warning,) = live.wait(lambda: live.warnings("W1"), "a warning of the watch list")
    assert (warning.detector, warning.event_ids) == ("suspicious_counterparty", (f"W1-{live.sent}",))
    tried = run("watch-list", "try", "PETROV Ivan").output
    assert "matches w1" in tried
    assert "matches nobody" in run("watch-list", "try", "Zhang Wei").output
    run("watch-list", "end", "w1", "--on", back(1))
    live.wait_log(f"watch-list entry w1 holds from {back(2)} until {back(1)}")
    assert run("watch-list", "list", "--on", back(1)).output.strip() == f"nobody is on the list on {back(1)}"


def test_what_came_late_is_told_once_history_is_judged_again(live: Live, run: Callable[..., Result]) -> None:
    paid = live.pay("E1", on(2), "100", method="transfer", direction="out", payee="X7")
    large = live.pay("E1", on(2), "60000")
    live.wait(lambda: live.warnings("E1"), "the large one")
    run(*"watch-list add --kind account --value X7 --source UN --id w7 --from".split(), back(3))
    live.wait_log(f"watch-list entry w7 holds from {back(3)}; events already judged are not judged again")
    tried = msgspec.json.decode(run("reevaluate", "--dry-run", "--format", "json").stdout)
    assert (tried["sent"], tried["detectors"]["suspicious_counterparty"]["new"]) == (0, 1)
    assert "marked late" in run("reevaluate").output
    known = live.wait(lambda: len(found := live.warnings("E1")) == 2 and found, "the listed payee")
    assert [(one.detector, one.event_ids, one.late, one.notify) for one in known] == [
        ("large_transaction", (large,), False, True),
        ("suspicious_counterparty", (paid,), True, True),
    ]
    again = msgspec.json.decode(run("reevaluate", "--format", "json").stdout)
    assert (again["sent"], again["warnings"]) == (0, [])


def test_a_muted_warning_is_recorded_and_told_to_nobody(live: Live) -> None:
    mute = Mute(
        mute_id="m1",
        subject="customer:M1",
        detector="large_transaction",
        starts_at=on(5, 0),
        ends_at=on(2, 0),
        up_to="low",
        reason="a shop's takings",
        proposed_by="ling",
        proposed_at=on(6),
        approved_by="wang",
        approved_at=on(6),
    )
    live.send("mutes", mute)
    live.wait_log("mute m1 of large_transaction (approved) holds from")
    live.pay("M1", on(3), "60000")
    live.pay("M1", on(2), "60000")
    muted, told = live.wait(lambda: len(found := live.warnings("M1")) == 2 and found, "both warnings")
    assert (muted.muted_by, muted.notify, told.muted_by, told.notify) == ("m1", False, None, True)
    cases = live.wait(lambda: [one for one in live.read("cases") if one.case_id.startswith("customer:M1#")], "a case")
    assert {ref.warning_id for case in cases for ref in case.warnings} == {told.warning_id}
    assert [one.warning_id for one in live.warnings("M1", "warnings.operations")] == [told.warning_id]


def test_what_must_not_be_used_becomes_a_dead_letter_and_the_worker_lives_on(live: Live) -> None:
    live.send("rates", Rate(currency="CNY", as_of=back(2), rate=Decimal(2), source="a slip"))
    with EventWriter(live.settings) as writer:
        writer.write_bytes("mutes", b"m9", b"no mute")

    def letters() -> dict[str, Any]:
        return {one.source_topic: one for one in live.read("dead-letters") if one.source_topic in ("rates", "mutes")}

    found = live.wait(lambda: len(letters()) == 2 and letters(), "two dead letters")
    assert (found["rates"].reason, found["rates"].field) == ("bad_rate", "currency")
    assert "CNY, which is money.base" in found["rates"].detail
    assert found["mutes"].reason == "not_json"
    rate = found["rates"]
    assert rate.dead_letter_id == f"rates/{rate.source_partition}/{rate.source_offset}"
    live.pay("L1", on(2), "60000")
    live.wait(lambda: live.warnings("L1"), "the worker goes on")


def test_a_restart_loads_all_again_and_another_text_of_a_version_stops_a_worker(live: Live, tmp_path: Path) -> None:
    assert live.worker.stop() == 0
    before = {one.dead_letter_id: one for one in live.read("dead-letters")}
    live.worker = live.start()
    assert f"policy cn-live holds from {back(3)}" in live.log()
    live.pay("N1", on(3), "45000")
    live.pay("N1", on(2), "100000", currency="SEK")
    found = live.wait(lambda: len(found := live.warnings("N1")) == 2 and found, "warnings after the restart")
    assert {one.policy_version for one in found} == {"cn-live"}
    live.wait_log("is refused: bad_rate")
    assert {one.dead_letter_id: one for one in live.read("dead-letters")} == before  # the very same letters

    other = live.start(version(tmp_path, "cn-live", back(3)))
    assert other.process.wait(timeout=PATIENCE) == 1
    said = " ".join(other.log.read_text().split())
    assert "policy cn-live on the topic has other figures than the cn-live in use here" in said
    assert "liandong policy show cn-live --toml" in said

    (approved,) = (one for one in live.read("policy") if one.key == "cn@cn-live" and one.state == "approved")
    withdrawn = msgspec.structs.replace(
        approved, approved_by=None, approved_at=None, rejected_by="head-of-risk", rejected_at=on(0, 0)
    )
    live.send("policy", withdrawn)  # as no command would write it
    assert live.worker.process.wait(timeout=PATIENCE) == 1
    assert "policy cn-live was approved and is rejected now: start all workers again" in live.log()


def test_a_version_goes_through_two_pairs_of_eyes(run: Callable[..., Result], tmp_path: Path) -> None:
    soon = TODAY + timedelta(days=30)
    file = version(tmp_path, "cn-next", soon, LOWER_CASH)
    run("policy", "check", file)
    run("policy", "propose", file, "--reason", "first try")
    run("policy", "propose", file, "--reason", "second try")  # the same proposer may
    (tmp_path / "other").mkdir()
    other = version(tmp_path / "other", "cn-next", soon, ('"risk-policy-officer"', '"somebody-else"'))
    assert "may not replace" in run("policy", "propose", other, "--reason", "mine", code=1).output
    assert "the approver it names is head-of-risk" in run(
        "policy", "approve", "cn-next", "--as", "Risk-Policy-Officer ", "--yes", code=1
    ).output.replace("\n", " ")
    assert "names head-of-risk as its approver, not zhao" in run(
        "policy", "approve", "cn-next", "--as", "zhao", "--yes", code=1
    ).output.replace("\n", " ")
    assert "did you mean cn-next?" in run("policy", "approve", "cn-nxt", "--as", "zhao", code=1).output
    run("policy", "reject", "cn-next", "--as", "head-of-risk", "--reason", "too low")
    assert "was rejected by head-of-risk" in run("policy", "approve", "cn-next", "--as", "head-of-risk", code=1).output
    run("policy", "propose", file, "--reason", "third try")
    asked = CliRunner().invoke(app, ["policy", "approve", "cn-next", "--as", "head-of-risk"], input="n\n")
    assert asked.exit_code == 1
    shown = msgspec.json.decode(run("policy", "show", "cn-next", "--format", "json").stdout)
    assert (shown["version"], shown["state"]) == ("cn-next", "proposed")
    run("policy", "approve", "cn-next", "--as", "head-of-risk", "--yes")
    assert "was approved by head-of-risk" in run(
        "policy", "reject", "cn-next", "--as", "head-of-risk", "--reason", "oh", code=1
    ).output.replace("\n", " ")
    assert "immutable" in run("policy", "propose", file, "--reason", "again", code=1).output
    text = run("policy", "show", "cn-next", "--toml").stdout
    assert parse_policy(text) == parse_policy(file.read_text(encoding="utf-8"))
    lines = msgspec.json.decode(run("policy", "diff", "cn-2026.1", "cn-next", "--format", "json").stdout)["differences"]
    assert {
        "figure": "detectors.large_transaction.cash.amounts.CNY",
        "old": "50000",
        "new": "40000",
        "unit": "CNY",
    } in lines
    same_day = version(tmp_path, "cn-rival", soon, ("Asia/Shanghai", "Asia/Hong_Kong"))
    checked = run("policy", "check", same_day, code=1).output
    assert "cn-next and cn-rival hold from the same instant" in checked
    assert "cn-rival has calendar.timezone Asia/Hong_Kong" in checked


def test_rates_and_entries_are_imported_whole_or_not_at_all(run: Callable[..., Result], tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("currency,as_of,rate,source\nNOK,2026-03-02,0.70,bank\nDKK,2 March,1.05,bank\nXQX,2026-03-02,1,b\n"
                     "CNY,2026-03-02,1,bank\nNOK,2026-03-02,0.71,bank\nNOK,2026-03-03,1_0,bank\n")  # fmt: skip
    said = run("rates", "import", rates, code=1).output
    assert "nothing was sent; wrong lines: 5" in said
    for line in ("line 3: as_of", "line 4: currency", "line 5: currency: CNY is the policy's", "line 6: NOK@",
                 "line 7: rate"):  # fmt: skip
        assert line in said
    assert "no rates of NOK" in run("rates", "list", "NOK").output
    rates.write_text("currency,as_of,rate,source\nNOK,2026-03-02,0.70,bank\nNOK,2026-03-03,0.71,bank\n")
    assert "rates written: 2" in run("rates", "import", rates).output
    rows = msgspec.json.decode(run("rates", "list", "NOK", "--format", "json").stdout)["rows"]
    assert [(row["as_of"], row["rate"], row["holds"]) for row in rows] == [
        ("2026-03-02", "0.70", False),
        ("2026-03-03", "0.71", True),
    ]
    entries = tmp_path / "entries.csv"
    entries.write_text("entry_id,kind,value,source,valid_from,valid_until\ni1,country,KP,UN,2026-01-01,\n")
    assert "entries written: 1" in run("watch-list", "import", entries).output
    assert "as they stood already: 1" in run("watch-list", "import", entries).output
    wrong = run("watch-list", "end", "i1", "--on", "2025-12-31", code=1).output
    assert "end it on 2026-01-02 or later" in wrong


def test_a_mute_goes_through_two_pairs_of_eyes_and_so_does_its_lifting(run: Callable[..., Result]) -> None:
    def propose(rule: str = "structuring", until: date = TODAY + timedelta(days=30), code: int = 0) -> Result:
        what = ("--subject", "customer:CLI", "--rule", rule, "--until", until, "--up-to", "medium")
        return run("mute", "propose", *what, "--reason", "known", "--as", "ling", "--format", "json", code=code)

    assert "did you mean structuring?" in propose("structurin", code=1).output
    assert "more than a year ahead" in propose(until=TODAY + timedelta(days=400), code=1).output
    assert "is over already" in propose(until=TODAY - timedelta(days=1), code=1).output
    mute_id = msgspec.json.decode(propose().stdout)["mute_id"]

    def state() -> str:
        rows = msgspec.json.decode(run("mute", "list", "--all", "--format", "json").stdout)["rows"]
        return str(next(row["state"] for row in rows if row["mute_id"] == mute_id))

    assert state() == "proposed"
    assert "mutes nothing" in run("mute", "lift", mute_id, "--as", "wang", code=1).output
    assert "somebody else must agree" in run("mute", "approve", mute_id, "--as", "Ling", code=1).output
    run("mute", "approve", mute_id, "--as", "wang")
    assert state() == "holds"
    assert "was approved by wang" in run("mute", "approve", mute_id, "--as", "zhao", code=1).output
    run("mute", "lift", mute_id, "--as", "wang")
    assert state() == "holds, lifting proposed"
    assert "somebody else must agree" in run("mute", "lift", mute_id, "--as", "wang", code=1).output
    run("mute", "lift", mute_id, "--as", "ling")
    assert state() == "lifted"
    assert "was lifted by ling" in run("mute", "lift", mute_id, "--as", "zhao", code=1).output
