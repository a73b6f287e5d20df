"""Reading attributes, which instrumentations write as whatever kind of value they have at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logs.ingest.formats import usage_objects
from routescope.text.identifiers import shown
from routescope.wire.reading import MAX_NAME

Names = tuple[str, ...]
_YES = ("true", "1", "yes")
_NO = ("false", "0", "no")

count = usage_objects.count
"""Return the first count under one of the names that is not nothing; else the first that is there."""


def first(attributes: Mapping[str, Any], names: Names, kind: Any) -> Any:
    """Return the first of the named attributes that is there with a value of this kind; bool is no
    number."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, kind) and not isinstance(value, bool):
            return value
    return None


def flag(attributes: Mapping[str, Any], names: Names) -> bool | None:
    """Return the first of the named attributes that says yes or no, which may come as text."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and (word := value.strip().lower()) in _YES + _NO:
            return word in _YES
    return None


def text(attributes: Mapping[str, Any], names: Names, at_most: int = MAX_NAME) -> str | None:
    """Return the first of the named attributes that says something, as it can be shown."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, list) and len(value) == 1:
            # Headers, as instrumentations of HTTP capture them.
            value = value[0]
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found = shown(str(value))[:at_most]
            if found:
                return found
    return None


def identifier(attributes: Mapping[str, Any], names: Names) -> str:
    """Return the first of the named attributes that says something, whole; nothing where none does."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        is_plain = isinstance(value, str | int | float) and not isinstance(value, bool)
        if is_plain and (found := str(value).strip()):
            return found
    return ""
