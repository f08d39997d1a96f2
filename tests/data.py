"""Where the public data sets are; tests that need them skip with a reason when they are absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("LIANDONG_DATA", ROOT.parent / "shared" / "data"))

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the public data sets are not in {DATA} (set LIANDONG_DATA to their folder)"
)
