"""What the portfolio derives from a partition's states: who has how much, in order, and who is at a level.

It is built again when the runner shows the partition in a new `States`, so nothing but states has to survive.
"""

from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from models.credit.exposures import NamedBook
from models.credit.indices_exact import EXACT
from models.stage import States
from models.stages.portfolio.states import Name, NameDimension, Pending, is_name_key, name_key


class Ground(Struct, frozen=True):
    """What the names were last held against: as long as it stays, only a name that changes can change its level."""

    rule: Any
    basis: Decimal


class Dimension(Struct):
    """The borrowers or the groups of one entity.

    Args:
        held: names that are at a level of any limit.
    """

    book: NamedBook = field(default_factory=NamedBook)
    held: set[str] = field(default_factory=set)


class EntityNames(Struct):
    """The names of one entity.

    Args:
        grounds: by limit; absent where it was not judged last time.
    """

    borrower: Dimension = field(default_factory=Dimension)
    group: Dimension = field(default_factory=Dimension)
    grounds: dict[str, Ground] = field(default_factory=dict)

    def of(self, dimension: NameDimension) -> Dimension:
        return self.borrower if dimension == "borrower" else self.group


class Books:
    """Everything that is derived from one partition's states.

    Args:
        states: of the partition.

    Attributes:
        changed: by entity, the (dimension, member) whose lines are to be written; an entity without any had its book
            judged all the same.
    """

    def __init__(self, states: States) -> None:
        self.states = states
        self.changed: dict[str, dict[tuple[str, str], None]] = {}
        self._entities: dict[str, EntityNames] = {}
        exposures: dict[tuple[str, NameDimension], dict[str, Decimal]] = {}
        for key in states.keys():
            name = states.load(key, Name) if is_name_key(key) else None
            if name is not None:
                exposures.setdefault((name.entity, name.dimension), {})[name.member] = name.exposure
                if name.standings:
                    self.names(name.entity).of(name.dimension).held.add(name.member)
        for (entity, dimension), book in exposures.items():
            self.names(entity).of(dimension).book = NamedBook(book)

    def names(self, entity: str) -> EntityNames:
        found = self._entities.get(entity)
        if found is None:
            found = self._entities[entity] = EntityNames()
        return found

    def touch(self, entity: str, *members: tuple[str, str]) -> None:
        """The lines of an entity's book, and of these members, are to be written."""
        changed = self.changed.setdefault(entity, {})
        changed.update(dict.fromkeys(members))

    def load(self, entity: str, dimension: NameDimension, member: str) -> Name:
        """The state of a name, a new one where there is none."""
        found = self.states.load(name_key(entity, dimension, member), Name)
        return found if found is not None else Name(entity, dimension, member)

    def keep(self, name: Name) -> None:
        """Store a name's state, or forget one that says nothing."""
        held = self.names(name.entity).of(name.dimension).held
        if name.standings:
            held.add(name.member)
        else:
            held.discard(name.member)
        key = name_key(name.entity, name.dimension, name.member)
        if name.is_empty:
            self.states.delete(key)
        else:
            self.states.save(key, name)

    def add(self, entity: str, pending: Pending) -> None:
        """Take a delta into the exposures of its borrower and group."""
        for dimension, member in pending.names():
            name = self.load(entity, dimension, member)
            after = EXACT.add(name.exposure, pending.amount)
            self.names(entity).of(dimension).book.move(member, name.exposure, after)
            name.exposure = after
            name.loans += pending.loans
            self.keep(name)
            self.touch(entity, (dimension, member))
