"""The demo plays its scripted day on a broker of its own, and says whether all came out as it must."""

import subprocess
import sys

from tests.data import ROOT


def test_the_scripted_day_ends_as_it_must() -> None:
    played = subprocess.run(
        [sys.executable, "-m", "streams.cli", "demo", "--once"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert played.returncode == 0, played.stdout[-3000:] + played.stderr[-3000:]
    assert "risk · customer:C-1042#1: never answered" in played.stdout
    assert "The oracle, which shares no code with the stream, finds the same 8 warnings." in played.stdout
