"""What departments owe after a warning: deadlines, measures, escalation, capacity."""

from models.policy.figures import Figure, Part
from models.risk_warning import Department, Severity


class Deadlines(Part, frozen=True, kw_only=True):
    """Working hours a department has, from the warning that opened its task."""

    acknowledge: Figure
    complete: Figure


class Measure(Part, frozen=True, kw_only=True):
    """Something a department does: whose it is, what it is called, its own deadline and its cost where known."""

    department: Department
    zh: str
    en: str
    due: Figure | None = None  # "working days" or "calendar days", when stricter law than the severity's applies
    effort: Figure  # working hours that it costs, for pricing a change of policy


class Response(Part, frozen=True, kw_only=True):
    deadlines: dict[Severity, Deadlines]
    escalation: tuple[str, ...]  # who is told at each further breach, lowest first
    escalate_every: Figure  # working hours between two steps
    measures: dict[str, Measure]
    owners: dict[Department, str]  # the liaison named in each department
    capacity: dict[Department, Figure]  # working hours of all its people on a working day
