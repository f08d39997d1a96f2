"""Policy: every threshold, limit, route and deadline, with its unit and source, as immutable versions.

A policy is a TOML text that a risk officer can read (`deploy/policy/`). `parse_policy` turns it into Structs
and refuses unknown keys, gaps and contradictions, saying where. `PolicyHistory` knows which version, rates,
watch list and mutes hold at an event time. No figure lives in code.
"""

from models.policy.figures import LEVELS, Amounts, Figure, Level, LevelFigures, Part, PolicyError, parts
from models.policy.history import PolicyHistory, published_policy
from models.policy.parse import parse_policy
from models.policy.response import Deadlines, Measure, Response
from models.policy.rules import (
    ApprovalDuringSuspension,
    DormantReactivation,
    FrequentLargeTransfers,
    IndustryConcentration,
    IndustryGrowth,
    LargeTransaction,
    Limit,
    Limits,
    Misclassification,
    MissingControl,
    MissingRate,
    NameConcentration,
    PostedReport,
    RealEstateConcentration,
    Rule,
    ScatterGather,
    Silence,
    Structuring,
    SuspiciousCounterparty,
    TellerReport,
)
from models.policy.version import Counterparties, Credit, Detectors, Episodes, Events, Head, Money, Policy

__all__ = [
    "LEVELS",
    "Amounts",
    "ApprovalDuringSuspension",
    "Counterparties",
    "Credit",
    "Deadlines",
    "Detectors",
    "DormantReactivation",
    "Episodes",
    "Events",
    "Figure",
    "FrequentLargeTransfers",
    "Head",
    "IndustryConcentration",
    "IndustryGrowth",
    "LargeTransaction",
    "Level",
    "LevelFigures",
    "Limit",
    "Limits",
    "Measure",
    "Misclassification",
    "MissingControl",
    "MissingRate",
    "Money",
    "NameConcentration",
    "Part",
    "Policy",
    "PolicyError",
    "PolicyHistory",
    "PostedReport",
    "RealEstateConcentration",
    "Response",
    "Rule",
    "ScatterGather",
    "Silence",
    "Structuring",
    "SuspiciousCounterparty",
    "TellerReport",
    "parse_policy",
    "parts",
    "published_policy",
]
