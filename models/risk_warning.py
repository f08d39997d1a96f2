"""RiskWarning: what the pipeline tells the departments, with the reasons anyone can recompute.

`Finding` is what a detector sees (pure, without identity or clock); `models.episodes` turns findings into
RiskWarnings that keep one id through an episode.
"""

import hashlib
from datetime import datetime
from typing import Literal

from msgspec import Struct

SEVERITIES = ("low", "medium", "high", "critical")
Severity = Literal["low", "medium", "high", "critical"]
Department = Literal["operations", "credit", "risk", "it", "clearing", "product"]
Mode = Literal["live", "shadow", "drill"]


def severity_rank(severity: Severity) -> int:
    """0 for low up to 3 for critical."""
    return SEVERITIES.index(severity)


def raised(severity: Severity, steps: int = 1) -> Severity:
    """The severity some steps up, at most critical."""
    return SEVERITIES[min(severity_rank(severity) + steps, len(SEVERITIES) - 1)]  # type: ignore[return-value]


class Reason(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact behind a warning. `observed` and `threshold` are exact decimals or counts as text."""

    code: str
    observed: str
    threshold: str
    unit: str  # a currency code, "transactions", "days", "share" ...
    text_zh: str
    text_en: str

    def text(self, language: Literal["zh", "en"]) -> str:
        """The fact in words."""
        return self.text_zh if language == "zh" else self.text_en


class Window(Struct, frozen=True):
    """The stretch of event time that was judged: (start, end]; a day window starts at its midnight."""

    start: datetime
    end: datetime


class Finding(Struct, frozen=True, kw_only=True):
    """A condition that holds, as one detector sees it after one event.

    Args:
        subject: e.g. `customer:C42`, `industry:BANK1:K`, `branch:0731`.
        anchor: what names the episode within detector and subject, e.g. `cash|in|2026-03-02`.
        severity: how grave.
        departments: who must act, in order.
        reasons: at least one.
        event_ids: the events behind it, oldest first, at most `MAX_EVIDENCE` of them.
        event_count: how many there are in all.
        window: what was judged.
        measures: what the departments should do (codes of the policy's measures).
        event_time: of the event that made it so.
        disproves: id of the case whose measure it shows not to be kept.
    """

    subject: str
    anchor: str
    severity: Severity
    departments: tuple[Department, ...]
    reasons: tuple[Reason, ...]
    event_ids: tuple[str, ...]
    event_count: int
    window: Window
    measures: tuple[str, ...]
    event_time: datetime
    disproves: str | None = None


# Enough to recompute by hand; a payroll of 10,000 payments a day must not make a warning of a megabyte.
MAX_EVIDENCE = 500


class RiskWarning(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Topic `warnings`, key `subject`; the department's copy on `warnings.<department>`."""

    warning_id: str
    revision: int
    detector: str
    detector_version: int
    policy_version: str
    mode: Mode
    severity: Severity
    subject: str
    departments: tuple[Department, ...]
    reasons: tuple[Reason, ...]
    event_ids: tuple[str, ...]
    event_count: int
    window: Window
    measures: tuple[str, ...]
    event_time: datetime
    detected_at: datetime
    late: bool = False
    notify: bool = False  # a department's copy goes out: new, graver, or the policy's interval is over
    muted_by: str | None = None  # the mute because of which nobody is told of this revision
    disproves: str | None = None  # id of the case whose measure it shows not to be kept: it is opened again

    @property
    def key(self) -> str:
        return self.subject


def warning_id(detector: str, version: int, subject: str, anchor: str) -> str:
    """The id of an episode: the same facts give the same id in every run, worker and order.

    Returns:
        32 hexadecimal digits: the first half of SHA-256 over the four parts, separated by U+001F.
    """
    text = "\x1f".join((detector, str(version), subject, anchor))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
