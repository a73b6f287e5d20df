"""A provider's stored key goes where it was entered for: tried by staff who do not know it, by a gateway and
by a provider's answers.
"""

from __future__ import annotations

import importlib
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.test import Client

from accounts.models import Gateway, User
from routescope.wire import outbound
from tasks.following import leases, polling
from tasks.models import AsyncTask, EventReason, Provider, ProviderCredential, TaskEvent
from tasks.providers import key_binding
from tasks.providers.catalogue import built_in, built_in_source, catalogue
from tasks.providers.definition import DefinitionError, parse
from tests import task_cast
from tests.cast import signed_in
from tests.test_staff import staff

KEY = "sk-luma-0123456789abcdef"
LUMA = "api.lumalabs.ai"
SOURCE = built_in_source("luma")
RIGHTS = ("add_provider", "change_provider", "view_provider", "change_providercredential", "view_asynctask")


@dataclass
class Network:
    """Stands in for every host; each answers by the URL's beginning, and what it was sent is kept."""

    sent: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, str], Any]] = field(default_factory=dict)

    def once(self, method: str, url: str, headers: Mapping[str, str], *_: Any) -> outbound.Answer:
        self.sent.append((url, dict(headers)))
        for beginning, (status, its, document) in self.answers.items():
            if url.startswith(beginning):
                return outbound.Answer(status, its, json.dumps(document).encode(), url)
        return outbound.Answer(200, {}, json.dumps({"id": "lu-1", "state": "dreaming"}).encode(), url)

    @property
    def leaks(self) -> list[str]:
        """What was sent with the key to anybody else than Luma, or otherwise than as ``Authorization``."""
        found = []
        for url, headers in self.sent:
            others = {name: value for name, value in headers.items() if name != "Authorization"}
            at_luma = urlsplit(url).netloc == LUMA and url.startswith("https://")
            if KEY in f"{url}{others}" or (KEY in headers.get("Authorization", "") and not at_luma):
                found.append(url)
        return found


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    made = Network()
    monkeypatch.setattr(outbound, "_once", made.once)
    return made


@pytest.fixture
def mallory(db: None) -> Client:
    """Staff who may change providers and credentials, and knows no key."""
    return signed_in(staff(*(f"tasks.{right}" for right in RIGHTS)))


@pytest.fixture
def credential(db: None) -> ProviderCredential:
    return task_cast.a_key("luma", KEY)


def poll_all() -> None:
    AsyncTask.objects.update(next_poll_at="2026-01-01T00:00:00Z")
    for one in leases.claim(catalogue()):
        polling.poll(one.task_id, one.lease, catalogue())


def define(client: Client, definition: str) -> Any:
    body = {"slug": "luma", "is_active": "on", "definition": definition}
    row = Provider.objects.filter(slug="luma").first()
    url = f"/admin/tasks/provider/{row.pk}/change/" if row else "/admin/tasks/provider/add/"
    return client.post(url, body, follow=True)


def changed(*changes: tuple[str, str]) -> str:
    text = SOURCE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


URL = 'url = "{+base}/dream-machine/v1/generations/{id}"'
HOSTS = f'hosts = ["{LUMA}"]'
SCHEME = 'scheme = "header"'
FOLLOW = ("[reading]\n", '[poll.follow]\nurl = "https://evil.example/{id}"\n[reading]\n')
DEFINITIONS = {
    "base": changed((f'base = "https://{LUMA}"', 'base = "https://evil.example"')),
    "url": changed((URL, 'url = "https://evil.example/{id}"')),
    "port": changed((URL, f'url = "https://{LUMA}:8443/{{id}}"')),
    "parameter as host": changed((URL, 'url = "https://{region}.example/{id}"')),
    "parameter as path": changed((URL, 'url = "https://{+region}/x"')),
    "id behind the base": changed((URL, 'url = "{+base}{+id}"')),
    "hosts": changed((HOSTS, f'hosts = ["{LUMA}", "evil.example"]')),
    "wild hosts": changed((HOSTS, f'hosts = ["{LUMA}", "*.evil.example"]')),
    "follow": changed(FOLLOW),
    "another header": changed((SCHEME, 'scheme = "header"\nname = "X-Trace"')),
    "query": changed((SCHEME, 'scheme = "query"\nname = "id"')),
    "host header": changed(("[reading]\n", '[poll.headers]\nHost = "evil.example"\n[reading]\n')),
}
TASKS: dict[str, dict[str, Any]] = {
    "parameter as host": {"poll_parameters": {"region": "evil"}},
    "parameter as path": {"poll_parameters": {"region": "evil.example"}},
    "id behind the base": {"provider_task_id": ".evil.example/x"},
    "hosts": {"poll_url": "https://evil.example/x"},
    "wild hosts": {"poll_url": "https://a.evil.example/x"},
}


