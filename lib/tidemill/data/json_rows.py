"""The rows of JSON lines, strictly: one object a line, each key once, values of the declared kind."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill.data.csv_rows import faults
from tidemill.data.landed_rows import Record
from tidemill.data.streams import LONGEST_FIELD, LONGEST_LINE, lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import IO

_LONGEST_NUMBER = 1000


@dataclass(frozen=True)
class Field:
    """A column that a line may have.

    Args:
        place: among the columns.
        kinds: the JSON kinds that its values may be of: `text`, `number`, `truth`.
        is_key: whether invisible signs are a fault.
    """

    place: int
    kinds: frozenset[str]
    is_key: bool


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


class _TwiceError(ValueError):
    """A key that stands twice in one object."""


class _NotFiniteError(ValueError):
    """A number that JSON does not know."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


def _not_finite(text: str) -> Any:
    raise _NotFiniteError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_Number, parse_int=_Number, parse_constant=_not_finite
)


def records(stream: IO[bytes], fields: Mapping[str, Field], *, discard_unknown: bool) -> Iterator[Record]:
    """Every line that is not blank, in order.

    Args:
        stream: the file.
        fields: the columns by the names of their keys.
        discard_unknown: whether a key that is no column is left out, instead of being a fault of the row.
    """
    for number, raw in enumerate(lines(stream), start=1):
        if raw.strip():
            yield record(raw, number, fields, discard_unknown=discard_unknown)


def record(raw: bytes, line: int, fields: Mapping[str, Field], *, discard_unknown: bool) -> Record:
    """One line."""
    if len(raw) > LONGEST_LINE:
        return Record((), ("LIMIT",), raw, line, f"the line has {len(raw)} bytes")
    reason = detail = ""
    value: Any = None
    try:
        text = raw.decode("utf-8")
        value, end = _DECODER.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
        if text[end:].strip(" \t\r\n"):
            reason, detail = "TRAILING_DATA", f"something follows the value at character {end}"
        elif not isinstance(value, dict):
            reason, detail = "NOT_AN_OBJECT", f"it is a {type(value).__name__.strip('_').lower()}"
    except UnicodeDecodeError as error:
        reason, detail = "ENCODING", f"byte {error.start} of the line is not UTF-8"
    except _TwiceError as error:
        reason = f"DUPLICATE_KEY:{error}"
    except _NotFiniteError as error:
        reason, detail = "NON_FINITE", str(error)
    except json.JSONDecodeError as error:
        cut_off = not raw.endswith(b"\n") and (error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg)
        reason, detail = "TRUNCATED" if cut_off else "SYNTAX", f"{error.msg}, character {error.pos}"
    except RecursionError:
        reason, detail = "LIMIT", "it is nested too deeply"
    if reason:
        return Record((), (reason,), raw, line, detail)
    return _checked(value, raw, line, fields, discard_unknown=discard_unknown)


def _checked(
    value: dict[str, Any], raw: bytes, line: int, fields: Mapping[str, Field], *, discard_unknown: bool
) -> Record:
    texts: list[str | None] = [None] * len(fields)
    reasons: list[str] = []
    for name, item in value.items():
        field = fields.get(name)
        if field is not None:
            if item is not None:
                text, found = _text_of(item, field)
                texts[field.place] = text
                reasons += [f"{code}:{name}" for code in found]
        elif not discard_unknown:
            reasons.append(f"UNKNOWN_FIELD:{name[:100]}")
    return Record((), tuple(reasons), raw, line) if reasons else Record(texts, (), b"", line)


def _text_of(item: Any, field: Field) -> tuple[str | None, Sequence[str]]:
    """A value as it lands, and what is wrong with it."""
    kind = type(item)
    if kind is str and "text" in field.kinds:
        if item.isascii() and item.isprintable() and len(item) <= LONGEST_FIELD:
            return item or None, ()
        if not _is_unicode(item):
            return None, ("ENCODING",)
        text = unicodedata.normalize("NFC", item) if field.is_key else item
        return text or None, list(faults(text, is_key=field.is_key))
    if kind is _Number and "number" in field.kinds:
        return item, () if len(item) <= _LONGEST_NUMBER else ("LIMIT",)
    if kind is bool and "truth" in field.kinds:
        return "true" if item else "false", ()
    return None, ("TYPE",)


def _is_unicode(text: str) -> bool:
    """Whether a text is free of halves of surrogate pairs, which no UTF-8 can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
