"""Content of somebody who was merged into an admin is read with its own right alone, wherever it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.exports import exporting
from accounts.identities import merging
from accounts.models import AuditEntry, Export, Gateway
from accounts.models import User as Person
from logs.models import ContentPolicy, Level, UsageRecord
from tasks.exports import COLUMNS
from tasks.models import AsyncTask, TaskStatus
from tests.cast import event, just_now, signed_in, store
from tests.task_cast import a_task
from tests.test_read_api import reader
from tests.test_staff import staff

SENT, ANSWERED, MADE = "a purple cow", "a green horse", "a yellow whale"
PLANTED = (SENT, ANSWERED, MADE)


@pytest.fixture(autouse=True)
def exports_of_its_own(settings: LazySettings, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path / "exports"


@pytest.fixture
def bob(db: None) -> Person:
    """Staff with every view right but that to read content."""
    person = staff("view", email="bob@example.com")
    person.user_permissions.remove(Permission.objects.get(codename="view_usagecontent"))
    return person


@pytest.fixture
def team(gateway: Gateway) -> Person:
    """A name of a gateway with a record whose content is kept, and a task with a result."""
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    moment = just_now() - timedelta(hours=1)
    sides = {"input": json.dumps(SENT).encode(), "output": json.dumps(ANSWERED).encode()}
    store(gateway, event("team-7", created_at=moment, request_id="req_of_the_team", **sides))
    person = Person.objects.get(name="team-7")
    a_task(
        person,
        gateway,
        task_id="task_of_the_team",
        request_id="req_of_the_team",
        status=TaskStatus.SUCCEEDED,
        result=[{"kind": "text", "text": MADE}, {"kind": "image", "url": f"https://x.example/{MADE}"}],
    )
    return person


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from patterns(one, prefix + str(one.pattern))
        else:
            yield prefix + str(one.pattern), one


def pages() -> list[str]:
    """Return the address of every page, of the admin too, that shows the record, the task, or lists."""
    record, task = UsageRecord.objects.get(), AsyncTask.objects.get()
    values = {"record_id": record.pk, "task_id": task.pk, "request_id": record.request_id}
    found = []
    for address, pattern in patterns(get_resolver()):
        names = set(pattern.pattern.converters)
        if not address.startswith("admin/") and names <= set(values):
            found.append("/" + _filled(address, {**values, "record_id": record.pk}))
    for name, pk in (("logs_usagerecord", record.pk), ("tasks_asynctask", task.pk)):
        found.append(reverse(f"admin:{name}_changelist"))
        found += [reverse(f"admin:{name}_{view}", args=[pk]) for view in ("change", "history")]
    found.append(reverse("admin:logs_usagerecord_content", args=[record.pk]))
    return [url for url in found if "^" not in url and "logout" not in url]


def _filled(address: str, values: dict[str, object]) -> str:
    for name, value in values.items():
        for kind in ("uuid", "str", "path", "any"):
            address = address.replace(f"<{kind}:{name}>", str(value))
    return address


def seen_on_pages(client: Client, api: Client) -> set[str]:
    seen: set[str] = set()
    queries: list[dict[str, str]] = [
        {},
        {"range": "all"},
        {"request_id": "req_of_the_team", "task_id": "task_of_the_team", "q": "req_of_the_team"},
    ]
    asked = 0
    for url in pages():
        for query in queries:
            for answer in (client.get(url, query), api.get(url, query)):
                body = b"" if answer.streaming else answer.content
                seen |= {text for text in PLANTED if text in body.decode(errors="replace")}
                asked += 1
        if "/admin/" in url:
            seen |= {text for text in PLANTED if text in client.post(url).content.decode()}
    assert asked > 200
    return seen


def seen_in_exports(person: Person) -> set[str]:
    seen: set[str] = set()
    usage = ["created_at", "request_id", "metadata", "parameters", "attempts", "error_message"]
    for source, columns in (("usage", usage), ("tasks", [column.name for column in COLUMNS])):
        for kind in ("csv", "jsonl"):
            export = Export.objects.create(
                user=person, source=source, format=kind, columns=columns, query="range=all"
            )
            exporting.run(export.pk)
            export.refresh_from_db()
            assert export.status == Export.Status.DONE
            assert export.rows == 1
            whole = export.path.read_text()
            assert "req_of_the_team" in whole
            seen |= {text for text in PLANTED if text in whole}
    return seen


def test_an_admin_into_whom_somebody_was_merged_reads_their_content_nowhere(
    bob: Person, team: Person
) -> None:
    merging.merge(team, bob)
    bob = Person.objects.get(pk=bob.pk)
    client = signed_in(bob)
    assert seen_on_pages(client, reader(bob)) == set()
    assert seen_in_exports(bob) == set()
    record, task = UsageRecord.objects.get(), AsyncTask.objects.get()
    for url in (f"/records/usage/{record.pk}/", f"/records/tasks/{task.pk}/"):
        assert (
            "Hidden: it was recorded under a name that was merged into yours"
            in client.get(url).content.decode()
        )


def test_with_the_right_they_read_it_everywhere(bob: Person, team: Person) -> None:
    """Or else the test above would find nothing in any case."""
    merging.merge(team, bob)
    bob.user_permissions.add(Permission.objects.get(codename="view_usagecontent"))
    bob = Person.objects.get(pk=bob.pk)
    assert seen_on_pages(signed_in(bob), reader(bob)) == set(PLANTED)
    assert seen_in_exports(bob) == {MADE}


def test_a_person_who_is_no_admin_reads_all_that_is_theirs(alice: Person, team: Person) -> None:
    merging.merge(team, alice)
    alice = Person.objects.get(pk=alice.pk)
    assert seen_on_pages(signed_in(alice), reader(alice)) == set(PLANTED)
    assert seen_in_exports(alice) == {MADE}


def test_an_admins_own_content_needs_no_right(bob: Person, gateway: Gateway) -> None:
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    moment = just_now() - timedelta(hours=1)
    store(gateway, event(bob, created_at=moment, request_id="mine", input=json.dumps(SENT).encode()))
    record = UsageRecord.objects.get(request_id="mine")
    assert SENT in signed_in(bob).get(f"/records/usage/{record.pk}/").content.decode()


def test_separated_again_nobody_reads_the_others(alice: Person, team: Person) -> None:
    merging.merge(team, alice)
    merging.separate(Person.objects.get(pk=team.pk))
    alice = Person.objects.get(pk=alice.pk)
    assert seen_on_pages(signed_in(alice), reader(alice)) == set()


def test_staff_see_no_results_of_others_in_the_admin(bob: Person, team: Person) -> None:
    url = reverse("admin:tasks_asynctask_change", args=[AsyncTask.objects.get().pk])
    page = signed_in(bob).get(url).content.decode()
    assert MADE not in page and "right to view usage content" in page
    bob.user_permissions.add(Permission.objects.get(codename="view_usagecontent"))
    client = signed_in(Person.objects.get(pk=bob.pk))
    looking = url.replace("/change/", "/content/")
    for hidden in (client.get(url), client.get(looking)):
        assert MADE not in hidden.content.decode() and "the audit log" in hidden.content.decode()
    assert not AuditEntry.objects.filter(act=AuditEntry.Act.CONTENT).exists()
    assert MADE in client.post(looking).content.decode()
    entry = AuditEntry.objects.get(act=AuditEntry.Act.CONTENT)
    assert (entry.actor, entry.subject, entry.object) == (bob, team, "task_of_the_team")
