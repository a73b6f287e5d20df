"""The admin's index and its page of things to settle: what they say, what they read, and who sees it."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.identities import merging
from accounts.models import AIModel, AuditEntry, Delivery, Gateway, IngestKey, User, UserIdentity
from logs.models import Status
from logs.models.events import Failure
from routescope.models import JobRun, LeftAsIs
from routescope.run.overdue import overdue
from routescope.text import formatting
from tasks.models import EarlyWebhook, TaskStatus
from tests.admin_pages import RECORDS, client, figures, text
from tests.cast import event, just_now, signed_in, store
from tests.task_cast import a_task
from tests.test_staff import staff

__all__ = ["client"]

SETTLE = "/admin/settle/"


@pytest.fixture
def calm(gateway: Gateway) -> Gateway:
    """A gateway that sends, and every job on time: nothing is to be settled."""
    IngestKey.issue(gateway)
    sent(gateway, accepted=40)
    JobRun.known({"logs.fold"})
    overdue()
    JobRun.objects.update(outcome=JobRun.Outcome.SUCCEEDED, succeeded_at=timezone.now())
    return gateway


def sent(gateway: Gateway, days_ago: int = 0, **counts: int) -> None:
    at = timezone.now() - timedelta(days=days_ago)
    Delivery.objects.create(
        gateway=gateway, endpoint="/ingest", day=at.date(), requests=1, last_at=at, **counts
    )


def matters(client: Client) -> list[str]:
    """Return what stands on the page of things to settle: each line's kind, thing and act."""
    page = text(client.get(SETTLE))
    found = []
    for kind, part in re.findall(r'settle-kind" id="(\w+)"(.*?)</section>', page, re.S):
        things = re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', part)
        found += [f"{kind}: {thing}" for thing in things]
    return found


@pytest.mark.usefixtures("calm")
def test_where_nothing_is_to_be_settled_both_pages_say_so(client: Client) -> None:
    assert matters(client) == []
    assert "Nothing is to be settled." in text(client.get(SETTLE))
    assert "Nothing is to be settled." in text(client.get("/admin/"))


def test_the_figures_of_today_are_those_of_the_list_they_lead_to(client: Client, calm: Gateway) -> None:
    now = just_now()
    failed = event(created_at=just_now(), status=Status.ERROR)
    store(calm, event(created_at=now, cost=Decimal("0.25")), failed)
    page = text(client.get("/admin/"))
    listed = figures(client.get(RECORDS, {"range": "today"}))
    [facts] = re.findall(r"board-facts.*?</dl>", page, re.S)
    assert re.findall(r'<dd><a href="[^"]*range=today[^"]*">([^<]*)</a>', facts)[:3] == [
        listed["requests"],
        listed["errors"],
        formatting.money(Decimal(listed["cost"])),
    ]


def test_what_is_wrong_is_to_be_settled_each_with_its_act(
    client: Client, calm: Gateway, alice: User, bob: User
) -> None:
    names = ("refused", "silent", "keyless")
    refused, silent, keyless = (Gateway.objects.create(name=name) for name in names)
    sent(refused, accepted=10, refused=5)
    for day in range(2, 8):
        sent(silent, day, accepted=9)
    store(
        calm,
        *(
            event(created_at=just_now(), cost=Decimal(1), status=Status.ERROR, error=Failure(message="no"))
            for _ in range(30)
        ),
        event(created_at=just_now(), model="nobody-sells-it"),
        event("bob", created_at=just_now(), cost=Decimal(1)),
    )
    a_task(alice, calm, next_poll_at=timezone.now() - timedelta(hours=1), task_id="stuck")
    a_task(alice, calm, next_poll_at=timezone.now() + timedelta(hours=1), task_id="well")
    a_task(alice, calm, status=TaskStatus.SUCCEEDED, next_poll_at=None, task_id="over")
    EarlyWebhook.objects.create(
        platform="luma", provider_task_id="x", delivery_id="d", body="{}",
        received_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip
    other = User.objects.create_user("carol@example.com", "carol-password", name="Carol")
    namesake = User.objects.create(name="agent", is_active=False)
    client.post(f"/admin/accounts/user/{namesake.pk}/merge/", {"target": other.pk})
    JobRun.objects.filter(pk="logs.fold").update(succeeded_at=timezone.now() - timedelta(days=3))

    assert matters(client) == [
        "gateways: edge",
        "gateways: keyless",
        "gateways: refused",
        "gateways: silent",
        "unpriced: nobody-sells-it",
        "identities: bob",
        "merged: agent",
        "tasks: stuck",
        "webhooks: luma",
        "jobs: logs.fold",
    ]
    page = text(client.get(SETTLE))
    model = AIModel.objects.get(name="nobody-sells-it")
    identity = UserIdentity.objects.get(name="bob")
    for act in (
        f"/admin/logs/modelprice/add/?model={model.pk}",
        f"/admin/accounts/gateway/{keyless.pk}/keys/issue/",
        f"/admin/accounts/user/{identity.user_id}/merge/?target={bob.pk}",
    ):
        assert f'class="button" href="{act}"' in page
        assert client.get(act).status_code == 200
    for url in re.findall(r'class="button" href="([^"]+)"', page):
        assert client.get(url).status_code == 200, url
    assert str(bob) in text(client.get(f"/admin/accounts/user/{identity.user_id}/merge/?target={bob.pk}"))
    # Known from now on, beside the link on every page.
    assert 'To settle <span class="count">10</span>' in text(client.get("/admin/accounts/group/"))


def test_who_are_two_people_are_not_asked_about_again(
    client: Client, admin: User, calm: Gateway, bob: User
) -> None:
    store(calm, event("bob", cost=Decimal(1)))
    identity = UserIdentity.objects.get(name="bob")
    key = f"{bob.pk}-{identity.user_id}"
    assert matters(client) == ["identities: bob"]
    assert client.post(SETTLE, {"kind": "identities", "key": "1-2"}).status_code == 302
    assert client.post(SETTLE, {"kind": "gateways", "key": str(calm.pk)}).status_code == 302
    assert not LeftAsIs.objects.exists()
    assert "is left as it is" in text(client.post(SETTLE, {"kind": "identities", "key": key}, follow=True))
    assert matters(client) == []
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.act) == (admin, AuditEntry.Act.MERGE) and "left as it is" in entry.object


