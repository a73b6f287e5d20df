"""Seeing Operation Records as somebody else does: who may, what they see, and what is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Gateway, SavedView, User
from logs.models import ContentPolicy, Level, UsageRecord
from tests.cast import event, signed_in, store

USAGE, TASKS, TOKENS = "/records/usage/", "/records/tasks/", "/tokens/"
SAID = b'"a purple cow"'


@pytest.fixture
def calls(alice: User, bob: User, gateway: Gateway) -> dict[str, UsageRecord]:
    """One call of each, by whose it is."""
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    for minutes, person in ((31, alice), (30, bob)):
        at = timezone.now() - timedelta(minutes=minutes)
        one = event(person, created_at=at, input=SAID, request_id=f"req_{person.name}", token="prod")
        store(gateway, one)
    return {str(record.user): record for record in UsageRecord.objects.select_related("user")}


def seeing(admin: User, person: User) -> Client:
    """Return a client of the admin for whom seeing as the person is noted."""
    client = signed_in(admin)
    assert client.post(f"/records/as/{person.pk}/").status_code == 302
    return client


def test_it_is_noted_before_anything_is_shown(admin: User, bob: User, calls: dict[str, UsageRecord]) -> None:
    client = signed_in(admin)
    of = f"?of=as:{bob.pk}"
    answer = client.get(f"{USAGE}{of}&range=30d")
    assert answer.status_code == 302 and answer["Location"].startswith(f"/records/as/{bob.pk}/?next=")
    asking = client.get(answer["Location"])
    assert "See the console as Bob" in asking.content.decode() and "req_Bob" not in asking.content.decode()
    assert not AuditEntry.objects.exists()
    onward = client.post(answer["Location"])
    assert onward["Location"] == f"{USAGE}{of}&range=30d"
    [entry] = AuditEntry.objects.all()
    assert (entry.act, entry.actor, entry.subject) == (AuditEntry.Act.SEEN_AS, admin, bob)
    page = client.get(onward["Location"]).content.decode()
    assert "You see this as" in page and "req_Bob" in page and "req_Alice" not in page
    # An hour later it is asked again; a part of a page leads its whole page there.
    session = client.session
    session["seen_as"] = {str(bob.pk): 1}
    session.save()
    assert client.get(f"{USAGE}{of}").status_code == 302
    part = client.get(f"{USAGE}results/{of}", headers={"HX-Request": "true"})
    assert part["HX-Redirect"].startswith(f"/records/as/{bob.pk}/")
    # No address leads elsewhere.
    for bad in ("https://elsewhere.example/", "//elsewhere.example/?of=as:1", "/profile/"):
        assert client.post(f"/records/as/{bob.pk}/?next={bad}")["Location"] == f"{USAGE}{of}"


def test_the_pages_are_the_persons(admin: User, bob: User, calls: dict[str, UsageRecord]) -> None:
    bob.time_zone = "Asia/Tokyo"
    bob.save()
    SavedView.objects.create(user=bob, tab="usage", name="Bob's own view", query="status=error")
    SavedView.objects.create(user=admin, tab="usage", name="The admin's view", query="status=error")
    client, of = seeing(admin, bob), f"of=as:{bob.pk}"
    page = client.get(f"{USAGE}?{of}").content.decode()
    assert "Bob&#x27;s own view" in page and "The admin" not in page
    assert "Tokyo" in page or "UTC+9" in page
    # Whatever leads on stays; nothing leads to what can be changed, nor to an account's pages.
    record = calls["Bob"]
    assert f'href="{TASKS}?{of}"' in page and f'href="{TOKENS}?{of}"' in page
    assert f"{USAGE}{record.pk}/?{of}" in page
    assert "menu-scope" not in page and "menu-columns" not in page and "export-link" not in page
    assert client.get(f"/records/?{of}")["Location"] == f"{USAGE}?{of}"
    for own in ("/profile/", "/exports/", "/learn/", "/records/views/"):
        assert f'href="{own}"' not in page and f'action="{own}"' not in page
    assert "prod" in client.get(f"{TOKENS}?{of}").content.decode()
    assert client.get(f"{TASKS}?{of}").status_code == 200
    assert client.get(f"{USAGE}?{of}&compare=model").status_code == 200
    assert client.get(f"{USAGE}limits/?{of}&token=prod").status_code == 200
    # Another's record is not there, nor is everybody's.
    assert client.get(f"{USAGE}{calls['Alice'].pk}/?{of}").status_code == 404
    assert client.get(f"/exports/new/?source=usage&{of}").status_code == 404


def test_nothing_can_be_changed_and_content_is_asked_for(
    admin: User, bob: User, calls: dict[str, UsageRecord]
) -> None:
    client, of = seeing(admin, bob), f"of=as:{bob.pk}"
    for url in (
        "/records/views/",
        "/profile/time-zone/",
        f"{TASKS}display/",
        f"{USAGE}display/",
        "/profile/",
    ):
        assert client.post(f"{url}?{of}", {"name": "x", "query": ""}).status_code in (403, 404), url
    assert not SavedView.objects.exists()
    assert client.post(USAGE, {"of": f"as:{bob.pk}", "request_id": "req_Bob"}).status_code == 302
    url = f"{USAGE}{calls['Bob'].pk}/"
    assert "a purple cow" not in client.get(f"{url}?{of}").content.decode()
    assert "a purple cow" in client.post(f"{url}content/?{of}").content.decode()
    assert AuditEntry.objects.filter(act=AuditEntry.Act.CONTENT, subject=bob).count() == 1


def test_only_who_may_see_everybodys_records_may(
    alice: User, bob: User, admin: User, calls: dict[str, UsageRecord]
) -> None:
    half = User.objects.create_user("half@example.com", "a long password", is_staff=True)
    half.user_permissions.set(Permission.objects.filter(codename="view_usagerecord"))
    for person in (alice, half):
        client = signed_in(person)
        for number in (bob.pk, person.pk, 0, 99999999):
            assert client.get(f"/records/as/{number}/").status_code == 404
            assert client.post(f"/records/as/{number}/").status_code == 404
            for url in (USAGE, TASKS, TOKENS, f"{USAGE}{calls['Bob'].pk}/"):
                assert client.get(url, {"of": f"as:{number}"}).status_code == 404
    client = signed_in(admin)
    for said in (admin.pk, "0", "x", "-1", f"0{bob.pk}", f"{bob.pk} ", "9" * 12):
        assert client.get(USAGE, {"of": f"as:{said}"}).status_code == 404, said
    assert Client().get(f"{USAGE}?of=as:{bob.pk}")["Location"].startswith("/accounts/login/")
    assert not AuditEntry.objects.exists()


def test_an_admin_seen_as_sees_no_more_than_they_would_as_themselves(admin: User, bob: User) -> None:
    other = User.objects.create_user("other@example.com", "a long password", is_staff=True, is_superuser=True)
    client = seeing(admin, other)
    assert client.get(f"{USAGE}?of=as:{other.pk}").status_code == 200
    assert "menu-scope" not in client.get(f"{USAGE}?of=as:{other.pk}").content.decode()
