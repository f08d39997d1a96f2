"""Model files: named by their hash, the same bytes twice, and nothing in them that a model is not made of."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from connectors.model_file import (
    CARD,
    BadModel,
    ModelStore,
    from_bytes,
    load_model,
    save_model,
    stored_models,
    to_bytes,
)
from models.anomaly.candidates import KINDS, Kind
from tests.anomaly import NAMES, frame, model
from tests.data import ROOT

HASHED = """
import hashlib
from connectors.model_file import to_bytes
from tests.anomaly import model
print(*(hashlib.sha256(to_bytes(model(kind))).hexdigest() for kind in ("isolation_forest", "hbos", "robust_z")))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back_as_it_was(kind: Kind, tmp_path: Path) -> None:
    made = model(kind)
    file = save_model(made, tmp_path)
    found = load_model(file.stem, tmp_path)
    rows = frame().select(NAMES).to_numpy()
    assert found.card == made.card
    assert np.array_equal(found.score(rows), made.score(rows))
    assert stored_models(tmp_path) == [file.stem]
    assert save_model(made, tmp_path) == file


def test_another_process_trains_the_same_bytes() -> None:
    def trained(seed: str) -> str:
        environment = os.environ | {"PYTHONHASHSEED": seed}
        run = [sys.executable, "-c", HASHED]
        return subprocess.run(run, env=environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert trained("1") == trained("2")


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    file = save_model(model("robust_z"), tmp_path)
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(BadModel, match="has been changed"):
        load_model(file.stem, tmp_path)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    name = "0" * 64
    with pytest.raises(BadModel, match=f"there is no model {name}"):
        ModelStore(tmp_path)[name]
    with pytest.raises(BadModel, match="no hash of a model"):
        load_model("../secret", tmp_path)


def other_pipeline(data: bytes) -> bytes:
    """A model file with another thing than a pipeline of ours in it."""
    made = io.BytesIO(skops.io.dumps(LinearRegression().fit([[1.0]], [1.0])))
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(made, "a") as out:
        out.writestr(CARD, archive.read(CARD))
    return made.getvalue()


def test_no_pickle_and_no_other_thing_is_loaded() -> None:
    data = to_bytes(model("robust_z"))
    for wrong in (pickle.dumps(model("robust_z").card), b"", data[:500], other_pipeline(data)):
        with pytest.raises(BadModel):
            from_bytes(wrong)


def test_a_class_that_no_model_is_made_of_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = to_bytes(model("isolation_forest"))
    monkeypatch.setattr("connectors.model_file.TRUSTED", [])
    with pytest.raises(BadModel, match="no model is made of"):
        from_bytes(data)
