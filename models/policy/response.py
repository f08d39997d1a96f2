"""What departments owe after a warning: deadlines, measures, escalation, capacity."""

from typing import Literal

from models.events import ActionKind
from models.policy.figures import Figure, Part
from models.risk_warning import Department, Severity

FourEyes = Literal["dismiss", "reopen"]
Proof = Literal["no_approvals", "loans_reviewed", "reclassified", "clean_resample"]


class Deadlines(Part, frozen=True, kw_only=True):
    """Working hours a department has, from the warning that opened its task."""

    acknowledge: Figure
    complete: Figure


class Measure(Part, frozen=True, kw_only=True):
    """Something a department does: whose it is, what it is called, its own deadline and its cost where known.

    Args:
        proof: what of the stream shows that it is kept or done: `no_approvals`, that no loan is approved in what the
            case is about; `loans_reviewed`, that every loan in it was reviewed; `reclassified`, that one of them was
            reclassified; `clean_resample`, that the branch's large transactions after it are in order.
        rectified_by: the measure that a finding of this one asks for.
        countersign: completed by one employee, it counts as completed only once another one has approved it.
        after: measures that, where the same case asks for them, are completed before this one can be.
    """

    department: Department
    zh: str
    en: str
    proof: Proof | None = None
    rectified_by: str | None = None
    countersign: bool = False
    after: tuple[str, ...] = ()
    due: Figure | None = None  # "working days" or "calendar days", when stricter law than the severity's applies
    effort: Figure  # working hours that it costs, for pricing a change of policy


class Confidential(Part, frozen=True, kw_only=True):
    """Which cases are for named roles only.

    Args:
        detectors: whose warnings make a case confidential.
        roles: who sees such a case, and may restrict or release one.
    """

    detectors: tuple[str, ...]
    roles: tuple[str, ...]


class Response(Part, frozen=True, kw_only=True):
    """The table `[response]`.

    Args:
        four_eyes: kinds of action that only propose; another employee decides. Lifting what a measure put in force
            is one always.
        roles: by kind of action the roles of those who may do it; of a kind that is not named, everybody.
        remind_before: working hours before a deadline at which its owner is reminded; None: nobody is.
    """

    deadlines: dict[Severity, Deadlines]
    escalation: tuple[str, ...]  # who is told at each further breach, lowest first
    escalate_every: Figure  # working hours between two steps
    measures: dict[str, Measure]
    four_eyes: tuple[FourEyes, ...] = ("dismiss", "reopen")
    roles: dict[ActionKind, tuple[str, ...]] = {}  # noqa: RUF012 - msgspec copies it for each value
    remind_before: Figure | None = None
    confidential: Confidential | None = None
    owners: dict[Department, str]  # the liaison named in each department
    capacity: dict[Department, Figure]  # working hours of all its people on a working day

    def measure_name(self, code: str, language: Literal["zh", "en"]) -> str:
        """What to call a measure in a text; one that this version does not know is called by its code."""
        known = self.measures.get(code)
        return code if known is None else getattr(known, language)
