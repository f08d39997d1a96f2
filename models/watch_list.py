"""The watch list: accounts, names and countries whose dealings somebody must look at, valid from day to day."""

import re
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Literal

from rapidfuzz import process
from rapidfuzz.distance import Indel

from models.events import Counterparty, Event, Id
from models.money import InvalidField
from models.names import form_similarity, normal_form, spellings


class WatchEntry(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a watch list.

    Args:
        entry_id: its name; a later record of the same name replaces it.
        kind: what `value` is: an account, a person's or firm's name, or a country (ISO 3166-1 alpha-2).
        source: which list it stands on.
        valid_from, valid_until: the days on which it holds, the last one not included.
    """

    entry_id: Id
    kind: Literal["account", "name", "country"]
    value: Id
    source: Id
    valid_from: date
    valid_until: date | None = None

    def __post_init__(self) -> None:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise InvalidField("valid_until", "contradictory", f"{self.valid_until} is not after {self.valid_from}")
        if self.kind == "country" and not re.fullmatch("[A-Z]{2}", self.value):
            raise InvalidField("value", "malformed", f"{self.value!r} is no country code such as KP")
        if self.kind == "name" and not normal_form(self.value):
            raise InvalidField("value", "unreadable", f"{self.value!r} has no Latin spelling and would match nothing")

    @property
    def event_id(self) -> str:
        return self.entry_id

    @property
    def key(self) -> str:
        return self.entry_id

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


class WatchList:
    """Entries, ready to be asked.

    Args:
        entries: those in force.
        similarity: from 0 to 100, from which a name is taken for one on the list.
    """

    def __init__(self, entries: Iterable[WatchEntry], similarity: int) -> None:
        self.entries = tuple(sorted(entries, key=lambda entry: entry.entry_id))
        self._least = similarity
        self._exact = {(one.kind, one.value): one for one in reversed(self.entries) if one.kind != "name"}
        self._names = tuple((normal_form(one.value), one) for one in self.entries if one.kind == "name")
        self._spelled = {text: one for form, one in reversed(self._names) for text in spellings(form)}
        self._letters = [_letters(form) for form, _ in self._names]
        self._by_name = lru_cache(maxsize=20_000)(self._find_name)

    def match(self, counterparty: Counterparty | None) -> WatchEntry | None:
        """The entry that a counterparty stands on, or None: its account first, then its name, then its country.

        Of several names that are alike enough the closest counts, then the first by `entry_id`.
        """
        if counterparty is None or not self.entries:
            return None
        found = None
        if counterparty.account_id:
            found = self._exact.get(("account", counterparty.account_id))
            found = found or self._exact.get(("account", counterparty.identity or ""))
        if found is None and counterparty.name and self._names:
            found = self._by_name(counterparty.name)
        if found is None and counterparty.country:
            found = self._exact.get(("country", counterparty.country))
        return found

    def _find_name(self, name: str) -> WatchEntry | None:
        form = normal_form(name)
        if not form:
            return None
        equal = [self._spelled[text] for text in spellings(form) if text in self._spelled]
        if equal:
            return min(equal, key=lambda entry: entry.entry_id)
        best, found = max(self._least, 1), None
        for index in self._candidates(form):
            score = form_similarity(form, self._names[index][0])
            if score > best or (score == best and found is None):
                best, found = score, self._names[index][1]
        return found

    def _candidates(self, form: str) -> list[int]:
        """Indices, in order, of the names with letters enough in common.

        Letters in alphabetical order are never further apart than the names themselves in any order of words, so one
        quick pass over them leaves out no match.
        """
        cutoff = (self._least - 1) / 100  # a hundredth below, as this is a float
        hits = process.extract(
            _letters(form), self._letters, scorer=Indel.normalized_similarity, score_cutoff=cutoff, limit=None
        )
        return sorted(index for _, _, index in hits)


def _letters(form: str) -> str:
    return "".join(sorted(form.replace(" ", "")))
