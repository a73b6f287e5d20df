"""What exists and what does not answer alike to staff without the right, on every page of the admin.

The pages are found by walking the URLs: one to come is tried without a test of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib import admin as django_admin
from django.contrib.auth.models import Group as PermissionGroup
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import (
    AIModel,
    ApiToken,
    AuditEntry,
    Export,
    Gateway,
    Group,
    GroupIdentity,
    GuideAnswer,
    IngestKey,
    LinkedIdentity,
    Membership,
    SavedView,
    Team,
    TokenIdentity,
    UserIdentity,
)
from accounts.models import User as Person
from accounts.staff import audit
from logs.models import ContentPolicy, Deployment, GroupRatio, Level, ModelPrice
from routescope.models import JobRun
from tasks.models import EarlyWebhook, HostHealth, Provider, ProviderCredential
from tasks.providers.catalogue import built_in_source
from tests.cast import event, signed_in, store
from tests.task_cast import a_task
from tests.test_staff import staff

ADMINS: dict[type[models.Model], Any] = dict(django_admin.site._registry.items())
MODELS = sorted(ADMINS, key=lambda model: model._meta.label)
# Parameters that name an object, and what the others are given.
_OBJECTS = {"object_id", "id"}
_OTHERS: dict[str, Any] = {"key_id": 1}
# What has no rights of its own goes by another's.
_BY_RIGHTS_OF: dict[type[models.Model], type[models.Model]] = {Membership: Team}
Told = tuple[int, str, str]
# What is new in every answer: its token, and the present moment that a form of something new begins with.
_NEW = re.compile(r"[A-Za-z0-9]{64}|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d(\.\d+)?")


@pytest.fixture(autouse=True)
def everything(alice: Person, gateway: Gateway) -> None:
    """One row, at least, of every model that the admin shows."""
    store(gateway, event(alice))
    model, token = AIModel.objects.first(), ApiToken.objects.first()
    group = Group.objects.create(name="vip")
    PermissionGroup.objects.create(name="auditors")
    LinkedIdentity.objects.create(user=alice, provider="openid", uid="subject")
    assert model is not None and token is not None
    a_task(alice, gateway)
    ContentPolicy.objects.create(gateway=gateway, level=Level.OFF)
    ModelPrice.objects.create(model=model, valid_from=timezone.now() + timedelta(days=2), input=Decimal(1))
    Deployment.objects.create(name="prod-chat", stands_for=[model.name])
    GroupRatio.objects.get_or_create(group=group, defaults={"ratio": 1, "valid_from": timezone.now()})
    Provider.objects.create(slug="luma", definition=built_in_source("luma"))
    ProviderCredential.objects.create(platform="luma", api_key="k", gateway=gateway)
    HostHealth.objects.create(host="api.example")
    EarlyWebhook.objects.create(platform="luma", provider_task_id="x", delivery_id="d", body="{}")
    IngestKey.issue(gateway)
    UserIdentity.objects.get_or_create(gateway=gateway, name="agent-7", defaults={"user": alice})
    GroupIdentity.objects.get_or_create(gateway=gateway, name="vip", defaults={"group": group})
    TokenIdentity.objects.get_or_create(gateway=gateway, user=alice, name="t", defaults={"token": token})
    audit.note_unattended(AuditEntry.Act.RETENTION, "what", "nobody")
    JobRun.objects.get_or_create(name="logs.fold")
    TOTP.activate(alice, generate_totp_secret())
    Team.objects.create(name="Search").memberships.create(user=alice)
    SavedView.objects.create(user=alice, tab="usage", name="mine", query="model=secret")
    GuideAnswer.objects.create(user=alice, page="cost", helpful=True)
    if Export in ADMINS:
        Export.objects.create(user=alice, source="usage", format="csv", columns=["request_id"], query="")


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield every address below a resolver, and the names of its parameters."""
    for one in resolver.url_patterns:
        address = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, address)
        elif isinstance(one, URLPattern):
            yield address, set(re.findall(r"<(?:\w+:)?(\w+)>", address))


def addresses(model: type[models.Model]) -> list[str]:
    """Return the addresses of a model's pages that name an object of it, with ``{key}`` for its key."""
    [site] = [one for one in get_resolver().url_patterns if str(one.pattern) == "admin/"]
    beginning = f"{model._meta.app_label}/{model._meta.model_name}/"
    found = []
    for address, names in patterns(site):  # type: ignore[arg-type]
        if not address.startswith(beginning) or not names & _OBJECTS:
            continue
        assert names <= _OBJECTS | set(_OTHERS), f"say in _OTHERS what {address} is given"
        for name in names:
            value = "{key}" if name in _OBJECTS else str(_OTHERS[name])
            address = re.sub(rf"<(?:\w+:)?{name}>", value, address)
        found.append(f"/admin/{address}")
    return found


def told(
    client: Client, method: str, url: str, keys: tuple[Any, Any], body: Any = None
) -> tuple[int, str, str]:
    """Return what an answer tells, without the keys that are compared and what is new in each."""
    answer = getattr(client, method)(url, body)
    either = re.compile(rf"(?<![\w-])({'|'.join(re.escape(str(key)) for key in keys)})(?![\w-])")
    page = either.sub("", _NEW.sub("", answer.content.decode()))
    return answer.status_code, either.sub("", answer.headers.get("Location", "")), page


def missing(key: Any) -> Any:
    if isinstance(key, int):
        return key + 1_000_000
    return "01890a5d-ac96-8000-8000-00000000dead" if len(str(key)) == 36 else f"{key}-missing"


