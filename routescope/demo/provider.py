"""A provider for the demo and the tests: a real HTTP server on loopback that speaks three providers' shapes.

Runway (``/v1/tasks/ID``), Replicate (``/v1/predictions/ID``) and Suno relays (``/suno/fetch/ID``). What
becomes of a task stands in its ID, so the server keeps nothing and may be restarted at any time:
``<what>.<end>.<start in ms>.<length in ms>.<number>``, for example ``image.succeeded.1767225600000.20000.7``.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import sys
import threading
import time
import wave
import zlib
from collections import Counter
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from routescope.demo.film import film

QUEUED_SHARE = 0.2
"""Of a task's length, what it spends in the queue."""
ENDS = ("succeeded", "failed", "moderated", "cancelled")


def plan(what: str, end: str, number: int, *, start: float, seconds: float) -> str:
    """Return the ID of a task that begins at ``start`` (epoch seconds) and takes ``seconds`` to its
    ``end``.
    """
    return f"{what}.{end}.{round(start * 1000)}.{round(seconds * 1000)}.{number}"


class DevelopmentProvider(ThreadingHTTPServer):
    """The server. ``down``: connections are cut; ``faults``: one of so many requests is refused with 429
    or 500.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int = 0, *, faults: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.down = threading.Event()
        self.faults = faults
        self.delay = 0.0
        """Seconds that every answer takes."""
        self.polls: Counter[str] = Counter()
        self._count = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> DevelopmentProvider:
        """Serve in a thread of its own."""
        threading.Thread(target=self.serve_forever, name="development provider", daemon=True).start()
        return self

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of what went wrong, but for a client that went away: it asks again, or was ended."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def counted(self, task_id: str) -> int:
        """Count a poll; return its number over all."""
        with self._lock:
            self.polls[task_id] += 1
            self._count += 1
            return self._count


class _Handler(BaseHTTPRequestHandler):
    server: DevelopmentProvider
    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_GET(self) -> None:  # the name that http.server calls
        if self.server.down.is_set():
            self.close_connection = True
            return
        if self.server.delay:
            time.sleep(self.server.delay)
        head, _, name = self.path.partition("?")[0].rpartition("/")
        if head == "/media":
            self._media(name)
        elif head in _SHAPES:
            number = self.server.counted(name)
            if self.server.faults and number % self.server.faults == 0:
                self._fault(number)
                return
            try:
                self._send(200, json.dumps(_SHAPES[head](name, self.server.url)).encode())
            except (ValueError, KeyError):
                self._send(404, b'{"error": "Task not found"}')
        else:
            self._send(404, b'{"error": "Not found"}')

    def _fault(self, number: int) -> None:
        if number // self.server.faults % 2:
            self._send(429, b'{"error": "Too many requests"}', ("Retry-After", "1"))
        else:
            self._send(500, b'{"error": "Internal error"}')

    def _media(self, name: str) -> None:
        stem, _, ending = name.rpartition(".")
        number = int(stem) if stem.isdecimal() and len(stem) < 10 else zlib.crc32(stem.encode()) % 1000
        made = _MADE.get(ending)
        if made is None:
            self._send(404, b"")
            return
        kind, make = made
        body = make(number)
        # Any page may read it, as where real providers serve from, and players ask for parts.
        headers = [("Content-Type", kind), ("Access-Control-Allow-Origin", "*"), ("Accept-Ranges", "bytes")]
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is None:
            self._send(200, body, *headers)
            return
        first = int(wanted[1])
        last = min(int(wanted[2] or len(body)), len(body) - 1)
        if first > last:
            self._send(416, b"", ("Content-Range", f"bytes */{len(body)}"))
            return
        headers.append(("Content-Range", f"bytes {first}-{last}/{len(body)}"))
        self._send(206, body[first : last + 1], *headers)

    def _send(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in dict([("Content-Type", "application/json"), *headers]).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a demo polls all the time."""


def _state(task_id: str) -> tuple[str, str, float, int, float]:
    """Return what is made, the state now, how far it is (0 to 1), its number, and when it ends."""
    what, end, start, length, number = task_id.split(".")
    done = (time.time() * 1000 - int(start)) / max(1, int(length))
    ends_at = (int(start) + int(length)) / 1000
    state = end if done >= 1 else "running" if done >= QUEUED_SHARE else "queued"
    return what, state, min(1.0, max(0.0, done)), int(number), ends_at


