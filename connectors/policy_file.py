"""Policy files: the one place that reads them from disk."""

from pathlib import Path

from connectors.errors import LiandongError
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


def load_policies(path: Path) -> PolicyHistory:
    """The history of a single version."""
    return PolicyHistory(load_policy(path))
