"""How a page is made from its template."""

import base64
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup, escape

from imgrec.evaluation.language import ENGLISH, Language
from imgrec.metrics.wording import number, percent


@functools.cache
def _environment(language: Language) -> jinja2.Environment:
    """Return what makes pages of a language.

    In templates `_` is the language; a phrase is said in it wherever it stands. `_html` is for sentences that
    hold tags: its sentence is taken as HTML, so that it is a literal in the template, and its values are
    escaped.
    """
    loader = jinja2.PackageLoader("imgrec.evaluation")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=language.of,
    )
    environment.filters |= {
        "percent": lambda share, digits=1: language(percent(share, digits)),
        "number": number,
        "sentence": language.sentence,
    }
    script = loader.get_source(environment, "page.js")[0]
    environment.globals |= {
        "_": language,
        "_html": lambda text, **values: Markup(language(text, **_escaped(values, language))),
        "script": Markup(script),
        "script_hash": _source_of(script),
    }
    return environment


def _escaped(values: Mapping[str, Any], language: Language) -> dict[str, Any]:
    return {
        name: escape(language.of(each)) if isinstance(each, str) else each for name, each in values.items()
    }


def _source_of(script: str) -> str:
    """Return what a Content-Security-Policy calls this script, and no other (CSP Level 3, section 2.3)."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest())
    return f"sha256-{digest.decode('ascii')}"


def render(template: str, language: Language = ENGLISH, **values: Any) -> str:
    """Return the HTML of one of this package's templates, `values` escaped; `_` in it is `language`.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return _environment(language).get_template(template).render(**values)


def fragment(template: str, data: Mapping[str, Any], language: Language = ENGLISH) -> Markup:
    """Return the HTML inside a section, see `Section.template`; raises as `render`."""
    pages = _environment(language)
    made = pages.from_string(template) if "<" in template else pages.get_template(f"sections/{template}")
    return Markup(made.render(data))
