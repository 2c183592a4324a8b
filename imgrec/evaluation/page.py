"""How a page is made from its template."""

from typing import Any

import jinja2

from imgrec.metrics.wording import number, percent


def render(template: str, **values: Any) -> str:
    """Return the HTML of one of this package's templates, `values` escaped.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imgrec.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "number": number}
    return environment.get_template(template).render(**values)
