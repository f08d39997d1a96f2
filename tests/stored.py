"""A database with something of everything in it, for the tests of the desk."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection, Engine

from connectors.codec import encode
from connectors.settings import Settings
from connectors.store.engine import open_store
from connectors.store.projection import project, upsert
from connectors.store.tables import HEARTBEAT, PROGRESS
from connectors.store.versions import upgrade
from models.dead_letter import DeadLetter, Redrive
from models.messages import PortfolioEntry
from models.response.confidential import stub
from tests.response import HOUR, MONDAY, REASON, Desk, action, on_industry, warning

EVIL = "<script>alert(1)</script>"
SPOILT = replace(REASON, text_en=f"2 transactions sum to 620000 CNY {EVIL}.")


def put(connection: Connection, topic: str, *messages: Any) -> int:
    """Write messages as they stand on a topic."""
    return project(connection, topic, [(one, encode(topic, one)[0].decode()) for one in messages])


def line(exposure: str, at: datetime = MONDAY, **fields: Any) -> PortfolioEntry:
    """A line of B1's book on industry K."""
    values: dict[str, Any] = dict.fromkeys(("limit", "level", "hhi", "effective_number", "cr4", "net_capital"))
    values |= {"entity": "B1", "dimension": "industry", "member": "K", "currency": "CNY", "loans": 1}
    values |= {"total": Decimal("1e30"), "share": Decimal("0.1"), "as_of": at, "policy_version": "cn-2026.1"}
    return PortfolioEntry(exposure=Decimal(exposure), **values | fields)


def letter(offset: int = 7, **fields: Any) -> DeadLetter:
    """A refused transaction."""
    values: dict[str, Any] = {"reason": "missing", "field": "amount", "detail": "amount is required", "raw": None}
    return DeadLetter(
        dead_letter_id=f"transactions/0/{offset}",
        source_topic="transactions",
        source_partition=0,
        source_offset=offset,
        source_key="C1",
        refused_at=MONDAY + offset * HOUR,
        **values | fields,
    )


def fill(engine: Engine, seen_at: datetime | None = None) -> None:
    """Two cases that are open, one that is over and one that is confidential; a book; two dead letters."""
    desk = Desk()
    told = [
        warning(reasons=(SPOILT,), departments=("operations", "risk"), severity="critical"),
        on_industry(warning_id="w2", reasons=(SPOILT,), severity="high"),
        warning(warning_id="w3", subject="customer:a/b %?&客户", reasons=(SPOILT,)),
        warning(warning_id="w4", subject="customer:C9", reasons=(SPOILT,)),
    ]
    desk.take(*told)
    desk.take(action("comment", MONDAY + HOUR, note=EVIL))
    for kind, hours in (("acknowledge", 1), ("start", 2), ("complete", 3)):
        desk.take(action(kind, MONDAY + hours * HOUR, case_id="customer:a/b %?&客户#1"))
    desk.tick(MONDAY + timedelta(days=2))
    cases = dict(desk.cases)
    hidden = cases["customer:C9#1"]
    cases["customer:C9#1"] = stub(replace(hidden, confidential=True, revision=hidden.revision + 1))
    sent = Redrive(
        dead_letter_id="transactions/0/1", state="sent", by="li", at=MONDAY, repaired=True, topic="transactions"
    )
    whole: dict[str, Any] = {"dimension": "entity", "member": "B1", "hhi": Decimal("0.5"), "net_capital": Decimal(50)}
    whole["to_net_capital"] = Decimal(2)
    with engine.begin() as connection:
        put(connection, "warnings", *told, warning(warning_id="s1", mode="shadow", reasons=(SPOILT,)))
        put(connection, "cases", *cases.values())
        lines = [line("75", level="control"), line("25", member="A"), line("100", loans=2, **whole)]
        put(connection, "portfolio", *lines)
        put(connection, "dead-letters", letter(1), letter(2, detail=EVIL))
        put(connection, "redrives", sent)
        now = seen_at or datetime.now(UTC)
        upsert(connection, HEARTBEAT, [{"process": "projector", "seen_at": now, "waiting": 3}], "seen_at")
        place = {"topic": "warnings", "partition": 0, "topic_id": None, "next_offset": 9, "stamped_at": MONDAY}
        upsert(connection, PROGRESS, [place], "next_offset")


@contextmanager
def filled(folder: Path) -> Iterator[Settings]:
    """Settings that name such a database."""
    settings = Settings(database=f"sqlite:///{folder}/desk.db", data_dir=folder)
    engine = open_store(settings)
    upgrade(engine)
    fill(engine)
    engine.dispose()
    yield settings
