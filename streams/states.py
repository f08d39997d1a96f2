"""One partition's states as a stage sees them, decoded, with what changed since they were last stored."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from streams.state import Kept, StateError, StateTable

S = TypeVar("S", bound=Struct)


class _Entry:
    """A key's state, decoded once it is asked for."""

    __slots__ = ("applied", "kept", "kind", "state")

    def __init__(self, kept: Kept | None) -> None:
        self.kept = kept
        self.applied: dict[str, int] = dict(kept.applied) if kept else {}
        self.kind = kept.kind if kept else ""
        self.state: Struct | None = None

    @property
    def stored(self) -> bytes:
        return self.kept.state if self.kept else b""


_encode_state = msgspec.msgpack.Encoder(decimal_format="string").encode
_decoders: dict[type[Struct], Callable[[bytes], Any]] = {}


def _decoder(kind: type[S]) -> Callable[[bytes], S]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.msgpack.Decoder(kind).decode
    return _decoders[kind]


class PartitionStates:
    """One partition's states as a stage sees them (`models.stage.States`), with what changed since the last store.

    Args:
        partition: which.
        table: where they are stored.
        cache: most decoded states to keep between batches.
    """

    def __init__(self, partition: int, table: StateTable, cache: int) -> None:
        self.partition = partition
        self._table = table
        self._cache = cache
        self._entries: dict[str, _Entry] = {}
        self._dirty: dict[str, _Entry] = {}
        # One record may change several keys: those must be stored all or none, or a kill between two writes
        # would leave one key ahead of the other for good.
        self._together: set[str] = set()
        self._whole = False
        self._record_key: str | None = None

    # --- for the stage ---

    def load(self, key: str, kind: type[S]) -> S | None:
        entry = self._entry(key)
        if not entry.kind:
            return None
        if entry.kind != kind.__name__:
            raise StateError(f"{self._table.name}: {key} holds a {entry.kind}, not a {kind.__name__}")
        if entry.state is None:
            entry.state = _decoder(kind)(entry.stored)
        return cast(S, entry.state)

    def save(self, key: str, state: Struct) -> None:
        entry = self._entry(key)
        entry.state = state
        entry.kept = None
        entry.kind = type(state).__name__
        self._touch(key, entry)

    def delete(self, key: str) -> None:
        entry = self._entry(key)
        entry.state = None
        entry.kept = None
        entry.kind = ""
        self._touch(key, entry)

    def keys(self) -> Iterator[str]:
        dirty = self._dirty
        stored = (key.decode() for key in self._table.keys_of(self.partition))
        yield from [key for key in stored if key not in dirty] + [key for key, entry in dirty.items() if entry.kind]

    # --- for the runner ---

    def begin(self, key: str | None) -> None:
        """What follows is done for the record of this key; None: for the batch as a whole."""
        self._record_key = key

    def applied(self, key: str) -> dict[str, int]:
        """By source topic, the last offset that the key's state has seen. Set it through `mark`."""
        return self._entry(key).applied

    def mark(self, key: str) -> None:
        """The key's `applied` was changed."""
        self._dirty[key] = self._entries[key]

    async def store(self) -> tuple[int, int]:
        """Write what changed; (keys, bytes)."""
        if not self._dirty:
            return 0, 0
        changes: dict[bytes, tuple[dict[str, int], str, bytes] | None] = {}
        for key, entry in self._dirty.items():
            if entry.kind:
                state = _encode_state(entry.state) if entry.state is not None else entry.stored
                changes[key.encode()] = (dict(entry.applied), entry.kind, state)
            else:
                changes[key.encode()] = (dict(entry.applied), "", b"") if entry.applied else None
        together = set(changes) if self._whole else {key.encode() for key in self._together}
        size = await self._table.write(self.partition, changes, together)
        self._settle()
        return len(changes), size

    def _entry(self, key: str) -> _Entry:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(self._table.entry(self.partition, key.encode()))
        return entry

    def _touch(self, key: str, entry: _Entry) -> None:
        self._dirty[key] = entry
        if self._record_key is None:
            self._whole = True
        elif key != self._record_key:
            self._together.add(key)
            self._together.add(self._record_key)

    def _settle(self) -> None:
        entries = self._entries
        for key in self._dirty:
            entries[key] = entries.pop(key)  # the latest last, so that the oldest are dropped first
        self._dirty.clear()
        self._together.clear()
        self._whole = False
        for key in list(entries)[: max(0, len(entries) - self._cache)]:
            del entries[key]
