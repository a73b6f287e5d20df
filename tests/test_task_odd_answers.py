"""Whatever a provider answers, and however its definition breaks: it is a try and costs no other task."""

from __future__ import annotations

import gzip
import json
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks.models import EventReason, HostHealth, Provider, ProviderCredential, TaskStatus
from tasks.providers.catalogue import built_in_source
from tests import task_cast as cast
from tests.cast import signed_in
from tests.raw_provider import DONE, Raw, _Handler, alice, answer, at, counted, edge, poll_all, raw

__all__ = ["alice", "edge", "raw"]

DEEP = b"[" * 100_000 + b"]" * 100_000


# --- What a provider may answer --------------------------------------------------------------------------

UNREADABLE = {
    "deep arrays": answer(DEEP),
    "deep objects": answer(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "4,000 digits": answer(b'{"status": "running", "progress": ' + b"9" * 4_000 + b"}"),
    "a number beyond floats": answer(b'{"status": "running", "progress": 1e999}'),
    "invalid UTF-8": answer(b'{"status": "\xff\xfe"}'),
    "a page": answer(b"<html>\x1b[31m\x00not found</html>", "Content-Type: text/html"),
    "nothing": answer(b""),
    "a list": answer(b"[1, 2]"),
    "a gzip bomb": answer(gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip"),
    "too much": answer(b'{"a": "' + b"x" * 5_000_000 + b'"}'),
    "a redirect to no URL": answer(b"", "Location: http://[", status="302 Found"),
    "a redirect to itself": answer(b"", "Location: /again", status="302 Found"),
}


@pytest.mark.parametrize("said", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_nobody_can_read_is_a_try_and_not_the_hosts_fault(
    raw: Raw, alice: User, edge: Gateway, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    raw.answers |= {"odd": said, "again": said, "well": answer(DONE)}
    odd, well = at(raw, "odd", alice, edge), at(raw, "well", alice, edge)
    assert poll_all() == 2
    event = counted(odd, EventReason.UNREADABLE)
    assert event.note.isprintable()
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED
    assert not HostHealth.objects.exists() and "Traceback" not in caplog.text
    assert signed_in(alice).get(f"/records/tasks/{odd.pk}/").status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        b'{"status": "succeeded", "progress": NaN, "result": "a poem"}',
        b'{"status": "succeeded", "result": "a \\ud83d poem"}',
        b'{"status": "failed", "status": "succeeded", "result": "a poem \\u0000"}',
        b'\xef\xbb\xbf{"status": "succeeded", "result": ["https://[", "https://x.example/a.png"]}',
        b'{"status": "succeeded", "result": [1e308, 0.0, -1], "expires_at": 1e300}',
        b'{"status": "succeeded", "result": {"a": "b"}, "started_at": "0001-01-01T00:00:00+14:00"}',
    ],
)
def test_an_odd_answer_that_can_be_read_ends_the_task(
    raw: Raw, alice: User, edge: Gateway, said: bytes
) -> None:
    raw.answers["odd"] = answer(said)
    task = at(raw, "odd", alice, edge)
    poll_all()
    task.refresh_from_db()
    assert task.status == TaskStatus.SUCCEEDED and task.result
    assert signed_in(alice).get(f"/records/tasks/{task.pk}/").status_code == 200


@pytest.mark.parametrize(
    "after", ["1e300", "inf", "nan", "-5", "9" * 400, "Fri, 31 Dec 9999 23:59:59 -2359", "soon"]
)
def test_no_retry_after_breaks_a_poll_or_stops_a_host_for_more_than_an_hour(
    raw: Raw, alice: User, edge: Gateway, after: str
) -> None:
    raw.answers["odd"] = answer(b"{}", f"Retry-After: {after}", status="429 Too Many Requests")
    task = at(raw, "odd", alice, edge)
    poll_all()
    counted(task, EventReason.SLOWED)
    paused = HostHealth.objects.get(host=raw.host).paused_until
    assert paused is None or paused <= timezone.now() + timedelta(hours=1)


def test_a_provider_that_drips_is_cut_off(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT", 0.5)
    over = threading.Event()

    def drip(handler: _Handler) -> None:
        handler.wfile.write(answer(b"{", length=10_000))
        while not over.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    raw.answers["odd"] = drip
    task = at(raw, "odd", alice, edge)
    started = time.monotonic()
    poll_all()
    over.set()
    assert time.monotonic() - started < 5
    counted(task, EventReason.NO_ANSWER)
    assert HostHealth.objects.get(host=raw.host).failures == 1


def test_a_key_that_no_request_can_carry_is_told(
    raw: Raw, alice: User, edge: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    cast.a_key("runway", "key—\n", base_url=raw.url("")[:-1])
    task = cast.a_task(alice, edge)
    poll_all()
    assert "no request can carry" in counted(task, EventReason.NO_ANSWER).note
    assert not raw.asked and not HostHealth.objects.exists() and "Traceback" not in caplog.text


def test_a_credential_of_another_key_is_told_and_stops_nobody(
    raw: Raw, alice: User, edge: Gateway, settings: SettingsWrapper
) -> None:
    keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = ["another"]
    ProviderCredential.objects.create(platform="runway", api_key="secret")
    settings.ENCRYPTION_KEYS = keys
    raw.answers["well"] = answer(DONE)
    task, well = cast.a_task(alice, edge), at(raw, "well", alice, edge)
    poll_all()
    counted(task, EventReason.NO_ANSWER)
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED


# --- Definitions that break ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("result[::0]", "cannot be worked out"),
        ("ceil(to_number('1e999'))", "cannot be worked out"),
        ("|".join(["[@, @][]"] * 40), "steps"),
        ("result[].[" + ", ".join(["map(&[@, @], @)"] * 30) + "][][][]", None),
    ],
)
def test_an_expression_without_end_is_a_try_and_its_fault_is_named(
    raw: Raw, alice: User, edge: Gateway, expression: str, says: str | None
) -> None:
    mine = built_in_source("generic").replace('status = "status || state"', f'status = "{expression}"')
    Provider.objects.create(slug="generic", definition=mine)
    raw.answers["odd"] = answer(json.dumps({"status": "running", "result": [list(range(50))] * 50}).encode())
    task = at(raw, "odd", alice, edge)
    started = time.monotonic()
    poll_all()
    assert time.monotonic() - started < 10
    event = counted(task, EventReason.UNREADABLE)
    assert says is None or says in event.note


def test_a_stored_definition_that_breaks_its_reader_costs_no_other(
    raw: Raw, alice: User, edge: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Provider.objects.create(slug="mine", definition="a = " + "[" * 5_000)
    Provider.objects.create(slug="mine-2", definition="a = " + "9" * 5_000)
    Provider.objects.create(slug="mine-3", definition='slug = "' + "x" * 70_000 + '"')
    raw.answers["well"] = answer(DONE)
    well = at(raw, "well", alice, edge)
    assert poll_all() == 1
    well.refresh_from_db()
    assert well.status == TaskStatus.SUCCEEDED and all(
        f"The provider {slug} as changed" in caplog.text for slug in ("mine", "mine-2", "mine-3")
    )
