"""Decoding an object field by field, for senders who send nothing a second time: what cannot be read is left
out and named, and costs nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from routescope.wire.json_parts import Steps, members
from routescope.wire.reading import mended, without_no_numbers

_Object = TypeVar("_Object", bound=msgspec.Struct)
_MOST_NAMED = 20


def decode(raw: bytes, kind: type[_Object], steps: Steps | None = None) -> tuple[_Object, list[str]]:
    """Return the object with the fields that can be read, and the names of those that cannot.

    A field that is an object of its own is read the same way. Raises BrokenError for what is no object.
    """
    steps = steps or Steps()
    fields = _fields(kind)
    values: dict[str, Any] = {}
    left_out: list[str] = []
    for written, value in members(raw, steps):
        field = fields.get(written)
        if field is None:
            continue
        name, read, inner = field
        values.pop(name, None)
        try:
            values[name] = _read(value, read)
        except (msgspec.DecodeError, RecursionError):
            if inner is None or value[:1] != b"{":
                left_out.append(written.decode())
                continue
            values[name], further = decode(value, inner, steps)
            left_out += [f"{written.decode()}.{one}" for one in further]
    return kind(**values), left_out[:_MOST_NAMED]


def _read(value: bytes, read: msgspec.json.Decoder[Any]) -> Any:
    try:
        return read.decode(value)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return read.decode(without_no_numbers(mended(value)))


@lru_cache(maxsize=64)
def _fields(
    kind: type[msgspec.Struct],
) -> dict[bytes, tuple[str, msgspec.json.Decoder[Any], type[msgspec.Struct] | None]]:
    """Return by the name as it is sent: the field's own name, its decoder, and which object it is."""
    return {
        field.encode_name.encode(): (
            field.name,
            msgspec.json.Decoder(field.type, strict=False),
            _object_in(field.type),
        )
        for field in msgspec.structs.fields(kind)
    }


def _object_in(kind: Any) -> type[msgspec.Struct] | None:
    """Return which object a field is; None for lists and mappings of objects."""
    for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
        if isinstance(one, type) and one is not NoneType and issubclass(one, msgspec.Struct):
            return one
    return None
