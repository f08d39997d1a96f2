"""Model files: a fitted pipeline with its card, named by the hash of its bytes. No pickle is written or read.

A file is a skops archive with the card beside the pipeline. skops writes memory addresses and the time of day into it;
both are put in order here, so that the same training gives the same bytes, and so the same name.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from connectors.errors import LiandongError
from models.anomaly.feedback import Reranker, RerankerCard
from models.anomaly.model import Card, Model
from models.policy.checks import MODEL_HASH

SUFFIX = ".skops"
CARD, SCHEMA = "card.json", "schema.json"
# What a model may be made of beside skops' own list: arrays of numbers all of them. Trees are looked through before
# they are asked (`models.anomaly.forest`).
TRUSTED = [
    "sklearn.tree._tree.Tree",
    "models.anomaly.candidates.Histograms",
    "models.anomaly.candidates.FarthestFeature",
]
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first instant that an archive can tell


class BadModel(LiandongError):
    """A model file that is not there, or not what it says it is."""


def to_bytes(model: Model | Reranker) -> bytes:
    """A model as a file, the same bytes for the same model."""
    raw = skops.io.dumps(model.pipeline)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        schema = json.loads(archive.read(SCHEMA))
        names = _Names()
        schema = names.put_in_order(schema)
        parts = {names.file(name): archive.read(name) for name in archive.namelist() if name != SCHEMA}
    parts[SCHEMA] = json.dumps(schema, sort_keys=True).encode()
    parts[CARD] = msgspec.json.encode(model.card, order="sorted")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(parts):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_STORED
            archive.writestr(entry, parts[name])
    return out.getvalue()


def from_bytes(data: bytes) -> Model | Reranker:
    """What is in a file.

    Raises:
        BadModel: not such a file, or made of what a model is not made of.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            card = msgspec.json.decode(archive.read(CARD), type=Card | RerankerCard)
        pipeline = skops.io.loads(data, trusted=TRUSTED)
        return Model(pipeline, card) if isinstance(card, Card) else Reranker(pipeline, card)
    except UntrustedTypesFoundException as error:
        raise BadModel(f"the file holds what no model is made of: {error}", "train the model anew") from error
    except (zipfile.BadZipFile, KeyError, ValueError, msgspec.DecodeError) as error:
        raise BadModel(f"this is no model file: {error}", "train the model anew with `liandong train`") from error


def save_model(model: Model | Reranker, directory: Path) -> Path:
    """Write a model under the name of its hash; the file."""
    data = to_bytes(model)
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / f"{hashlib.sha256(data).hexdigest()}{SUFFIX}"
    if not file.exists():
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_bytes(data)
        unfinished.replace(file)
    return file


def load_file(name: str, directory: Path) -> Model | Reranker:
    """What is kept under this hash.

    Raises:
        BadModel: nothing is, or its bytes have another hash.
    """
    if not MODEL_HASH.fullmatch(name):
        raise BadModel(f"{name!r} is no hash of a model", "give all 64 digits, as `liandong models show` does")
    file = directory / f"{name}{SUFFIX}"
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise BadModel(f"there is no model {name} in {directory}", "copy the file there, or train it") from None
    found = hashlib.sha256(data).hexdigest()
    if found != name:
        raise BadModel(f"{file} has been changed: the hash of its bytes is {found}", "copy the file again")
    return from_bytes(data)


def load_model(name: str, directory: Path) -> Model:
    """The anomaly model of this hash.

    Raises:
        BadModel: as `load_file`; or it is a re-ranker, which judges nothing.
    """
    found = load_file(name, directory)
    if not isinstance(found, Model):
        raise BadModel(f"{name} is a re-ranker, which judges nothing", "name an anomaly model")
    return found


def load_reranker(name: str, directory: Path) -> Reranker:
    """The re-ranker of this hash.

    Raises:
        BadModel: as `load_file`; or it is an anomaly model.
    """
    found = load_file(name, directory)
    if not isinstance(found, Reranker):
        raise BadModel(f"{name} is an anomaly model, which orders no queue", "name a re-ranker")
    return found


class ModelStore(Mapping[str, Model]):
    """The anomaly models of a directory by their hash, each read when it is asked for first.

    Raises:
        BadModel: as `load_model`, when one is asked for.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read: dict[str, Model] = {}

    def __getitem__(self, name: str) -> Model:
        if name not in self._read:
            self._read[name] = load_model(name, self._directory)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(stored_models(self._directory))

    def __len__(self) -> int:
        return len(stored_models(self._directory))


def stored_models(directory: Path) -> list[str]:
    """The hashes of the models in a directory, in order."""
    return sorted(file.stem for file in directory.glob(f"*{SUFFIX}") if MODEL_HASH.fullmatch(file.stem))


class _Names:
    """Gives what skops named after memory addresses numbers, in the order in which the schema speaks of them."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._files: dict[str, str] = {}

    def put_in_order(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self.put_in_order(one) for one in part]
        if not isinstance(part, dict):
            return part
        found: dict[str, Any] = {}
        for key, value in sorted(part.items()):
            if key == "__id__":
                found[key] = self._number(value)
            elif key == "file":
                found[key] = self._files.setdefault(value, f"{len(self._files):05}{Path(value).suffix}")
            else:
                found[key] = self.put_in_order(value)
        return found

    def file(self, name: str) -> str:
        return self._files[name]

    def _number(self, address: int) -> int:
        return self._numbers.setdefault(address, len(self._numbers))
