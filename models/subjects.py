"""What warnings on a loan book are about: `industry:BANK1:K`, `borrower:BANK1:B7` and so on.

An entity has no colon in it (`models.events.Entity`), so a subject says which part is which.
"""

from models.credit.industry import UNKNOWN

BOOK_KINDS = frozenset({"industry", "real_estate", "borrower", "group", "top_ten", "book"})


def entity_of(subject: str) -> str | None:
    """The entity in whose book a subject is; None for a subject of no book.

    >>> entity_of("borrower:BANK1:B:7"), entity_of("book:BANK1"), entity_of("customer:C42")
    ('BANK1', 'BANK1', None)
    """
    kind, _, rest = subject.partition(":")
    return rest.partition(":")[0] if kind in BOOK_KINDS else None


def loan_subjects(entity: str, member: str, real_estate: str, borrower: str, group: str | None) -> tuple[str, ...]:
    """What a loan is part of, as far as departments can be warned of that.

    Args:
        member: its industry; one that is not known is none.
        real_estate: `none`, `development` or `mortgage`.
        group: of connected borrowers; None or empty for none.

    >>> loan_subjects("BANK1", "K", "development", "B7", None)
    ('industry:BANK1:K', 'real_estate:BANK1:development', 'real_estate:BANK1:total', 'borrower:BANK1:B7')
    """
    found = []
    if member != UNKNOWN:
        found.append(f"industry:{entity}:{member}")
    if real_estate != "none":
        found += [f"real_estate:{entity}:{real_estate}", f"real_estate:{entity}:total"]
    found.append(f"borrower:{entity}:{borrower}")
    if group:
        found.append(f"group:{entity}:{group}")
    return tuple(found)
