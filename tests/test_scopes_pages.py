"""Whose records the console shows: the switch, what each may choose, and looks at another's content."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.access import personal_tokens
from accounts.exports import exporting
from accounts.models import AuditEntry, Export, Gateway, User
from logs.models import ContentPolicy, Level, Status, UsageRecord
from logs.models.events import Failure
from tasks.models import AsyncTask, TaskStatus
from tests.cast import event, signed_in, store
from tests.task_cast import a_task

USAGE, TASKS = "/records/usage/", "/records/tasks/"
ALL = "?of=everyone"
COW = "a purple cow"


@pytest.fixture
def calls(alice: User, bob: User, gateway: Gateway) -> dict[str, UsageRecord]:
    """Alice's and Bob's newest calls, with content, by the name of whose they are."""
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    moment = timezone.now() - timedelta(minutes=50)
    for number, person in enumerate((alice, bob)):
        at = moment + timedelta(minutes=number)
        said = json.dumps(f"{COW} of {person.name}").encode()
        store(
            gateway, event(person, created_at=at, input=said, token="prod", request_id=f"req_{person.name}")
        )
    return {str(record.user): record for record in UsageRecord.objects.select_related("user")}


def staff(*rights: str) -> User:
    """Return an admin who has but these rights."""
    user = User.objects.create_user("viewer@example.com", "a long password", name="Viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return user


def text(client: Client, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, (url, answer.status_code)
    return str(answer.content.decode())


def test_an_admin_sees_everybodys_records_and_whose_each_is(
    admin: User, calls: dict[str, UsageRecord]
) -> None:
    client = signed_in(admin)
    own = text(client, USAGE)
    assert "You have no records of your own" in own and f'href="{USAGE}{ALL}"' in own
    assert "ask your admin" not in own.casefold()
    page = text(client, USAGE + ALL)
    for name, record in calls.items():
        assert f"{USAGE}{record.pk}/{ALL}" in page and f'<td class="c-person">{name}</td>' in page
    assert 'data-stat="requests" data-value="2"' in page
    # Whatever leads on stays with everybody's records.
    assert f'href="{TASKS}{ALL}"' in page and '<input type="hidden" name="of" value="everyone">' in page
    assert "source=usage&amp;of=everyone" in page
    assert text(client, f"{USAGE}{ALL}&compare=person").count('data-line="') == 2
    one = text(client, f"{USAGE}?of=person:{calls['Bob'].user_id}")
    assert calls["Bob"].request_id in one and calls["Alice"].request_id not in one


def test_a_person_is_found_as_one_types(admin: User, calls: dict[str, UsageRecord]) -> None:
    client = signed_in(admin)
    found = text(client, "/records/people/?tab=usage&q=aLI")
    assert f"{USAGE}?of=person:{calls['Alice'].user_id}" in found and "Bob" not in found
    options = text(client, "/records/options/?tab=usage&of=everyone&menu=person&q=bo")
    assert f'value="{calls["Bob"].user_id}"' in options and "Alice" not in options
    assert 'value="prod"' in text(client, "/records/options/?tab=usage&of=everyone&menu=token&q=pro")


def test_nobody_else_is_told_that_there_is_more_than_their_own(
    alice: User, calls: dict[str, UsageRecord]
) -> None:
    client = signed_in(alice)
    assert "menu-scope" not in text(client, USAGE) + text(client, TASKS)
    record, own = calls["Bob"], calls["Alice"]
    for of in (
        "everyone",
        f"person:{record.user_id}",
        f"person:{alice.pk}",
        "person:0",
        "team:1",
        "me",
        "person:x",
    ):
        for url in (USAGE, f"{USAGE}results/", f"{USAGE}chart/", f"{USAGE}news/", TASKS, f"{USAGE}{own.pk}/"):
            assert client.get(url, {"of": of}).status_code == 404, (url, of)
        assert client.post(USAGE, {"of": of}).status_code == 404
        assert client.get("/exports/new/", {"source": "usage", "of": of}).status_code == 404
        assert client.get("/records/options/", {"tab": "usage", "menu": "token", "of": of}).status_code == 404
        api = Client(headers={"Authorization": f"Bearer {personal_tokens.issue(alice, 't', 30)[1]}"})
        for path in ("usage", f"usage/{own.pk}", "usage/statistics", "tasks"):
            assert api.get(f"/api/v1/{path}", {"of": of}).status_code == 404
    assert client.get("/records/people/", {"tab": "usage", "q": "bob"}).status_code == 404
    assert client.post(f"{USAGE}{record.pk}/content/").status_code == 404
    assert client.post(f"{USAGE}{own.pk}/content/").status_code == 404, "one's own is there"


def test_each_look_at_anothers_content_is_kept(admin: User, bob: User, calls: dict[str, UsageRecord]) -> None:
    client, record = signed_in(admin), calls["Bob"]
    url = f"{USAGE}{record.pk}/"
    for page in (url + ALL, f"{url}details/{ALL}", f"{USAGE}{ALL}&request_id={record.request_id}"):
        assert COW not in text(client, page) and "Show input and output" in text(client, page)
    assert not AuditEntry.objects.exists()
    assert client.get(f"{url}content/{ALL}").status_code == 405
    for number, headers in enumerate(({}, {"HX-Request": "true"}), 1):
        answer = client.post(f"{url}content/{ALL}", headers=headers)
        assert COW in answer.content.decode()
        assert AuditEntry.objects.count() == number
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor, entry.subject, entry.act) == (admin, bob, AuditEntry.Act.CONTENT)
    assert entry.object == record.request_id


def test_staff_without_the_right_see_records_and_no_content(calls: dict[str, UsageRecord]) -> None:
    client = signed_in(staff("view_usagerecord"))
    record = calls["Bob"]
    page = text(client, f"{USAGE}{record.pk}/{ALL}")
    assert "Administrators need the right" in page and "Show input and output" not in page
    assert client.post(f"{USAGE}{record.pk}/content/{ALL}").status_code == 404
    assert not AuditEntry.objects.exists()
    # Rights go by tab.
    assert client.get(TASKS + ALL).status_code == 404
    assert "menu-scope" not in text(client, TASKS)


def test_an_id_leads_an_admin_to_whoevers_record_it_is(admin: User, calls: dict[str, UsageRecord]) -> None:
    client, record = signed_in(admin), calls["Bob"]
    unknown = text(client, f"/r/{record.request_id}", 404)
    assert f"of=everyone&amp;request_id={record.request_id}" in unknown
    answer = client.get(f"/r/{record.request_id}{ALL}")
    assert answer.status_code == 302 and "of=everyone" in answer["Location"]
    assert str(record.pk) in text(client, answer["Location"])


def test_an_export_of_everybody_is_kept_in_the_audit_log_and_ends_with_the_right(
    calls: dict[str, UsageRecord],
) -> None:
    viewer = staff("view_usagerecord")
    client = signed_in(viewer)
    url = f"{reverse('export-new')}?source=usage&of=everyone"
    assert 'value="person" id="id_columns_2" checked' in text(client, url)
    body = {"format": "csv", "columns": ["request_id", "person"]}
    for _number in range(2):
        assert client.post(url, body).status_code == 302
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor, entry.subject, entry.act) == (viewer, None, AuditEntry.Act.EXPORT)
    assert "of=everyone" in entry.object
    first, second = Export.objects.order_by("created_at")
    exporting.run(first.pk)
    first.refresh_from_db()
    assert first.path.read_text("utf-8-sig").splitlines()[1:] == ["req_Bob,Bob", "req_Alice,Alice"]
    viewer.user_permissions.clear()
    exporting.run(second.pk)
    second.refresh_from_db()
    assert (second.status, second.problem) == (Export.Status.FAILED, Export.Problem.RIGHTS)


def test_the_read_api_answers_an_admin_for_everybody(admin: User, calls: dict[str, UsageRecord]) -> None:
    api = Client(headers={"Authorization": f"Bearer {personal_tokens.issue(admin, 't', 30)[1]}"})
    assert len(api.get(f"/api/v1/usage{ALL}").json()["data"]) == 2
    assert api.get(f"/api/v1/usage/statistics{ALL}").json()["totals"]["requests"] == 2
    lines = api.get(f"/api/v1/usage/breakdown{ALL}&by=person").json()["lines"]
    assert {line["value"] for line in lines} == {"Alice", "Bob"}
    assert api.get(f"/api/v1/usage/{calls['Bob'].pk}{ALL}").json()["request_id"] == "req_Bob"
    assert api.get("/api/v1/usage").json()["data"] == []


def test_what_anothers_task_made_is_shown_when_it_is_asked_for(
    admin: User, bob: User, gateway: Gateway
) -> None:
    made = [{"kind": "image", "url": "https://cdn.example/cow.png"}]
    task: AsyncTask = a_task(
        bob, gateway, status=TaskStatus.SUCCEEDED, result=made, finished_at=timezone.now()
    )
    client = signed_in(admin)
    page = text(client, TASKS + ALL)
    assert task.task_id in page and 'class="c-person"' in page
    url = f"{TASKS}{task.pk}/"
    for one in (
        url + ALL,
        f"{url}row/{ALL}",
        f"{url}details/{ALL}",
        f"{url}media/{ALL}",
        f"{url}media/{ALL}&look=x",
    ):
        assert "cow.png" not in text(client, one)
    assert not AuditEntry.objects.exists()
    shown = client.post(f"{url}content/{ALL}").content.decode()
    assert "cow.png" in shown and AuditEntry.objects.get().subject == bob
    frame = shown.split('class="media-frame" src="')[1].split('"')[0].replace("&amp;", "&")
    assert "cow.png" in text(client, frame)
    other = User.objects.create_superuser("other@example.com", "a long password")
    assert "cow.png" not in text(signed_in(other), frame), "a look is one's own"
    assert AuditEntry.objects.count() == 1


def test_everybodys_errors_are_listed_with_whose_they_are(admin: User, bob: User, gateway: Gateway) -> None:
    moment = timezone.now() - timedelta(minutes=5)
    error = Failure(type="server_error", message="It broke.")
    store(gateway, event(bob, created_at=moment, status=Status.ERROR, http_status=500, error=error))
    page = text(signed_in(admin), f"{USAGE}{ALL}&errors=each")
    assert "It broke." in page and '<td class="c-person">Bob</td>' in page
    assert "It broke." in text(signed_in(admin), f"{USAGE}{ALL}&errors=gathered")