@pytest.mark.parametrize(
    ("right", "kinds"),
    [("accounts.view_user", {"identities"}), ("logs.view_usagerecord", {"unpriced"})],
)
def test_staff_see_what_they_have_the_right_to_see(
    calm: Gateway, bob: User, right: str, kinds: set[str]
) -> None:
    store(calm, event("bob", created_at=just_now(), model="nobody-sells-it"))
    client = signed_in(staff(right))
    assert {one.partition(":")[0] for one in matters(client)} == kinds
    page = text(client.get(SETTLE))
    assert 'class="button"' not in page and "Leave as it is" not in page
    identity = UserIdentity.objects.get(name="bob")
    client.post(SETTLE, {"kind": "identities", "key": f"{bob.pk}-{identity.user_id}"})
    assert not LeftAsIs.objects.exists()
    index = text(client.get("/admin/"))
    assert ("Requests today" in index) == (right == "logs.view_usagerecord")
    assert 'href="/admin/accounts/gateway/' not in index


def test_merged_people_are_no_doubt(client: Client, calm: Gateway, bob: User) -> None:
    store(calm, event("bob", cost=Decimal(1)))
    merging.merge(UserIdentity.objects.get(name="bob").user, bob)
    assert matters(client) == []


# --- What it costs ---------------------------------------------------------------------------------------


@pytest.fixture
def busy(calm: Gateway, alice: User) -> None:
    now = timezone.now().replace(microsecond=0) - timedelta(minutes=1)
    store(
        calm,
        *(
            event(
                f"person-{number % 50}@example.com",
                created_at=now - timedelta(milliseconds=number * 250_000),
                model=f"model-{number % 40}",
                metadata={"note": "x" * 200},
            )
            for number in range(6_000)
        ),
    )
    for number in range(400):
        a_task(
            alice, calm, submitted_at=now - timedelta(minutes=number),
            status=TaskStatus.SUCCEEDED if number % 50 else TaskStatus.RUNNING,
            next_poll_at=None if number % 50 else now - timedelta(hours=2),
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _statements(client: Client, url: str) -> list[str]:
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [entry["sql"] for entry in captured.captured_queries]


@pytest.mark.usefixtures("busy")
def test_the_index_reads_no_records_without_a_bound(client: Client) -> None:
    for url in ("/admin/", SETTLE):
        statements = _statements(client, url)
        assert len(statements) <= 45, len(statements)
        bounded: dict[str, Any] = {"usage_record": 0, "tasks_asynctask": 0}
        for statement in statements:
            read = re.search(r'FROM "?(usage_record|tasks_asynctask)\b', statement)
            if read is None:
                continue
            bounded[read[1]] += 1
            assert "LIMIT" in statement, statement
            with transaction.atomic(), connection.cursor() as cursor:
                # A handful of rows is read one by one, if that can be avoided or not.
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute(f"EXPLAIN {statement}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
            walked = re.search(r"Seq Scan on (usage_record_\d|tasks_asynctask)", plan)
            assert not walked, f"{statement}\n{plan}"
        assert all(bounded.values()), bounded


@pytest.mark.usefixtures("busy")
def test_it_takes_as_many_queries_however_much_is_wrong(client: Client, gateway: Gateway) -> None:
    before = len(_statements(client, "/admin/"))
    for number in range(30):
        other = Gateway.objects.create(name=f"gateway-{number}")
        store(other, event(f"person-{number}", created_at=just_now(), model=f"unknown-{number}"))
    assert len(_statements(client, "/admin/")) <= before + 1