@pytest.mark.parametrize("attack", DEFINITIONS)
def test_no_changed_definition_leads_a_stored_key_away(
    mallory: Client,
    network: Network,
    credential: ProviderCredential,
    alice: User,
    gateway: Gateway,
    attack: str,
) -> None:
    network.answers[f"https://{LUMA}/"] = (200, {}, {"id": "lu-1", "state": "completed"})
    page = define(mallory, DEFINITIONS[attack])
    assert Provider.objects.get().definition.strip() == DEFINITIONS[attack].strip()
    fields = {"provider_task_id": "lu-1", **TASKS.get(attack, {})}
    task_cast.a_task(alice, gateway, platform="luma", **fields)
    poll_all()
    assert network.leaks == []
    for _, headers in network.sent:
        assert "evil" not in headers.get("Host", "")
    event = TaskEvent.objects.exclude(reason="").get()
    if attack != "host header":
        assert event.reason == EventReason.KEY_WITHHELD and "enter it again" in event.note
        assert KEY not in event.note
    told = "enter the key again under Provider credentials" in page.content.decode()
    assert told or attack in ("parameter as host", "parameter as path", "id behind the base", "host header")


@pytest.mark.parametrize(
    "hosts",
    ["*", "**", "*.*", "*.com", "?*.example", "[a-z]*.example", "evil.example:8080", "https://x.example"],
)
def test_no_definition_with_a_key_names_hosts_at_large(hosts: str) -> None:
    with pytest.raises(DefinitionError, match=r"poll\.hosts"):
        parse(changed((HOSTS, f'hosts = ["{hosts}"]')))


@pytest.mark.parametrize(
    "poll_url",
    [
        "https://evil.example/x",
        f"https://{LUMA}@evil.example/x",
        f"https://{LUMA}:{KEY}@evil.example/x",
        f"https://{LUMA}.evil.example/x",
        f"https://evil.example/{LUMA}",
        f"https://evil.example\\@{LUMA}/x",
        f"https://evil.example#@{LUMA}/x",
        f"https://evil{LUMA}/x",
        f"https://{LUMA}:8443/x",
        f"http://{LUMA}/x",
        f"//evil.example/{LUMA}",
        f"ftp://{LUMA}/x",
    ],
)
def test_no_gateway_leads_a_key_away_by_a_tasks_poll_url(
    network: Network,
    credential: ProviderCredential,
    client: Client,
    alice: User,
    gateway: Gateway,
    poll_url: str,
) -> None:
    body = {
        "task_id": "task-1",
        "created_at": "2026-01-01T00:00:00Z",
        "user": "alice@example.com",
        "platform": "luma",
        "provider_task_id": "lu-1",
        "poll": {"url": poll_url, "parameters": {"base": "https://evil.example"}},
    }
    answer = client.post("/api/v1/tasks", body, "application/json", headers=task_cast.key(gateway))
    assert answer.status_code in (200, 400, 422), answer.content
    poll_all()
    assert network.leaks == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["https://evil.example/x", f"http://{LUMA}/x", f"https://{LUMA}:8443/x", "//evil.example/x"]
)
def test_no_redirect_takes_the_key_along(
    network: Network,
    credential: ProviderCredential,
    alice: User,
    gateway: Gateway,
    status: int,
    target: str,
) -> None:
    network.answers[f"https://{LUMA}/"] = (status, {"location": target}, {})
    task_cast.a_task(alice, gateway, platform="luma", provider_task_id="lu-1")
    poll_all()
    assert len(network.sent) == 2 and network.leaks == []


def test_no_answer_names_where_the_key_goes_next(network: Network, alice: User, gateway: Gateway) -> None:
    task_cast.a_key("fal", KEY)
    evil = {"status": "COMPLETED", "response_url": "https://evil.example/x"}
    network.answers["https://queue.fal.run/"] = (200, {}, evil)
    parameters = {"model": "fal-ai/flux"}
    task_cast.a_task(alice, gateway, platform="fal", provider_task_id="f-1", poll_parameters=parameters)
    poll_all()
    assert {urlsplit(url).hostname for url, _ in network.sent} == {"queue.fal.run"}


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_host_that_repeats_the_key_tells_nobody(
    network: Network, credential: ProviderCredential, alice: User, gateway: Gateway, status: int
) -> None:
    said = f"Incorrect API key provided: {KEY}."
    document = {"id": "lu-1", "state": "failed", "failure_reason": said, "assets": {"video": KEY}}
    network.answers[f"https://{LUMA}/"] = (status, {}, document)
    task = task_cast.a_task(alice, gateway, platform="luma", provider_task_id="lu-1")
    poll_all()
    kept = [*AsyncTask.objects.values_list(), *TaskEvent.objects.values_list()]
    assert task.pk and KEY not in str(kept)


