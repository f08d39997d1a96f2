"""Puts the worker together: stages, codec, metrics and policy into one Faust app."""

from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from connectors.certificates import certificates_watched
from connectors.codec import Codec
from connectors.metrics import Metrics, metrics_shown
from connectors.policy_file import load_policies
from connectors.settings import Settings
from connectors.topics import TopicSpec, state_topics
from models.policy import PolicyHistory
from models.stage import Stage
from models.stages.activity import ActivityStage
from models.stages.borrowers import BorrowersStage
from models.stages.cases import CasesStage
from models.stages.customers import CustomersStage
from models.stages.portfolio import PortfolioStage
from streams.app import run_worker
from streams.reference import ReferenceFollower, load_references


def build_stages(policies: PolicyHistory, settings: Settings) -> tuple[Stage, ...]:
    """The five stages of the pipeline."""
    settle = timedelta(seconds=settings.idle_seconds)
    return (
        CustomersStage(policies, settings.partitions, settle),
        BorrowersStage(policies, settings.partitions, settle),
        PortfolioStage(policies),
        ActivityStage(policies),
        CasesStage(policies, settings.partitions),
    )


def changelog_topics(settings: Settings) -> list[TopicSpec]:
    """The topics in which the stages' states are kept."""
    return list(state_topics(settings.app_id).values())


def run(settings: Settings, policy: Path, on_ready: Callable[[Any], None] | None = None) -> int:
    """Run a worker in this process; its exit code."""
    policies = load_policies(policy, settings.models)
    loaded = load_references(settings, policies)
    metrics = Metrics(exemplars=settings.exemplars)
    release = version("liandong")
    follower = ReferenceFollower(settings, policies, loaded, metrics, lambda name: metrics.build(release, name))
    stages = build_stages(policies, settings)
    with metrics_shown(settings, "worker", metrics), certificates_watched(settings, metrics.certificate):
        return run_worker(settings, stages, Codec(), metrics=metrics, on_ready=on_ready, background=(follower.run,))
