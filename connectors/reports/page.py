"""Pages made from templates: for the screen and for A4, with nothing from outside."""

from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from connectors.account_texts import Language, say
from models.policy import Policy

_PACKAGE = "connectors.reports"


def template(name: str, package: str = _PACKAGE) -> Template:
    """A template of a package, or of this one; what it is given is escaped, what it lacks is an error."""
    return _environment(package).get_template(name)


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader(one) for one in dict.fromkeys((package, _PACKAGE))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def spoken(policy: Policy, language: Language, nothing: str = "-") -> dict[str, Any]:
    """How codes, measures, times and observed values are said on a page, by the names that templates call.

    Args:
        policy: for the names of measures and the bank's clock.
        nothing: stands for a time that is not known.
    """
    zone = policy.bank_calendar.zone

    def time(at: datetime | None) -> str:
        return nothing if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"

    return {
        "language": language,
        "say": lambda code: say(code, language),
        "time": time,
        "measure": lambda code: policy.response.measure_name(code, language),
        "value": lambda text, unit: time(datetime.fromisoformat(text)) if unit == "time" else text,
    }
