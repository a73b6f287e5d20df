"""A name that an admin says is a deployment's: which models behind it are the one that was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.models import AuditEntry, Gateway, User
from logs.maintenance import jobs
from logs.maintenance.answered import retell
from logs.models import Deployment, OfferedValue, UsageMark, UsageRecord
from logs.models.marks import OTHER_MODEL, digest_of
from logs.pricing.same_model import is_another_behind
from tests.cast import signed_in, store
from tests.sending import Sender, sender
from tests.test_answered import event

__all__ = ["sender"]
ADD = "/admin/logs/deployment/add/"


def flagged() -> set[str]:
    """The calls that another model is said to have answered, by their metadata and their marks alike."""
    said = {
        row.request_id for row in UsageRecord.objects.all() if "answered_by_model" in (row.metadata or {})
    }
    marked = UsageMark.objects.filter(digest=digest_of(OTHER_MODEL)).values_list("id", flat=True)
    assert said == set(UsageRecord.objects.filter(pk__in=list(marked)).values_list("request_id", flat=True))
    return said


@pytest.mark.parametrize(
    ("asked", "answered", "is_another"),
    [
        ("gpt-4o", "gpt-4.1-2025-04-14", False),
        ("azure/GPT-4o", "gpt-4.1", False),
        ("gpt-4o", "gpt-5", True),
        ("prod-chat", "gpt-5-2025-08-07", False),
        ("prod-chat", "anthropic/claude-sonnet-4-5-20250929", False),
        ("prod-chat", "gpt-5-mini", True),
        ("prod-chat", "nobody-knows-it", False),
        ("gpt-5", "azure/prod-chat", False),
        ("gpt-5-mini", "azure/prod-chat", True),
        ("openai/prod-chat", "prod-chat", False),
        ("o3", "o3-mini", True),
    ],
)
def test_whichever_model_stands_behind_a_name_is_the_one(asked: str, answered: str, is_another: bool) -> None:
    behind = {"gpt-4o": ("gpt-4.1",), "prod-chat": ("gpt-5", "claude-sonnet-4-5")}
    assert is_another_behind(asked, answered, behind) is is_another


@pytest.mark.django_db
def test_what_comes_is_told_by_what_names_stand_for(sender: Sender, alice: User) -> None:
    Deployment.objects.create(name="gpt-4o", stands_for=["gpt-4.1"])
    Deployment.objects.create(name="prod-chat", stands_for=["gpt-5"])
    common = {"created_at": timezone.now().isoformat(), "user": alice.email}
    rows = [
        {"request_id": "mapped", "model": "gpt-4o", "answered_model": "gpt-4.1", **common},
        {"request_id": "other", "model": "gpt-4o", "answered_model": "gpt-5", **common},
        {"request_id": "smaller", "model": "prod-chat", "answered_model": "gpt-5-mini", **common},
        {"request_id": "named", "model": "prod-chat", "answered_model": "gpt-5-2025-08-07", **common},
    ]
    assert sender.post("/api/v1/usage", rows).json()["accepted"] == 4
    assert flagged() == {"other", "smaller"}
    assert sender.record("smaller").metadata["asked_for_model"] == "prod-chat"


@pytest.mark.django_db
def test_past_calls_are_told_anew_when_a_name_stands_for_something_else(
    gateway: Gateway, alice: User, bob: User
) -> None:
    store(
        gateway,
        event(5, "gpt-4.1", model="gpt-4o", request_id="deployed"),
        event(70, "gpt-4.1", model="gpt-4o", request_id="bobs", user=bob.email or ""),
        event(6, "gpt-5", model="gpt-4o", request_id="wrong"),
        event(7, "gpt-5-mini", request_id="another"),
        event(8, "gpt-5-mini", model="prod-chat", request_id="smaller"),
        event(9, model="prod-chat", request_id="silent"),
    )
    before = {"deployed", "bobs", "wrong", "another"}
    assert flagged() == before
    deployed = Deployment.objects.create(name="gpt-4o", stands_for=["gpt-4.1"])
    assert retell(["gpt-4o"]) == 2
    assert retell(["gpt-4o"]) == 0, "what is right stays"
    assert flagged() == {"wrong", "another"}
    [row] = signed_in(alice).get("/records/usage/?answered=other&model=gpt-4o").context["rows"]
    assert row.request_id == "wrong"
    Deployment.objects.create(name="prod-chat", stands_for=["gpt-5"])
    assert retell() == 1
    assert flagged() == {"wrong", "another", "smaller"}
    deployed.delete()
    assert retell(["gpt-4o"]) == 2
    assert flagged() == before | {"smaller"}
    assert OfferedValue.objects.filter(key=OTHER_MODEL, user_id=bob.pk).exists()


@pytest.mark.django_db
def test_the_command_tells_of_all_that_is_known(
    gateway: Gateway, alice: User, capsys: pytest.CaptureFixture[str]
) -> None:
    store(gateway, event(5, "gpt-4.1", model="gpt-4o"), event(6))
    Deployment.objects.create(name="gpt-4o", stands_for=["gpt-4.1"])
    call_command("retell_answered")
    assert "Told anew of 1 calls." in capsys.readouterr().out
    assert flagged() == set()


# --- The admin ---------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The names of which a worker was asked to tell anew."""
    found: list[list[str]] = []
    monkeypatch.setattr(
        jobs.retell_answered, "apply_async", lambda arguments, **more: found.append(arguments[0])
    )
    return found


