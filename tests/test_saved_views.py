"""Saved views: named filters of a tab, one's own, shared as an address."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape

import pytest
from django.test import Client

from accounts.models import Gateway, SavedView, User
from accounts.people import saved_views
from logs.models import Status
from tests.cast import event, signed_in, store
from tests.test_usage_tab import DAY, PAGE, get, listed, text

SAVE = "/records/views/"
FAILURES = "start=2026-03-10T00%3A00&end=2026-03-11T00%3A00&status=error"


@pytest.fixture
def records(gateway: Gateway, alice: User) -> None:
    store(
        gateway,
        event(request_id="good", cost=Decimal("0.01")),
        event(request_id="bad", minutes=1, status=Status.ERROR, http_status=500),
    )


@pytest.fixture
def failures(alice: User) -> SavedView:
    return SavedView.objects.create(user=alice, tab="usage", name="Failures", query=FAILURES)


def menu(page: str) -> str:
    found = re.search(r'<details class="menu menu-end saved-views".*?</details>', page, re.DOTALL)
    return found[0] if found else ""


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(tab|query)" value="([^"]*)"', menu(page))
    return {name: unescape(value) for name, value in found}


@pytest.mark.usefixtures("records")
def test_what_is_shown_is_saved_under_a_name_and_found_again(alice_client: Client) -> None:
    page = text(get(alice_client, **DAY, status="error", older="not-an-id"))
    fields = hidden_fields(page)
    assert fields == {"tab": "usage", "query": FAILURES}
    response = alice_client.post(SAVE, {**fields, "name": " Failures "}, follow=True)
    assert response.redirect_chain == [(f"{PAGE}?{FAILURES}", 302)]
    assert "View “Failures” saved." in text(response)
    assert listed(response) == ["bad"]
    # On another page of the tab the menu leads back to it.
    link = re.search(r'<a class="option" href="([^"]+)"', menu(text(alice_client.get(PAGE))))
    assert link
    response = alice_client.get(unescape(link[1]))
    assert listed(response) == ["bad"]
    assert 'aria-current="true">Failures' in menu(text(response))


@pytest.mark.usefixtures("records")
def test_a_comparison_is_a_view_too(alice_client: Client) -> None:
    fields = hidden_fields(text(get(alice_client, **DAY, compare="model", sort="name")))
    response = alice_client.post(SAVE, {**fields, "name": "Models"}, follow=True)
    assert 'data-compare="model"' in text(response)
    assert "sort=name" in response.redirect_chain[0][0]


def test_saving_under_a_name_in_use_replaces_it(
    alice: User, alice_client: Client, failures: SavedView
) -> None:
    response = alice_client.post(
        SAVE, {"tab": "usage", "name": "Failures", "query": "status=error"}, follow=True
    )
    assert "View “Failures” replaced." in text(response)
    assert [view.query for view in alice.saved_views.all()] == ["status=error"]
    # The tabs keep theirs apart.
    alice_client.post(SAVE, {"tab": "tasks", "name": "Failures", "query": "status=failed"})
    assert alice.saved_views.count() == 2


def test_pages_and_tokens_are_no_part_of_a_view(alice: User, alice_client: Client) -> None:
    query = "model=a&older=5f6d2b1e-0000-8000-8000-000000000000&csrfmiddlewaretoken=x&model=b"
    alice_client.post(SAVE, {"tab": "usage", "name": "v", "query": query})
    assert alice.saved_views.get().query == "model=a&model=b"


@pytest.mark.parametrize(
    ("name", "query", "says"),
    [
        ("  ", "status=error", "A view needs a name."),
        ("n" * 81, "status=error", "at most 80 characters"),
        ("v", "model=" + "m" * 5000, "These filters are too long to be saved."),
    ],
)
def test_what_cannot_be_saved_is_said(
    alice: User, alice_client: Client, name: str, query: str, says: str
) -> None:
    response = alice_client.post(SAVE, {"tab": "usage", "name": name, "query": query}, follow=True)
    assert says in text(response)
    assert not alice.saved_views.exists()


def test_a_tab_that_is_none_is_refused(alice: User, alice_client: Client) -> None:
    assert alice_client.post(SAVE, {"tab": "admin:index", "name": "v", "query": ""}).status_code == 422
    assert not alice.saved_views.exists()


def test_there_is_an_end_to_how_many_are_kept(
    alice: User, alice_client: Client, failures: SavedView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_views, "MOST", 1)
    response = alice_client.post(SAVE, {"tab": "usage", "name": "Two", "query": "model=a"}, follow=True)
    assert "You already have 1 saved views." in text(response)
    assert alice.saved_views.get() == failures
    alice_client.post(SAVE, {"tab": "usage", "name": "Failures", "query": "model=a"})
    assert alice.saved_views.get().query == "model=a"


def test_a_view_is_renamed_where_it_is_shown(alice_client: Client, failures: SavedView) -> None:
    assert f'action="{SAVE}{failures.pk}/rename/"' in menu(text(alice_client.get(f"{PAGE}?{FAILURES}")))
    response = alice_client.post(f"{SAVE}{failures.pk}/rename/", {"name": "Errors"}, follow=True)
    assert response.redirect_chain == [(f"{PAGE}?{FAILURES}", 302)]
    assert "View renamed to “Errors”." in text(response)
    response = alice_client.post(f"{SAVE}{failures.pk}/rename/", {"name": ""}, follow=True)
    assert "A view needs a name." in text(response)
    failures.refresh_from_db()
    assert failures.name == "Errors"


def test_two_views_do_not_share_a_name(alice: User, alice_client: Client, failures: SavedView) -> None:
    other = SavedView.objects.create(user=alice, tab="usage", name="Other", query="model=a")
    response = alice_client.post(f"{SAVE}{other.pk}/rename/", {"name": "Failures"}, follow=True)
    assert "Another view is already called “Failures”." in text(response)
    other.refresh_from_db()
    assert other.name == "Other"


def test_a_view_is_deleted_and_what_it_showed_stays(alice_client: Client, failures: SavedView) -> None:
    response = alice_client.post(f"{SAVE}{failures.pk}/delete/", follow=True)
    assert response.redirect_chain == [(f"{PAGE}?{FAILURES}", 302)]
    assert "View “Failures” deleted." in text(response)
    assert not SavedView.objects.exists()


def test_views_of_others_are_not_there(bob: User, alice: User, failures: SavedView, client: Client) -> None:
    stranger = signed_in(bob)
    assert 'class="option"' not in menu(text(stranger.get(f"{PAGE}?{FAILURES}")))
    assert stranger.post(f"{SAVE}{failures.pk}/rename/", {"name": "Mine"}).status_code == 404
    assert stranger.post(f"{SAVE}{failures.pk}/delete/").status_code == 404
    assert stranger.post(f"{SAVE}999999/delete/").status_code == 404
    stranger.post(SAVE, {"tab": "usage", "name": "Failures", "query": "model=bobs"})
    failures.refresh_from_db()
    assert (failures.name, failures.query) == ("Failures", FAILURES)
    assert client.post(f"{SAVE}{failures.pk}/delete/").status_code == 302, "signed out: to the sign-in page"
    assert SavedView.objects.filter(user=alice).count() == 1


def test_nothing_is_changed_by_a_link_or_a_forged_form(alice: User, failures: SavedView) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get(f"{SAVE}{failures.pk}/delete/").status_code == 405
    assert client.post(f"{SAVE}{failures.pk}/delete/").status_code == 403
    assert client.post(SAVE, {"tab": "usage", "name": "x", "query": ""}).status_code == 403
    assert SavedView.objects.get() == failures


def test_a_saved_query_is_escaped_and_stays_on_its_tab(alice: User, alice_client: Client) -> None:
    query = '"><script>alert(1)</script>=1&model=//evil.example'
    response = alice_client.post(SAVE, {"tab": "usage", "name": "<b>x</b>", "query": query})
    assert response["Location"].startswith(f"{PAGE}?")
    page = text(alice_client.get(PAGE))
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page


def test_task_logs_have_views_of_their_own(alice: User, alice_client: Client) -> None:
    SavedView.objects.create(user=alice, tab="tasks", name="Failed tasks", query="status=failed")
    assert "Failed tasks" in menu(text(alice_client.get("/records/tasks/")))
    assert "Failed tasks" not in text(alice_client.get(PAGE))
