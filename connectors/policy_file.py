"""Policy files: the one place that reads them from disk."""

from pathlib import Path

from connectors.errors import LiandongError
from connectors.model_file import ModelStore
from models.policy import Policy, PolicyError, PolicyHistory, parse_policy


def load_policy(path: Path) -> Policy:
    """Read and check a policy file.

    Raises:
        LiandongError: the file is not there, or must not be used; the message names the key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LiandongError(f"cannot read the policy {path}: {error.strerror}", "give a policy file") from error
    try:
        return parse_policy(text, str(path))
    except PolicyError as error:
        raise LiandongError(str(error), "correct the policy file") from error


def load_policies(path: Path, models: Path | None = None) -> PolicyHistory:
    """The history of a single version.

    Args:
        models: directory of the anomaly models that versions name, now and later; each is read when it is needed.

    Raises:
        LiandongError: as `load_policy`; a model that the version names is not there, or was changed.
    """
    policies = PolicyHistory(load_policy(path))
    if models is not None:
        policies.models = ModelStore(models)
        for name in named_models(policies):
            policies.models[name]  # read now, so that what is missing stops the start
    return policies


def named_models(policies: PolicyHistory) -> list[str]:
    """The hashes of the models by which some version has transactions judged."""
    rules = [policy.detectors.anomaly for policy in policies.versions]
    return [name for rule in rules if rule.mode != "off" for name in (rule.model, rule.challenger) if name is not None]