def test_an_admin_says_what_a_name_stands_for(
    admin: User, gateway: Gateway, asked: list[list[str]], django_capture_on_commit_callbacks: Any
) -> None:
    store(gateway, event(5, model="acme-own"))
    client = signed_in(admin)
    body = {
        "name": " azure/Prod-Chat ",
        "stands_for": "gpt-5\n acme-own \n\ngpt-5",
        "note": "of the platform",
    }
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(ADD, body).status_code == 302
    made = Deployment.objects.get()
    assert (made.name, made.stands_for) == ("prod-chat", ["gpt-5", "acme-own"])
    assert asked == [["prod-chat"]]
    assert "prod-chat" in AuditEntry.objects.get(act="names", actor=admin).object
    assert "gpt-5, acme-own" in client.get("/admin/logs/deployment/").content.decode()
    page = f"/admin/logs/deployment/{made.pk}/change/"
    assert "gpt-5\nacme-own" in client.get(page).content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(page, {**body, "name": "chat"})
        client.post(f"/admin/logs/deployment/{made.pk}/delete/", {"post": "yes"})
    assert asked[1:] == [["chat", "prod-chat"], ["chat"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "x", "stands_for": "nobody-knows-it"}, "Neither the catalogue nor any record knows"),
        ({"name": "x", "stands_for": " \n "}, "This field is required"),
        ({"name": "azure/", "stands_for": "gpt-5"}, "Enter the name without"),
        ({"name": "x", "stands_for": "\n".join(f"gpt-5-2025-08-{n:02}" for n in range(1, 22))}, "20 models"),
        ({"name": "x", "stands_for": "g" * 201}, "200 characters"),
        ({"name": "PROD-chat", "stands_for": "gpt-5"}, "already exists"),
        ({"name": "x", "stands_for": "gpt-4o"}, "is a deployment itself"),
        ({"name": "gpt-4.1", "stands_for": "gpt-5"}, "stands for it already"),
    ],
)
def test_the_form_takes_no_name_that_leads_nowhere(admin: User, body: dict[str, str], said: str) -> None:
    Deployment.objects.create(name="prod-chat", stands_for=["gpt-5"])
    Deployment.objects.create(name="gpt-4o", stands_for=["gpt-4o", "gpt-4.1"])
    answer = signed_in(admin).post(ADD, body)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert Deployment.objects.count() == 2


def test_nobody_else_may_say_so(alice: User, client: Client) -> None:
    assert signed_in(alice).post(ADD, {"name": "x", "stands_for": "gpt-5"}).status_code in (302, 403, 404)
    assert not Deployment.objects.exists()


def test_while_the_queue_is_away_the_name_is_kept(
    admin: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise BrokerError("away")

    monkeypatch.setattr(jobs.retell_answered, "apply_async", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert signed_in(admin).post(ADD, {"name": "x", "stands_for": "gpt-5"}).status_code == 302
    assert Deployment.objects.get().name == "x"