def keys(model: type[models.Model]) -> tuple[Any, Any]:
    row = model._default_manager.order_by("pk").first()
    assert row is not None, f"everything() makes no {model._meta.label}"
    return row.pk, missing(row.pk)


def rights(model: type[models.Model], *, without: bool) -> list[str]:
    """Return all rights of one model, or of all others."""
    kind = ContentType.objects.get_for_model(_BY_RIGHTS_OF.get(model, model), for_concrete_model=False)
    found = Permission.objects.select_related("content_type")
    its = found.exclude(content_type=kind) if without else found.filter(content_type=kind)
    return [f"{one.content_type.app_label}.{one.codename}" for one in its]


def make(kind: str, model: type[models.Model]) -> Client:
    """Sign in staff who may not see a model: with no right, every right but its own, or that to add."""
    held = {
        "no right": [],
        "all others": rights(model, without=True),
        "to add": [one for one in rights(model, without=False) if ".add_" in one],
    }[kind]
    return signed_in(staff(*held))


@pytest.mark.parametrize("kind", ["no right", "all others", "to add"])
@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_every_page_that_names_an_object_answers_alike(model: type[models.Model], kind: str) -> None:
    client, both, tried = make(kind, model), keys(model), addresses(model)
    assert len(tried) >= 4
    for address in tried:
        for method, body in (("get", None), ("post", {"post": "yes"})):
            known, unknown = (told(client, method, address.format(key=key), both, body) for key in both)
            assert known == unknown, (address, method)
            assert kind == "to add" or known[0] == 403 or address.endswith("/{key}/"), address


@pytest.mark.parametrize("kind", ["no right", "all others", "to add"])
@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_lists_actions_and_searches_answer_alike(model: type[models.Model], kind: str) -> None:
    client, both = make(kind, model), keys(model)
    url = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    row = model._default_manager.get(pk=both[0])
    actions = {"delete_selected", *(getattr(one, "__name__", one) for one in ADMINS[model].actions or ())}
    for action in actions:
        bodies = [{"action": action, "_selected_action": [key], "post": "yes"} for key in both]
        assert len({told(client, "post", url, both, body) for body in bodies}) == 1, action
    asked = [{"q": str(row)}, {"q": "no such thing"}, *({"id__exact": key} for key in both)]
    assert {told(client, "get", url, both, query)[0] for query in asked} == {403}
    assert model._default_manager.filter(pk=both[0]).exists()


def foreign_keys(model: type[models.Model]) -> list[models.ForeignKey[Any, Any]]:
    return [
        one
        for one in model._meta.concrete_fields
        if isinstance(one, models.ForeignKey) and one.remote_field.model in ADMINS
    ]


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_looking_up_another_model_needs_its_right(model: type[models.Model]) -> None:
    for one in foreign_keys(model):
        target = one.remote_field.model
        client, (existing, _) = signed_in(staff(*rights(target, without=True))), keys(target)
        where = {"app_label": model._meta.app_label, "model_name": str(model._meta.model_name)}
        for term in ("", str(target._default_manager.get(pk=existing)), "no such thing"):
            query = {**where, "field_name": one.name, "term": term}
            assert client.get("/admin/autocomplete/", query).status_code in (400, 403), one
        Person.objects.filter(email="staff@example.com").delete()


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_no_form_tells_what_another_model_holds(model: type[models.Model]) -> None:
    url = f"/admin/{model._meta.app_label}/{model._meta.model_name}"
    for one in foreign_keys(model):
        target = one.remote_field.model
        if target is model:
            continue
        existing, absent = keys(target)
        person = staff(*rights(target, without=True))
        client = signed_in(person)
        its, _ = keys(model)
        last = target._default_manager.order_by("-pk").first()
        assert last is not None
        set_already = {getattr(row, one.attname) for row in model._default_manager.filter(pk=its)}
        for page in (f"{url}/add/", f"{url}/{its}/change/"):
            for key in {existing, last.pk} - (set_already if page.endswith("change/") else set()):
                both = (key, absent)
                known, unknown = (told(client, "post", page, both, {one.name: tried}) for tried in both)
                assert known == unknown, (page, one.name)
        person.delete()


def test_no_page_leads_to_any_object_of_any_model() -> None:
    """Django's ``view_on_site`` leads to an object's own address: to the filters of somebody's saved view."""
    client = signed_in(staff())
    everywhere: list[type[models.Model]] = [SavedView, *MODELS]
    for model in everywhere:
        kind, both = ContentType.objects.get_for_model(model).pk, keys(model)
        known, unknown = (told(client, "get", f"/admin/r/{kind}/{key}/", both) for key in both)
        assert known == unknown and known[0] == 404, model


def test_every_page_below_the_admin_is_known() -> None:
    """A page that is of no model and names something must be thought about: say here why it tells nothing."""
    [site] = [one for one in get_resolver().url_patterns if str(one.pattern) == "admin/"]
    beginnings = tuple(f"{model._meta.app_label}/{model._meta.model_name}/" for model in MODELS)
    others = {address for address, _ in patterns(site) if not address.startswith(beginnings)}  # type: ignore[arg-type]
    named = {one.strip("^$") for one in others}
    assert {
        "", "login/", "logout/", "password_change/", "password_change/done/", "autocomplete/", "jsi18n/",
    } <= named  # fmt: skip
    left = {one for one in named if "<" in one}
    # The index of one app, by a name that stands in the code; and what is no page at all.
    assert all("app_label" in one or "url" in one for one in left), left
