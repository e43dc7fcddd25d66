"""One self-contained HTML file from a template: autoescaped, no script, nothing fetched, safe to open from disk."""

import base64
import hashlib
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tidemill.pages import numerals
from tidemill.pages.marks import verdict_mark
from tidemill.pages.markup import breakable, clean


def render_page(template: str, **values: object) -> str:
    """Fill a template that extends ``page.html.j2``.

    The content security policy allows the page's own style sheet, by its hash, and nothing else: no script, no
    request, no form.

    Args:
        template: File name in ``pages/templates``.
        **values: What the template reads. Text is escaped and cleaned (`tidemill.pages.markup.clean`);
            `Markup` is kept.

    Returns:
        HTML that is well-formed XML too.

    Raises:
        jinja2.UndefinedError: The template reads a value that was not given.
    """
    environment = _environment()
    style = environment.get_template("page.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    # The style sheet is ours and holds no value.
    return environment.get_template(template).render(style=Markup(style), policy=policy, **values)  # noqa: S704


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        finalize=_cleaned,
        loader=PackageLoader("tidemill.pages"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "breakable": breakable,
        "count": numerals.count,
        "fixed": numerals.fixed,
        "metric": numerals.metric,
        "moment": numerals.moment,
        "number": numerals.number,
        "share": numerals.share,
    }
    environment.globals["mark"] = verdict_mark
    return environment


def _cleaned(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