def _runway(task_id: str, base: str) -> dict[str, Any]:
    what, state, done, number, _ = _state(task_id)
    words = {
        "queued": "PENDING",
        "running": "RUNNING",
        "succeeded": "SUCCEEDED",
        "cancelled": "CANCELLED",
    }
    answer: dict[str, Any] = {"id": task_id, "status": words.get(state, "FAILED")}
    if state == "running":
        answer["progress"] = round(done, 2)
    elif state == "succeeded":
        answer["output"] = [f"{base}/media/{_file(what, number)}"]
    elif state == "moderated":
        answer |= {"failure": "The prompt was flagged by safety filters.", "failureCode": "SAFETY.INPUT.TEXT"}
    elif state == "failed":
        answer |= {
            "failure": "An unexpected error occurred while generating.",
            "failureCode": "INTERNAL.BAD_OUTPUT.CODE01",
        }
    return answer


def _replicate(task_id: str, base: str) -> dict[str, Any]:
    what, state, _, number, _ = _state(task_id)
    words = {
        "queued": "starting",
        "running": "processing",
        "succeeded": "succeeded",
        "cancelled": "canceled",
    }
    errors = {
        "failed": "CUDA out of memory. Tried to allocate 2.50 GiB (GPU 0)",
        "moderated": "NSFW content detected. Try running it again, or try a different prompt.",
    }
    count = pictures(number) if what == "image" else 1
    files = [f"{base}/media/{_file(what, number * 10 + index)}" for index in range(count)]
    return {
        "id": task_id,
        "status": words.get(state, "failed"),
        "output": files if state == "succeeded" else None,
        "error": errors.get(state),
        "urls": {"get": f"{base}/v1/predictions/{task_id}"},
    }


def _suno(task_id: str, base: str) -> dict[str, Any]:
    _, state, done, number, ends_at = _state(task_id)
    words = {"queued": "QUEUED", "running": "IN_PROGRESS", "succeeded": "SUCCESS"}
    reasons = {
        "failed": "The style could not be generated",
        "moderated": "Lyrics failed moderation",
        "cancelled": "Cancelled by the user",
    }
    song = {"audio_url": f"{base}/media/{number}.wav", "image_url": f"{base}/media/{number}.png"}
    return {
        "code": "success",
        "data": {
            "task_id": task_id,
            "action": "MUSIC",
            "status": words.get(state, "FAILURE"),
            "progress": f"{100 * done:.0f}%",
            "fail_reason": reasons.get(state, ""),
            "finish_time": round(ends_at) if done >= 1 else 0,
            "data": [song] if state == "succeeded" else [],
        },
    }


_RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")
_SHAPES = {"/v1/tasks": _runway, "/v1/predictions": _replicate, "/suno/fetch": _suno}


_ENDINGS = {"audio": "wav", "music": "wav", "video": "mp4"}


def _file(what: str, number: int) -> str:
    return f"{number}.{_ENDINGS.get(what, 'png')}"


def pictures(number: int) -> int:
    """Return how many pictures the task of this number makes, where it is for pictures."""
    return 1 + number % 4


# --- What it makes ---------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def picture(number: int, width: int = 640, height: int = 480) -> bytes:
    """Return a PNG: slow waves of colour, another for each number."""
    across = [math.sin(x / 87 + number) for x in range(width)]
    slanted = [round(105 + 40 * math.sin(at / 109 + number * 1.3)) for at in range(width + height)]
    rows = []
    for y in range(height):
        down = math.sin(y / 61 - number * 0.7)
        row = bytearray([0])
        for x in range(width):
            wave_here = across[x] + down
            row += bytes((round(110 + 45 * wave_here), slanted[x + y], round(150 + 17 * wave_here)))
        rows.append(bytes(row))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    )


@lru_cache(maxsize=32)
def sound(number: int, seconds: float = 3, rate: int = 8000) -> bytes:
    """Return a WAV: a chord that fades, another for each number."""
    root = 220 * 2 ** (number % 12 / 12)
    frames = bytearray()
    for index in range(round(seconds * rate)):
        at = index / rate
        level = sum(math.sin(2 * math.pi * root * step * at) for step in (1, 1.25, 1.5))
        frames += struct.pack("<h", round(7000 * level / 3 * math.exp(-at)))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(frames))
    return out.getvalue()


_MADE = {"png": ("image/png", picture), "wav": ("audio/wav", sound), "mp4": ("video/mp4", film)}
