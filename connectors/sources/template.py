"""Templates of a mapping: `"ppp-{State}-{row}"`, with `{{` and `}}` for braces themselves."""

from functools import cache
from string import Formatter


@cache
def parse_template(text: str) -> tuple[tuple[bool, str], ...]:
    """Split into (is a name, text) pieces.

    >>> parse_template("ppp-{State}-{row}")
    ((False, 'ppp-'), (True, 'State'), (False, '-'), (True, 'row'))

    Raises:
        ValueError: unbalanced braces, an empty name, or a conversion such as `{x!r}` or `{x:>8}`.
    """
    out: list[tuple[bool, str]] = []
    for literal, name, spec, conversion in Formatter().parse(text):
        if literal:
            out.append((False, literal))
        if name is None:
            continue
        if not name or spec or conversion:
            raise ValueError(f"{text!r} may hold only plain names in braces, such as {{row}}")
        out.append((True, name))
    return tuple(out)
