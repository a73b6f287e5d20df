"""What the settings tell of who can reach the console, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_ASK = "from django.conf import settings; print(settings.ONLY_THIS_MACHINE)"
_KEY = "pXl4bq0e9wqMZ0mUe2mFJjWv3lZ5Wc7bnnD1Gqz3m5lcS"


@pytest.mark.parametrize(
    ("environment", "only"),
    [
        ({}, True),
        ({"BASE_URL": "http://localhost:8001", "HOST": "::1"}, True),
        ({"ALLOWED_HOSTS": "127.0.0.2,[::1]"}, True),
        ({"BASE_URL": "https://routescope.example"}, False),
        ({"BASE_URL": "http://10.1.2.3:8000"}, False),
        ({"HOST": "0.0.0.0"}, False),
        ({"HOST": "10.1.2.3"}, False),
        ({"ALLOWED_HOSTS": "127.0.0.1,routescope.example"}, False),
        ({"ALLOWED_HOSTS": "*"}, False),
        ({"TRUSTED_PROXIES": "1"}, False),
        ({"DATABASE_URL": "postgresql://routescope@db/routescope", "SECRET_KEY": _KEY}, False),
    ],
    ids=str,
)
def test_the_demo_opens_only_where_nobody_else_comes(environment: dict[str, str], only: bool) -> None:
    unset = {
        "BASE_URL",
        "HOST",
        "ALLOWED_HOSTS",
        "TRUSTED_PROXIES",
        "DATABASE_URL",
        "SECRET_KEY",
        "REDIS_URL",
    }
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        env={**kept, **environment, "DJANGO_SETTINGS_MODULE": "routescope.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == str(only), done.stderr
