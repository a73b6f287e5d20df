"""The web server: what it sends and says of its health, and how its processes begin and end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from django.db import connection

from accounts.exports import exporting
from accounts.models import Export, User
from logs.models import UsageRecord
from tests.web_server import (
    LIMIT,
    MARKS,
    Server,
    collected,
    key,
    locked,
    person,
    post,
    read_all,
    record,
    server,
    shared,
    start,
    status_of,
    wait,
    waits_for_a_lock,
)

__all__ = ["collected", "key", "person", "server", "shared", "start"]

pytestmark = MARKS


# --- Answers -----------------------------------------------------------------------------------------------


def test_a_download_is_sent_as_fast_as_it_is_read_and_holds_no_thread(server: Server, alice: User) -> None:
    export = Export.objects.create(
        user=alice, source="usage", format="csv", columns=[], status=Export.Status.DONE, sha256="a" * 64
    )
    export.folder.mkdir(parents=True)
    content = os.urandom(1 << 20) * 24
    export.path.write_bytes(content)
    path = f"/exports/file/{exporting.signed(export)}/"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(12)]
        for connected in slow:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connected.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            assert status_of(connected.recv(20)) == 200
        status, _, body = server.get(path)
        assert (status, body == content) == (200, True)
        status, _, body = server.get(path, Range="bytes=1000000-9999999")
        assert (status, body == content[1_000_000:10_000_000]) == (206, True)
        assert server.get(path, "HEAD")[1]["content-length"] == str(len(content))
        # They read nothing more: they are cut off, and get what was under way at most.
        assert all(len(read_all(connected)) < len(content) for connected in slow[:3])
        wait(lambda: not open_files(server, export.path))


def open_files(server: Server, path: Path) -> list[str]:
    found = []
    for pid in server.workers():
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if link.readlink() == path:
                    found.append(link.name)
    return found


# --- Health ------------------------------------------------------------------------------------------------


def test_readiness_says_which_part_is_missing(server: Server) -> None:
    assert json.loads(server.get("/readyz")[2]) == {"database": "ok", "migrations": "ok"}
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'tasks' AND name LIKE '0002%' RETURNING name"
        )
        [(name,)] = cursor.fetchall()
        try:
            status, _, body = server.get("/readyz")
            assert status == 503
            assert json.loads(body) == {"database": "ok", "migrations": f"1 not applied, tasks.{name} first"}
            assert server.get("/livez")[0] == 200
        finally:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied) VALUES ('tasks', %s, now())", [name]
            )
    assert server.get("/readyz", "POST")[0] == 405


def test_a_database_that_does_not_answer_is_told_within_a_second_or_two(server: Server) -> None:
    with locked("django_migrations"):
        started = time.monotonic()
        status, _, body = server.get("/readyz")
        assert status == 503
        assert json.loads(body)["database"] != "ok"
        assert time.monotonic() - started < 5
        assert server.get("/livez")[0] == 200
    wait(lambda: server.get("/readyz")[0] == 200)


def test_a_database_that_is_away_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    try:
        with contextlib.suppress(AssertionError):
            wait(lambda: _answers(server))
        status, _, body = server.get("/readyz")
        assert (status, json.loads(body)["database"]) == (503, "cannot be reached")
        assert server.get("/livez")[0] == 200
    finally:
        server.stop()


def _answers(server: Server) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.get("/livez")[0] == 200
    return False


# --- Processes ---------------------------------------------------------------------------------------------


def test_a_process_that_is_killed_is_replaced(start: Callable[..., Server]) -> None:
    server = start()
    [before] = server.workers()
    os.kill(before, signal.SIGKILL)
    wait(lambda: server.workers() not in ([], [before]) and _answers(server))
    assert server.get("/readyz")[0] == 200
    server.stop()
    server.said.write_text("")  # gunicorn tells of the kill, as it should.


def test_requests_under_way_are_answered_before_it_ends(start: Callable[..., Server], key: str) -> None:
    server = start(WEB_STALL_SECONDS="30")
    with contextlib.ExitStack() as stack:
        with locked("accounts_ingestkey"):
            asked = stack.enter_context(server.connect())
            asked.sendall(post(json.dumps(record(1)).encode(), f"Authorization: Bearer {key}"))
            silent = stack.enter_context(server.connect())
            wait(waits_for_a_lock)
            server.process.send_signal(signal.SIGTERM)
            assert read_all(silent) == b""
        status = status_of(read_all(asked))
    assert server.process.wait(LIMIT) == 0
    assert (status, UsageRecord.objects.count()) in {(200, 1), (503, 0)}, "503: the lock was held too long"


def test_it_listens_on_ipv6(tmp_path: Path) -> None:
    server = Server(tmp_path, HOST="::1")
    try:
        wait(lambda: _answers_at("::1", server.port))
    finally:
        assert server.stop() == ""


def _answers_at(host: str, port: int) -> bool:
    asking = http.client.HTTPConnection(host, port, timeout=LIMIT)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(asking):
        asking.request("GET", "/livez")
        return asking.getresponse().status == 200
    return False


def test_requests_are_told_one_by_one_where_that_is_asked_for(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    server = Server(tmp_path, ACCESS_LOG="1")
    server.until_ready()
    server.get("/accounts/login/?next=/tokens/")
    assert '"GET /accounts/login/?next=/tokens/ HTTP/1.1" 200' in server.stop()
