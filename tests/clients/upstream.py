"""A stand-in for the OpenAI API on loopback: it says how much each call used, or fails as it was told.

What to answer stands in the request's last message (or ``input`` or ``prompt``): "ok", "cached", "reasoning",
or "fail 401", "fail 429", "fail 500", "break" (a stream that ends early).
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "ok": {"prompt_tokens": 19, "completion_tokens": 10},
    "cached": {"prompt_tokens": 2006, "completion_tokens": 300, "cached": 1920},
    "reasoning": {"prompt_tokens": 75, "completion_tokens": 1186, "reasoning": 1024},
}
ERRORS = {
    "401": ("Incorrect API key provided: sk-fake.", "invalid_request_error", "invalid_api_key"),
    "429": ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    "400": (
        "This model's maximum context length is 10 tokens.",
        "invalid_request_error",
        "context_length_exceeded",
    ),
    "500": ("The server had an error.", "server_error", None),
}
_numbers = itertools.count(1)


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        number = next(_numbers)
        if self.path.endswith("/audio/transcriptions"):
            return self._json({"text": "spoken", "usage": {"type": "duration", "seconds": 7}})
        request = json.loads(raw)
        order = _order(request)
        if order.startswith("fail "):
            return self._fail(order.removeprefix("fail "))
        if self.path.endswith("/embeddings"):
            usage = {"prompt_tokens": 8, "total_tokens": 8}
            vector = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
            return self._json({"object": "list", "model": request["model"], "data": vector, "usage": usage})
        if self.path.endswith("/images/generations"):
            count = int(request.get("n") or 1)
            images = [{"url": f"https://images.invalid/{number}-{n}.png"} for n in range(count)]
            return self._json({"created": int(time.time()), "data": images})
        answer = {
            "id": f"chatcmpl-{number:08}",
            "created": int(time.time()),
            "model": request["model"],
            "system_fingerprint": "fp_fake",
        }
        if request.get("stream"):
            return self._stream(request, answer, order)
        message = {"role": "assistant", "content": "An answer.", "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return self._json(
            {**answer, "object": "chat.completion", "choices": [choice], "usage": _usage(order)}
        )

    def _stream(self, request: dict[str, Any], answer: dict[str, Any], order: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.send_header("x-request-id", f"req_{answer['id']}")
        self.end_headers()
        chunk = {**answer, "object": "chat.completion.chunk"}
        for part in ({"role": "assistant", "content": ""}, {"content": "An "}, {"content": "answer."}):
            self._event({**chunk, "choices": [{"index": 0, "delta": part, "finish_reason": None}]})
            time.sleep(0.02)
        if order == "break":
            self.close_connection = True
            return
        self._event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (request.get("stream_options") or {}).get("include_usage"):
            self._event({**chunk, "choices": [], "usage": _usage(order)})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _fail(self, status: str) -> None:
        message, kind, code = ERRORS[status]
        error = {"message": message, "type": kind, "param": None, "code": code}
        self._json({"error": error}, int(status))

    def _json(self, body: dict[str, Any], status: int = 200) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("x-request-id", f"req_{body.get('id', next(_numbers))}")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


def _order(request: dict[str, Any]) -> str:
    if messages := request.get("messages"):
        return str(messages[-1]["content"])
    return str(request.get("input") or request.get("prompt") or "ok")


def _usage(order: str) -> dict[str, Any]:
    used = USAGE.get(order, USAGE["ok"])
    return {
        "prompt_tokens": used["prompt_tokens"],
        "completion_tokens": used["completion_tokens"],
        "total_tokens": used["prompt_tokens"] + used["completion_tokens"],
        "prompt_tokens_details": {"cached_tokens": used.get("cached", 0), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": used.get("reasoning", 0),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def start() -> ThreadingHTTPServer:
    """Serve on a free port of loopback until ``shutdown()``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
