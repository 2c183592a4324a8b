"""How a page is made from its template."""

import functools
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from imgrec.evaluation.language import ENGLISH, Language
from imgrec.metrics.wording import number, percent


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imgrec.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "number": number}
    return environment


def render(template: str, language: Language = ENGLISH, **values: Any) -> str:
    """Return the HTML of one of this package's templates, `values` escaped; `_` in it is `language`.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return _environment().get_template(template).render(_=language, **values)


def fragment(template: str, data: Mapping[str, Any], language: Language = ENGLISH) -> Markup:
    """Return the HTML inside a section, see `Section.template`; raises as `render`."""
    pages = _environment()
    made = pages.from_string(template) if "<" in template else pages.get_template(f"sections/{template}")
    return Markup(made.render({**data, "_": language}))
