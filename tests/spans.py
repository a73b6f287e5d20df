"""Spans as instrumentations export them, in OTLP's JSON."""

from __future__ import annotations

import itertools
import time
from typing import Any

PATH = "/v1/traces"
NOW = int(time.time()) - 60


def value(given: Any) -> dict[str, Any]:
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(part) for part in given]}}
    return {kinds[type(given)]: str(given) if type(given) is int else given}


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(part)} for name, part in given.items()]


_ids = itertools.count(1)


def span(given: dict[str, Any], *, at: float = 0.0, lasts: float = 1.0, **more: Any) -> dict[str, Any]:
    number = next(_ids)
    start = NOW * 10**9 + round(at * 10**9)
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": start + round(lasts * 10**9),
        "attributes": attributes(given),
        **more,
    }


def request(*spans: dict[str, Any], scope: str = "app", service: str = "demo") -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes({"service.name": service})},
                "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
            }
        ]
    }


CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 10,
}
