"""Elements of HTML and SVG with every text and attribute escaped."""

import re
from typing import Final

from markupsafe import Markup, escape

_UNFIT: Final = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # outside the characters of XML 1.0
    "|[\u202a-\u202e\u2066-\u2069]"  # marks that turn the direction of the text after them
)
_JOINTS: Final = re.compile(r"(?<=[._/])(?=.)")


def clean(text: str) -> str:
    """Replace what XML or UTF-8 cannot carry, and marks that would reverse the text that follows a name.

    Args:
        text: Any string, such as a name from a landed file.

    Returns:
        The same text with U+FFFD in their places.
    """
    return _UNFIT.sub("\ufffd", text)


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """Write one element, in a form that is well-formed XML too.

    Args:
        name: Tag name.
        *children: `Markup` is kept, any other text is escaped.
        **attributes: Underscores stand for hyphens and a trailing one is dropped (``class_``); numbers get at most
            one decimal, which is a tenth of a pixel.

    Returns:
        The element.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"' for key, value in attributes.items()
    )
    if not children:
        return Markup(f"<{name}{written}/>")  # noqa: S704 - every part is escaped above
    content = "".join(escape(child if isinstance(child, Markup) else clean(child)) for child in children)
    return Markup(f"<{name}{written}>{content}</{name}>")  # noqa: S704 - every part is escaped above


def pixels(value: float) -> str:
    """Write a coordinate with at most one decimal.

    Args:
        value: Pixels of the view box.

    Returns:
        ``12.0`` as ``12``, ``12.34`` as ``12.3``.
    """
    return f"{value:.1f}".removesuffix(".0")


def shortened(text: str, longest: int) -> str:
    """Cut a text that is too long for its place.

    Args:
        text: Any string.
        longest: Characters there is room for.

    Returns:
        The text, or its beginning with an ellipsis.
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def breakable(text: str) -> Markup:
    """Let a long name break after its points, underscores and slashes, where a reader expects it.

    Args:
        text: A name such as ``view.feature``.

    Returns:
        The escaped name with ``wbr`` elements.
    """
    parts = _JOINTS.split(clean(text))
    return element("wbr").join(escape(part) for part in parts)


def _attribute(value: str | float) -> Markup:
    return escape(clean(value) if isinstance(value, str) else pixels(value))
