"""An installation of new-api on SQLite, with what it logs."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from logs.ingest.formats.newapi_other import CONSUME, ERROR

NOW = int(time.time()) - 3600
COLUMNS = (
    "id INTEGER PRIMARY KEY, created_at bigint, type int, content text, username text, token_name text,"
    " model_name text, quota int, prompt_tokens int, completion_tokens int, use_time int, is_stream numeric,"
    ' channel_id int, "group" text, ip text, request_id text, upstream_request_id text, other text'
)
RATIOS = {
    "model_ratio": 1.25,
    "completion_ratio": 4,
    "group_ratio": 0.5,
    "cache_tokens": 400,
    "cache_ratio": 0.5,
}
# (600 + 400 * 0.5 + 100 * 4) * 1.25 * 0.5 = 750
CALL: dict[str, Any] = {
    "type": CONSUME, "username": "ann", "token_name": "prod", "model_name": "gpt-4o", "quota": 750,
    "prompt_tokens": 1000, "completion_tokens": 100, "use_time": 3, "is_stream": 1, "channel_id": 7,
    "group": "vip", "ip": "192.0.2.9", "content": "", "other": json.dumps({**RATIOS, "frt": 420}),
}  # fmt: skip
FAILED: dict[str, Any] = {
    **CALL, "type": ERROR, "quota": 0, "prompt_tokens": 0, "completion_tokens": 0, "channel_id": 3,
    "content": "upstream is overloaded",
    "other": json.dumps({"error_type": "upstream_error", "error_code": "overloaded", "status_code": 529}),
}  # fmt: skip


class Installation:
    """A new-api installation on SQLite."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = sqlite3.connect(path)
        self.database.execute(f"CREATE TABLE logs ({COLUMNS})")

    def log(self, **row: Any) -> int:
        row = {"created_at": NOW, **row}
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        cursor = self.database.execute(f"INSERT INTO logs ({names}) VALUES ({marks})", list(row.values()))
        self.database.commit()
        assert cursor.lastrowid
        return cursor.lastrowid

    def imported(self, **options: Any) -> str:
        told = io.StringIO()
        call_command(
            "import_newapi", source=f"sqlite:///{self.path}", stdout=told, stderr=io.StringIO(), **options
        )
        return told.getvalue()


@pytest.fixture
def installation(tmp_path: Path, db: None) -> Iterator[Installation]:
    made = Installation(tmp_path / "one-api.db")
    yield made
    made.database.close()
