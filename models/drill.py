"""Drills: everything in one carries the drill's name in its own, so that no mark can be lost on the way.

A drill's customers, borrowers, entities, branches and employees are called `drill~NAME~...`. So a drill has states,
books, subjects and cases of its own, and what it makes of them is seen by the name alone. No real id begins so.
"""

PREFIX = "drill~"


def drill_of(name: str | None) -> str | None:
    """The drill that an id or a subject belongs to; None for real ones.

    >>> drill_of("drill~spring~C42"), drill_of("industry:drill~spring~BANK1:K"), drill_of("customer:C42")
    ('spring', 'spring', None)
    """
    if name is None:
        return None
    own = name if name.startswith(PREFIX) else name.partition(":")[2]
    if not own.startswith(PREFIX):
        return None
    return own.removeprefix(PREFIX).partition("~")[0] or None


def in_drill(name: str, drill: str) -> str:
    """An id as it is called in a drill.

    >>> in_drill("C42", "spring")
    'drill~spring~C42'
    """
    return f"{PREFIX}{drill}~{name}"
