"""What can be wrong with a mapping or a file as a whole. A bad row is no error: it is rejected and listed."""

import difflib
from collections.abc import Iterable

from connectors.errors import LiandongError


class SourceError(LiandongError, ValueError):
    """The file cannot be read with this mapping: a missing column, another encoding, no such file."""


class MappingError(SourceError):
    """A mapping that must not be used. The message names the key and, for a misspelt one, the nearest known."""


def nearest(wrong: str, known: Iterable[str]) -> str:
    """For a misspelt name: ` (did you mean "amount"?)`, or nothing when no known name is near.

    >>> nearest("amout", ["amount", "currency"])
    ' (did you mean "amount"?)'
    """
    close = difflib.get_close_matches(wrong, sorted(set(known)), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