@pytest.mark.parametrize(
    "auth", ['prefix = " Bearer "', 'prefix = "\\tBearer "', 'name = "X Trace"', 'name = ""', 'prefix = "é"']
)
def test_no_request_that_cannot_be_sent_tells_the_key(
    mallory: Client,
    credential: ProviderCredential,
    alice: User,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: LazySettings,
    auth: str,
) -> None:
    """The HTTP library says which header it refuses, with its value."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings.OUTBOUND_ALLOWED = [f"127.0.0.1:{port}"]
        monkeypatch.setattr(outbound, "TIMEOUT", 1.0)
        define(mallory, changed(('prefix = "Bearer "', auth)))
        task_cast.a_task(alice, gateway, platform="luma", provider_task_id="lu-1")
        named = parse(Provider.objects.get().definition).auth
        ProviderCredential.objects.update(
            base_url=f"http://127.0.0.1:{port}",
            key_origins=[f"http://127.0.0.1:{port}"],
            key_sent_as=key_binding.sent_as(named),
        )
        poll_all()
    assert TaskEvent.objects.exclude(reason="").exists()
    assert KEY not in f"{list(TaskEvent.objects.values_list())}{caplog.text}"


def test_staff_lead_no_key_away_in_its_own_form(
    mallory: Client, network: Network, credential: ProviderCredential, alice: User, gateway: Gateway
) -> None:
    url = f"/admin/tasks/providercredential/{credential.pk}/change/"
    sent = {"platform": "luma", "base_url": "", "new_api_key": "", "new_webhook_secret": ""}
    mallory.post(url, {**sent, "base_url": "https://evil.example"})
    mallory.post(url, {**sent, "platform": "replicate"})
    mallory.post(url, {**sent, "key_origins": '["https://evil.example"]', "key_sent_as": "query x"})
    credential.refresh_from_db()
    assert (credential.platform, credential.base_url) == ("luma", "")
    assert credential.key_origins == [f"https://{LUMA}"]
    # One that no definition uses yet is let through, and one is made for it: the key stays bound.
    mallory.post(url, {**sent, "platform": "mine"})
    own = changed(
        ('slug = "luma"', 'slug = "mine"'), (f'base = "https://{LUMA}"', 'base = "https://evil.example"')
    )
    mallory.post("/admin/tasks/provider/add/", {"slug": "mine", "is_active": "on", "definition": own})
    task_cast.a_task(alice, gateway, platform="mine", provider_task_id="lu-1")
    poll_all()
    assert "mine" in catalogue().by_slug and network.sent == []


def test_past_the_forms_the_key_is_withheld_at_the_moment_of_sending(
    network: Network, credential: ProviderCredential, alice: User, gateway: Gateway
) -> None:
    ProviderCredential.objects.update(base_url="https://evil.example")
    task_cast.a_task(alice, gateway, platform="luma", provider_task_id="lu-1")
    poll_all()
    assert network.sent == []
    ProviderCredential.objects.update(base_url="", key_origins=[])
    poll_all()
    assert network.sent == []
    assert set(TaskEvent.objects.values_list("reason", flat=True)) == {EventReason.KEY_WITHHELD}


def test_who_knows_the_key_enters_it_again_and_it_is_sent_there(
    admin: User, network: Network, credential: ProviderCredential, alice: User, gateway: Gateway
) -> None:
    client = signed_in(admin)
    relay = changed((f'base = "https://{LUMA}"', 'base = "https://relay.example"'))
    page = define(client, relay).content.decode()
    assert f"was entered for https://{LUMA}. It is not sent to https://relay.example" in page
    url = f"/admin/tasks/providercredential/{credential.pk}/change/"
    assert "It is not sent to https://relay.example" in client.get(url).content.decode()
    task_cast.a_task(alice, gateway, platform="luma", provider_task_id="lu-1")
    poll_all()
    assert network.sent == []
    sent = {"platform": "luma", "base_url": "", "new_api_key": KEY, "new_webhook_secret": ""}
    entered = client.post(url, sent, follow=True).content.decode()
    assert f"is sent to https://relay.example, https://{LUMA}, and nowhere else" in entered
    poll_all()
    [(asked, headers)] = network.sent
    assert asked.startswith("https://relay.example/") and headers["Authorization"] == f"Bearer {KEY}"
    assert "It is not sent" not in client.get(url).content.decode()


def test_keys_that_were_stored_before_are_bound_to_what_their_definition_names(
    monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    expected = {}
    for slug, definition in built_in().items():
        if definition.poll is not None:
            row = task_cast.a_key(slug, KEY)
            expected[slug] = (row.key_origins, row.key_sent_as)
    own = changed(('slug = "luma"', 'slug = "own"'), (HOSTS, 'hosts = ["*.eu.example"]'))
    Provider.objects.create(slug="own", definition=own)
    row = task_cast.a_key("own", KEY, base_url="http://10.0.0.1:3000/v1")
    expected["own"] = (row.key_origins, row.key_sent_as)
    assert row.key_origins == ["http://10.0.0.1:3000", "https://*.eu.example"]
    expected["unknown"] = ([], "")
    task_cast.a_key("unknown", KEY)
    ProviderCredential.objects.update(key_origins=[], key_sent_as="")
    bind: Callable[..., None] = importlib.import_module("tasks.migrations.0003_key_binding").bind
    bind(apps, None)
    found = ProviderCredential.objects.values_list("platform", "key_origins", "key_sent_as")
    assert {slug: (origins, sent_as) for slug, origins, sent_as in found} == expected
