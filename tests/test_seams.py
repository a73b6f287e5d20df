"""Between the parts: frames of errors, menus' counts, Markdown, aligned money, one set of status words."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict
from django.test import Client
from django.test.utils import override_settings
from django.urls import reverse

from accounts.exports import exporting
from accounts.models import Export, Gateway, SavedView, User
from logs.models import Cause, RecordType, Status, UsageRecord
from logs.models.events import Failure
from logs.models.records import status_word
from routescope.text import formatting, markdown
from tests import discovery, linear
from tests.cast import event, just_now, signed_in, store

SIDEBAR = '<aside class="sidebar">'


# --- Errors keep the frame -------------------------------------------------------------------------------


def bad_request(client: Client, url: str, **extra: Any) -> str:
    with override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=1):
        answer = client.post(url, {"a": "1", "b": "2"}, **extra)
    assert answer.status_code == 400
    return answer.content.decode()


def test_an_error_keeps_the_frame_of_whoever_is_signed_in(alice: User) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(alice)
    pages = {
        404: client.get("/nowhere/").content.decode(),
        403: client.post(reverse("theme"), {"theme": "dark"}).content.decode(),
        400: bad_request(signed_in(alice), reverse("theme")),
    }
    for status, page in pages.items():
        assert SIDEBAR in page, status
        assert page.count("<h1>") == 1, status
        assert 'href="/exports/"' in page, status


def test_others_get_a_page_of_its_own(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    for page in (client.get("/nowhere/"), client.post(reverse("account_login"))):
        assert page.status_code in (403, 404)
        assert SIDEBAR not in page.content.decode()
        assert page.content.decode().count("<h1>") == 1


def test_a_part_of_a_page_gets_the_message_alone(alice_client: Client) -> None:
    missing = "/records/usage/00000000-0000-8000-8000-000000000000/details/"
    page = alice_client.get(missing, headers={"hx-request": "true"})
    assert page.status_code == 404
    assert "<html" not in page.content.decode()
    assert "Page not found" in page.content.decode()


def test_who_has_to_confirm_who_they_are_keeps_the_sidebar(alice_client: Client) -> None:
    session = alice_client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 0}]
    session.save()
    page = alice_client.get(reverse("account_reauthenticate")).content.decode()
    assert SIDEBAR in page and "Confirm your identity" in page


# --- A deletion asks --------------------------------------------------------------------------------------


def test_whatever_is_deleted_is_asked_for_without_a_script_too(alice: User, tmp_path: Path) -> None:
    client = signed_in(alice)
    view = SavedView.objects.create(user=alice, tab="usage", name="Failures", query="status=error")
    with override_settings(EXPORTS_DIR=tmp_path):
        export = exporting.ask(alice, "usage", "csv", ["cost"], QueryDict(), gzipped=False)
        Export.objects.filter(pk=export.pk).update(status="cancelled")
        for path, action in (
            ("/records/usage/?status=error", reverse("view-delete", args=[view.pk])),
            ("/exports/", reverse("export-delete", args=[export.pk])),
        ):
            page = client.get(path).content.decode()
            [form] = re.findall(
                rf'<form class="menu-panel" method="post" action="{action}">.*?</form>', page, re.S
            )
            assert '<p class="menu-none">' in form and "Delete" in form
            assert page.count(f'"{action}"') == 1


# --- Counts in menus --------------------------------------------------------------------------------------


@pytest.fixture
def calls(gateway: Gateway, alice: User) -> None:
    store(
        gateway,
        *(
            event(
                created_at=just_now(),
                request_id=f"req_{number}",
                token=("prod", "staging")[number % 2],
                model=("gpt-5", "claude", "")[number % 3],
                status=(Status.SUCCESS, Status.ERROR)[number % 4 == 0],
                http_status=429 if number % 4 == 0 else None,
                stream=True,
            )
            for number in range(12)
        ),
        event(request_id="back", created_at=just_now(), type=RecordType.REFUND, cost=Decimal(-1)),
    )


@pytest.mark.parametrize(
    "query", ["", "status=error", "token=prod&model=gpt-5", "type=refund", "errors=each"]
)
def test_a_count_is_how_many_records_that_value_lists(alice_client: Client, calls: None, query: str) -> None:
    for of in ("token", "model", "group", "status", "type", "cause"):
        if of == "status" and "errors" in query:
            continue
        answer = alice_client.get(f"/records/usage/counts/?menu={of}&{query}").json()
        assert answer["known"]
        others = "&".join(part for part in query.split("&") if not part.startswith(f"{of}="))
        for value, count in answer["counts"].items():
            page = alice_client.get(f"/records/usage/?{others}&{of}={value}").content.decode()
            assert page.count('<tr class="record"') == int(count), (of, value)


def test_what_no_sums_know_is_not_counted(alice_client: Client, calls: None) -> None:
    assert alice_client.get("/records/usage/counts/?menu=model&stream=yes").json() == {
        "known": False,
        "counts": {},
    }
    assert alice_client.get("/records/usage/counts/?menu=colour").status_code == 404


def test_counts_are_ones_own(bob: User, calls: None) -> None:
    assert signed_in(bob).get("/records/usage/counts/?menu=token").json()["counts"] == {}


def test_menus_show_what_is_chosen_first(alice_client: Client, calls: None) -> None:
    page = alice_client.get("/records/usage/?token=staging").content.decode()
    assert re.findall(r'name="token" value="([^"]+)"', page) == ["staging", "prod"]


# --- Markdown ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>*",
        '<img src="https://evil.example/x.png" onerror="alert(1)"> **b**',
        "[go](javascript:alert(1))",
        "[go](data:text/html,x)",
        "[go](/accounts/logout/)",
        "[go](//evil.example/)",
        "![see](/admin/)",
        "<https://a.example/\"onmouseover=\"x>",
        "[a]: javascript:alert(1)\n\n[a]",
    ],
)  # fmt: skip
def test_nothing_that_is_written_runs_or_is_fetched(text: str) -> None:
    shown = markdown.as_html(text)
    assert not re.search(r"<(?!/?(?:p|strong|em|a|br)\b)", shown), shown
    for link in re.findall(r"<a [^>]*>", shown):
        assert link.startswith('<a href="https://'), link
        assert 'rel="noopener noreferrer nofollow"' in link and 'target="_blank"' in link


def test_images_are_links_and_headings_stand_under_the_pages_own() -> None:
    assert "<img" not in markdown.as_html("![cat](https://a.example/cat.png)")
    assert 'href="https://a.example/cat.png"' in markdown.as_html("![cat](https://a.example/cat.png)")
    assert markdown.as_html("# One\n### Three") == "<h4>One</h4>\n<h6>Three</h6>\n"


def test_line_ends_stay_and_code_is_code() -> None:
    shown = markdown.as_html("one\ntwo\n---\n```\n<b>\n```")
    assert "one<br />\ntwo" in shown and "<code>&lt;b&gt;\n</code>" in shown


def test_what_is_long_or_wide_or_plain_is_left_as_it_is() -> None:
    wide = "|".join("a" * 100) + "\n" + "|".join("-" * 100) + "\n" + "x\n" * 5000
    for text in ("Just words.", "1.5 and 2-3", "**b** " * markdown.MOST, wide):
        assert markdown.is_plain(text)
    for text in ("**b**", "- one", "1. one", "a | b", "`x`"):
        assert not markdown.is_plain(text)


def test_the_longest_text_takes_no_longer_whatever_is_in_it() -> None:
    atoms = ["[", "![", "*a ", "a_", "***a ", "- a\n", "a|b\n-|-\n", "<a", "> ", "# a\n", "[a](", "``a"]

    def rendered(text: str) -> None:
        text = text[: markdown.MOST]
        assert markdown.is_plain(text) or markdown.as_html(text)

    linear.check(rendered, [partial(discovery.repeated, atom) for atom in atoms], bound=8)


def test_backticks_of_the_api_are_code(alice_client: Client) -> None:
    page = alice_client.get(reverse("read-api")).content.decode()
    assert "Follow <code>next</code> until it is null." in page
    assert "`" not in re.sub(r"<pre.*?</pre>", "", page, flags=re.S)


# --- Money under money -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "classes"),
    [("$0.0049", "m d4"), ("-$1,204.50", "m d2"), ("<$0.00000001", "m d8"), ("—", ""), ("unpriced.", "")],
)
def test_an_amount_says_how_many_decimals_it_has(written: str, classes: str) -> None:
    assert formatting.point(written) == classes


def test_amounts_of_a_column_are_placed_by_their_decimals(alice_client: Client, gateway: Gateway) -> None:
    costs = ("0.00004875", "12.4", "0.005")
    store(gateway, *(event(created_at=just_now(), cost=Decimal(cost)) for cost in costs))
    page = alice_client.get("/records/usage/").content.decode()
    assert sorted(re.findall(r'<td class="c-cost (m d\d)">', page)) == ["m d2", "m d3", "m d8"]
    sheet = (Path(settings.BASE_DIR) / "static" / "css" / "money.css").read_text()
    for decimals in range(3, 13):
        assert f"td.m.d{decimals}" in sheet and f".d{decimals} {{" in sheet


# --- One word for one state --------------------------------------------------------------------------------


def test_list_details_note_and_admin_say_the_same_of_a_record(
    gateway: Gateway, alice: User, admin: User
) -> None:
    refused: dict[str, Any] = {
        "status": Status.ERROR,
        "http_status": 429,
        "error": Failure(type="rate_limit_error"),
    }
    store(
        gateway,
        event(request_id="req_ok", created_at=just_now()),
        event(request_id="req_refused", created_at=just_now(), **refused),
        event(request_id="req_back", created_at=just_now(), type=RecordType.REFUND, cost=Decimal(-1)),
    )
    for name, word in (("req_ok", "Success"), ("req_refused", "429 Rate limit"), ("req_back", "Refund")):
        record = UsageRecord.objects.get(request_id=name)
        page = signed_in(alice).get(f"/records/usage/?request_id={name}").content.decode()
        assert re.findall(r'<span class="status status-\w+">([^<]+)</span>', page)[0] == word
        assert f"Status: {word}" in page
        admins = signed_in(admin).get(f"/admin/logs/usagerecord/?q={name}").content.decode()
        assert f">{word}</" in admins, name
        assert record.status_word == word


def test_a_failure_that_nobody_knows_is_an_error() -> None:
    assert status_word(RecordType.REQUEST, Status.ERROR, Cause.UNKNOWN, 500) == "500 Error"
    assert status_word(RecordType.REQUEST, Status.ERROR, Cause.NONE, None) == "Error"


# --- JSON in pages ------------------------------------------------------------------------------------------


def test_no_template_makes_json_by_hand() -> None:
    for path in (Path(settings.BASE_DIR) / "templates").rglob("*.html"):
        for found in re.findall(r"""[{,]\s*"[\w-]+":\s*"[^"]*\{[{%][^}%]*""", path.read_text()):
            raise AssertionError(f"{path.name}: {found}")


def test_the_charts_words_are_json_in_a_script(alice_client: Client, gateway: Gateway) -> None:
    store(gateway, event(created_at=just_now()))
    page = alice_client.get("/records/usage/").content.decode()
    [words] = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert json.loads(words)["none"] == "nothing"
