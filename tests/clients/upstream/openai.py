"""OpenAI's wire format: chat completions, responses, embeddings, images, speech and transcriptions."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.clients.scenarios import Refusal, Used
from tests.clients.upstream.answering import Answer, Stream, number, spaced, text, told, wanted

JSONObject = dict[str, Any]
_SAID = "An answer."


def answer(path: str, request: JSONObject) -> Answer | Stream:
    """Answer a request to any path but transcriptions."""
    if path.endswith("/images/generations"):
        images = [{"b64_json": "iVBORw0KGgo="} for _ in range(int(request.get("n") or 1))]
        return told({"created": int(time.time()), "data": images}, _headers(f"req_{number()}"))
    if path.endswith("/audio/speech"):
        return Answer(b"ID3 spoken", headers={"x-request-id": f"req_{number()}"}, content_type="audio/mpeg")
    if path.endswith("/embeddings"):
        return _embedding(request)
    order = text(request.get("input") or request.get("messages"))
    scenario, refusal = wanted("openai", order)
    if refusal:
        return refused(refusal)
    if path.endswith("/responses"):
        return _response(request, scenario.used, order)
    return _completion(request, scenario.used, order)


def transcription() -> Answer:
    """Answer an upload of seven seconds."""
    return told({"text": "spoken", "usage": {"type": "duration", "seconds": 7}}, {})


def refused(refusal: Refusal) -> Answer:
    error = {"message": refusal.message, "type": refusal.kind, "param": None, "code": refusal.code}
    return told({"error": error}, _headers(f"req_{number():08}"), refusal.http_status)


def _headers(request_id: str) -> dict[str, str]:
    return {"x-request-id": request_id}


def _embedding(request: JSONObject) -> Answer:
    order = text(request["input"]) or "embed"
    scenario, refusal = wanted("openai", order)
    if refusal:
        return refused(refusal)
    usage = {"prompt_tokens": scenario.used.input, "total_tokens": scenario.used.input}
    vector: Any = "zczMPc3MTD4=" if request.get("encoding_format") == "base64" else [0.1, 0.2]
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    return told({"object": "list", "model": request["model"], "data": data, "usage": usage}, {})


def _completion(request: JSONObject, used: Used, order: str) -> Answer | Stream:
    base = {
        "id": f"chatcmpl-{number():08}",
        "created": int(time.time()),
        "model": request["model"],
        "system_fingerprint": "fp_fake",
        "service_tier": "default",
    }
    headers = {"x-request-id": f"req_{base['id']}"}
    if request.get("stream"):
        wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        chunks = _chunks({**base, "object": "chat.completion.chunk"}, used, wants_usage)
        parts = [_event(chunk) for chunk in chunks]
        if order == "break":
            return Stream(spaced(parts[:3]), is_cut=True, headers=headers)
        return Stream(spaced([*parts, b"data: [DONE]\n\n"]), headers=headers)
    message: JSONObject = {"role": "assistant", "content": _SAID, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    body = {**base, "object": "chat.completion", "choices": [choice], "usage": _usage(used)}
    return told(body, headers)


def _chunks(base: JSONObject, used: Used, wants_usage: bool) -> list[JSONObject]:
    deltas: tuple[JSONObject, ...] = (
        {"role": "assistant", "content": ""},
        {"content": "An "},
        {"content": "answer."},
        {},
    )
    chunks = [
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    return [*chunks, {**base, "choices": [], "usage": _usage(used)}] if wants_usage else chunks


def _event(chunk: JSONObject, name: str = "") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(chunk)}\n\n".encode()


def _usage(used: Used) -> JSONObject:
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": used.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _response(request: JSONObject, used: Used, order: str) -> Answer | Stream:
    count = number()
    item = {
        "id": f"msg_{count:08}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": _SAID, "annotations": [], "logprobs": []}],
    }
    body = {
        "id": f"resp_{count:08}",
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": int(time.time()),
        "status": "completed",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": request["model"],
        "output": [item],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": used.input,
            "input_tokens_details": {"cached_tokens": used.cached, "cache_write_tokens": 0},
            "output_tokens": used.output,
            "output_tokens_details": {"reasoning_tokens": used.reasoning},
            "total_tokens": used.input + used.output,
        },
        "metadata": {},
    }
    headers = {"x-request-id": f"req_{body['id']}"}
    if not request.get("stream"):
        return told(body, headers)
    parts = _response_events(body, item)
    if order == "break":
        return Stream(spaced(parts[:5]), is_cut=True, headers=headers)
    return Stream(spaced(parts), headers=headers)


def _response_events(body: JSONObject, item: JSONObject) -> list[bytes]:
    begun = {**body, "status": "in_progress", "output": [], "usage": None, "completed_at": None}
    [content] = item["content"]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    events: list[JSONObject] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0,
         "item": {**item, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **place, "part": {**content, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": "An ", "logprobs": []},
        {"type": "response.output_text.delta", **place, "delta": "answer.", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": _SAID, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": content},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": body},
    ]  # fmt: skip
    return [_event({**event, "sequence_number": n}, event["type"]) for n, event in enumerate(events)]
