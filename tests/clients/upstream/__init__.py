"""A stand-in for four providers on loopback: it says how much each call used, or fails as it was told.

What to answer stands in the request's last message (or ``input`` or ``prompt``): an order of
`tests.clients.scenarios`, such as "cached", "fail 429", "break" (a stream that ends early) or "slow".
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.clients.upstream import anthropic, bedrock, google, openai
from tests.clients.upstream.answering import Answer, Stream


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self._read()
        path = unquote(urlsplit(self.path).path)
        answer = _answer(path, raw)
        if isinstance(answer, Stream):
            return self._stream(answer)
        return self._send(answer)

    def _read(self) -> bytes:
        """Return the body, however its length is told."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _stream(self, stream: Stream) -> None:
        self.send_response(200)
        self.send_header("Content-Type", stream.content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self._headers(stream.headers)
        for part in stream.parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        if stream.is_cut:
            # Without the last chunk the client sees that something is missing.
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, answer: Answer) -> None:
        try:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self._headers(answer.headers)
            self.wfile.write(answer.body)
        except (BrokenPipeError, ConnectionResetError):
            # A client that did not wait is what "slow" is for.
            self.close_connection = True

    def _headers(self, headers: dict[str, str]) -> None:
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


def _answer(path: str, raw: bytes) -> Answer | Stream:
    if path.endswith("/audio/transcriptions"):
        return openai.transcription()
    request = json.loads(raw or b"{}")
    if path.endswith("/messages"):
        return anthropic.answer(request)
    if ":generateContent" in path or ":streamGenerateContent" in path:
        return google.answer(path, request)
    if path.startswith("/model/"):
        return bedrock.answer(path, request)
    return openai.answer(path, request)


def start() -> ThreadingHTTPServer:
    """Serve on a free port of loopback until ``shutdown()``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
