"""Gemini's wire format: generateContent, whose thoughts are counted beside its candidates."""

from __future__ import annotations

import json
from typing import Any

from tests.clients.scenarios import Refusal, Used
from tests.clients.upstream.answering import Answer, Stream, number, spaced, text, told, wanted

JSONObject = dict[str, Any]


def answer(path: str, request: JSONObject) -> Answer | Stream:
    order = text(request["contents"])
    scenario, refusal = wanted("google", order)
    if refusal:
        return _refused(refusal)
    base = {"modelVersion": path.rpartition("/")[2].partition(":")[0], "responseId": f"gen{number():08}"}
    if ":stream" not in path:
        return told(
            {**base, "candidates": [_candidate("An answer.", True)], "usageMetadata": _usage(scenario.used)},
            {},
        )
    parts = [
        _event({**base, "candidates": [_candidate("An ", False)]}),
        _event({**base, "candidates": [_candidate("answer.", True)], "usageMetadata": _usage(scenario.used)}),
    ]
    if order == "break":
        return Stream(spaced(parts[:1]), is_cut=True)
    return Stream(spaced(parts))


def _candidate(said: str, is_last: bool) -> JSONObject:
    found: JSONObject = {"content": {"parts": [{"text": said}], "role": "model"}, "index": 0}
    return {**found, "finishReason": "STOP"} if is_last else found


def _usage(used: Used) -> JSONObject:
    found = {
        "promptTokenCount": used.input,
        "candidatesTokenCount": used.output - used.reasoning,
        "totalTokenCount": used.input + used.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": used.input}],
    }
    if used.cached:
        found["cachedContentTokenCount"] = used.cached
    if used.reasoning:
        found["thoughtsTokenCount"] = used.reasoning
    return found


def _event(chunk: JSONObject) -> bytes:
    return f"data: {json.dumps(chunk)}\r\n\r\n".encode()


def _refused(refusal: Refusal) -> Answer:
    error = {"code": refusal.http_status, "message": refusal.message, "status": refusal.kind}
    return told({"error": error}, {}, refusal.http_status)
