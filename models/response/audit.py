"""Whether a case's history is the one that was written: nothing changed, left out, put in or moved.

Who can write a whole case can chain it anew. So an audit also holds the head against one that was taken down
before, in a report or a backup: the chain of a case only grows.
"""

from models.response.case import Case
from models.response.history import link, seed


def chain_begins(case: Case) -> int | None:
    """Index of the first entry that has a hash; None where none has. What is before it is proved by its hash."""
    return next((index for index, entry in enumerate(case.history) if entry.hash), None)


def broken_link(case: Case) -> int | None:
    """Where the chain of a case's history is broken.

    Returns:
        index of the first entry whose hash does not follow from what is before it; the length of the history where
        all follow but the newest is not the one that the case names (`Case.head`): entries are missing at the end.
        None where all is whole. A history without any hash, from before there was a chain, is whole.

    >>> from datetime import UTC, datetime
    >>> from msgspec.structs import replace
    >>> from models.response.case import Entry, noted
    >>> now = datetime(2026, 3, 2, tzinfo=UTC)
    >>> case = Case(case_id="customer:C1#1", subject="customer:C1", number=1, mode="live", severity="low",
    ...             policy_version="cn-2026.1", opened_at=now)
    >>> one, two = (Entry(at=now, recorded_at=now, actor="ling", kind="comment", note=text) for text in "ab")
    >>> case = noted(case, one, two)
    >>> broken_link(case), broken_link(replace(case, history=case.history[::-1]))
    (None, 0)
    >>> broken_link(replace(case, history=case.history[:1]))
    1
    """
    begins = chain_begins(case)
    if begins is None:
        return len(case.history) if case.head else None
    before = seed(case.case_id, case.history[:begins])
    for index, entry in enumerate(case.history[begins:], begins):
        if entry.hash != link(before, entry):
            return index
        before = entry.hash
    return None if before == case.head else len(case.history)
