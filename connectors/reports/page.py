"""Pages made from templates: one file each, for the screen and for A4, with nothing from outside."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@cache
def template(name: str) -> Template:
    """A template of this package; what it is given is escaped, what it lacks is an error."""
    environment = Environment(
        loader=PackageLoader("connectors.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
