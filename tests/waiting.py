"""Waiting for what comes by itself."""

import time
from collections.abc import Callable


def wait_for(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Return once it gives something that is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"it did not come within {seconds} s"
        time.sleep(0.05)
