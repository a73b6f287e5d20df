"""What goes over the wire: light pages, packed, and static files that are fetched once."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.test.utils import override_settings

from accounts.models import Gateway, User
from logs.models import UsageRecord
from routescope.run.static_files import StaticFiles
from tests.cast import NOON, event, signed_in, store
from tests.task_cast import a_task

OTHERS = ["admin", "account", "mfa"]
"""Folders of packages whose files no page of ours is drawn with."""
SOURCE = Path(settings.BASE_DIR) / "static"

MANIFEST = {"staticfiles": {"BACKEND": "routescope.run.static_storage.SmallStaticFilesStorage"}}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the static files as they are served, while the settings know it."""
    root = tmp_path_factory.mktemp("static")
    with override_settings(STATIC_ROOT=root, STORAGES=MANIFEST):
        call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=OTHERS)
        yield root


@pytest.fixture
def month(alice: User, gateway: Gateway) -> Client:
    """Alice signed in, with a month of records, in every bucket of the chart."""
    store(
        gateway,
        *(
            event(
                created_at=NOON + timedelta(minutes=61 * n),
                token=f"token-{n % 2}",
                model=f"model-{n % 6}",
                group=f"group{n % 2}",
                input_tokens=n * 37 % 9000,
                output_tokens=n * 13 % 900,
                duration_ms=n * 41 % 30_000,
            )
            for n in range(700)
        ),
    )
    return signed_in(alice)


@pytest.mark.parametrize(
    ("shown", "mark", "most"),
    # Six parts of each bar, drawn and in numbers, weigh more than three.
    [({}, b"bar-success", 60), ({"chart": "tokens", "stack": "model"}, b"bar-part-5", 68)],
    ids=["as it is", "divided"],
)
def test_a_swap_of_fifty_rows_weighs_under_60_kilobytes_and_is_packed(
    month: Client, shown: dict[str, str], mark: bytes, most: int
) -> None:
    query = {"start": "2026-03-10T12:17Z", "end": "2026-04-09T11:47Z", **shown}
    headers = {"hx-request": "true"}
    page = month.get("/records/usage/results/", query, headers=headers)
    assert page.content.count(b'<tr class="record">') == 50
    assert mark in page.content
    assert len(page.content) < most * 1024
    packed = month.get("/records/usage/results/", query, headers={**headers, "accept-encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.content) < most // 5 * 1024
    assert mark in gzip.decompress(packed.content)


def test_static_files_are_named_by_their_content_packed_and_kept_for_ever(
    collected: Path,
) -> None:
    served = StaticFiles()
    [hashed] = list((collected / "css").glob("listing.*.css"))
    answer = served.answer("GET", f"/static/css/{hashed.name}", [(b"accept-encoding", b"gzip, br")])
    headers = dict(answer.headers)
    assert headers[b"cache-control"] == b"max-age=315360000, public, immutable"
    assert headers[b"content-encoding"] == b"br"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert answer.content == hashed.with_name(f"{hashed.name}.br").read_bytes()
    asked = [(b"if-none-match", headers[b"etag"])]
    assert served.answer("GET", f"/static/css/{hashed.name}", asked).status == 304
    assert served.answer("POST", f"/static/css/{hashed.name}", []).status == 405
    for outside in ("/static/../manage.py", "/static/css/", "/static/css/none.css"):
        assert served.answer("GET", outside, []).status == 404


def test_own_scripts_and_styles_of_any_page_weigh_less_than_40_kilobytes_on_the_wire(
    collected: Path, month: Client
) -> None:
    record = UsageRecord.objects.latest("created_at")
    task = a_task(User.objects.get(), Gateway.objects.get())
    pages = (
        "/records/usage/",
        f"/records/usage/{record.pk}/",
        "/records/tasks/",
        f"/records/tasks/{task.pk}/",
        "/tokens/",
        "/exports/",
        "/exports/new/?tab=usage",
        "/profile/",
        "/learn/",
        "/learn/consumption/",
    )
    for path in pages:
        answer = month.get(path)
        assert answer.status_code == 200, path
        files = set(re.findall(r'"/static/((?:css|js)/[^"]+)"', answer.content.decode()))
        assert len(files) > 15, path
        weight = sum((collected / f"{one}.br").stat().st_size for one in files)
        assert weight < 40_000, path


def test_comments_in_styles_are_not_sent_and_nothing_else_is_left_out(collected: Path) -> None:
    sources = sorted((SOURCE / "css").glob("*.css"))
    assert len(sources) > 20
    for source in sources:
        written = re.sub(r"/\*.*?\*/", "", source.read_text(), flags=re.DOTALL)
        sent = (collected / "css" / source.name).read_text()
        assert "/*" not in sent, source.name
        assert sent.split() == written.split(), source.name
