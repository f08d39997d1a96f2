"""Stream against oracle, over what stands on the topics."""

from collections import Counter
from typing import Any

from msgspec import Struct

from connectors.records import TopicReader
from connectors.settings import Settings
from models import oracle
from models.policy import PolicyHistory
from models.risk_warning import RiskWarning, severity_rank

INPUTS = ("transactions", "reports", "loans", "capital")


class Line(Struct, frozen=True):
    """One warning that differs."""

    warning_id: str
    detector: str
    subject: str
    severity: str


class Comparison(Struct, frozen=True):
    """What was read, and where the stream and the oracle part.

    Args:
        read: records by topic.
        by_detector: (on both sides, missing on the topic, only on the topic).
        other_severity: the same warning, judged differently grave; told, but no disagreement on what was found.
    """

    agrees: bool
    read: dict[str, int]
    by_detector: dict[str, tuple[int, int, int]]
    missing: list[Line]
    extra: list[Line]
    other_severity: list[Line]


def compare(settings: Settings, policies: PolicyHistory) -> Comparison:
    """Read the input topics and `warnings` to their ends, and hold them against each other."""
    counts: dict[str, int] = {}
    frames: dict[str, Any] = {}
    with TopicReader(settings) as reader:
        for topic in INPUTS:
            records = list(reader.events(topic))
            counts[topic] = len(records)
            if records:
                frames[topic] = oracle.from_events([event for _, event in records])
        found: dict[str, RiskWarning] = {}
        for _, warning in reader.events("warnings"):
            counts["warnings"] = counts.get("warnings", 0) + 1
            before = found.get(warning.warning_id)
            if before is None or warning.revision >= before.revision:
                found[warning.warning_id] = warning
    expected = {
        row["warning_id"]: Line(row["warning_id"], row["detector"], row["subject"], row["severity"])
        for row in oracle.warnings(**frames, policies=policies).iter_rows(named=True)
    }
    seen = {key: Line(key, one.detector, one.subject, one.severity) for key, one in found.items()}
    missing = [expected[key] for key in sorted(expected.keys() - seen.keys())]
    extra = [seen[key] for key in sorted(seen.keys() - expected.keys())]
    both = sorted(expected.keys() & seen.keys())
    tally = {
        side: Counter(line.detector for line in lines)
        for side, lines in (("both", [expected[key] for key in both]), ("missing", missing), ("extra", extra))
    }
    names = sorted(set(tally["both"]) | set(tally["missing"]) | set(tally["extra"]))
    return Comparison(
        agrees=not missing and not extra,
        read=counts,
        by_detector={name: (tally["both"][name], tally["missing"][name], tally["extra"][name]) for name in names},
        missing=missing,
        extra=extra,
        other_severity=[
            seen[key]
            for key in both
            if severity_rank(seen[key].severity) != severity_rank(expected[key].severity)  # type: ignore[arg-type]
        ],
    )
