"""Admins add providers, change ours, try them on a sample, and keep their keys where nobody reads them."""

from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from tasks.models import Provider, ProviderCredential
from tasks.providers.catalogue import built_in_source, catalogue
from tests.cast import signed_in

LIST = "/admin/tasks/provider/"


@pytest.fixture
def admin_client(admin: User) -> Client:
    return signed_in(admin)


def test_ours_are_listed_and_can_be_begun_from(admin_client: Client) -> None:
    page = admin_client.get(LIST).content.decode()
    assert "Black Forest Labs" in page and f"{LIST}add/?of=luma" in page
    assert "dreaming" in admin_client.get(f"{LIST}add/?of=luma").content.decode()


def test_a_changed_provider_is_used_at_once(admin_client: Client) -> None:
    changed = built_in_source("luma").replace('name = "Luma"', 'name = "Luma 2"')
    body = {"slug": "luma", "is_active": "on", "definition": changed}
    assert admin_client.post(f"{LIST}add/", body).status_code == 302
    assert catalogue().label("luma") == "Luma 2"


@pytest.mark.parametrize(("slug", "definition"), [("luma", "slug = "), ("other", None)])
def test_a_definition_that_cannot_be_used_is_not_kept(
    admin_client: Client, slug: str, definition: str | None
) -> None:
    body = {"slug": slug, "is_active": "on", "definition": definition or built_in_source("luma")}
    answer = admin_client.post(f"{LIST}add/", body)
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    assert not Provider.objects.exists()


def test_a_sample_shows_what_is_read_from_it(admin_client: Client) -> None:
    sample = '{"state": "failed", "failure_reason": "advanced moderation failed"}'
    body = {"definition": built_in_source("luma"), "sample": sample}
    page = admin_client.post(f"{LIST}try/", body).content.decode()
    assert "Moderated" in page and "advanced moderation failed" in page
    page = admin_client.post(f"{LIST}try/", {**body, "sample": "{"}).content.decode()
    assert "This is not JSON" in page


def test_a_sample_without_a_base_url_shows_where_links_would_lead(admin_client: Client) -> None:
    sample = '{"id": "task_1", "status": "Succeeded", "generations": [{"id": "gen_1"}]}'
    body = {"definition": built_in_source("azure-videos"), "sample": sample}
    page = admin_client.post(f"{LIST}try/", body).content.decode()
    assert "https://base-url-of-the-credential/openai/v1/video/generations/gen_1/content" in page


def test_a_key_is_kept_for_the_provider_whatever_it_is_called(admin_client: Client) -> None:
    body = {"platform": "hailuo", "new_api_key": "a-secret-key", "base_url": ""}
    assert admin_client.post("/admin/tasks/providercredential/add/", body).status_code == 302
    row = ProviderCredential.objects.get()
    assert (row.platform, row.key_origins[0]) == ("minimax", "https://api.minimax.io")


def test_keys_are_never_shown_and_stay_where_the_box_is_empty(admin_client: Client) -> None:
    body = {"platform": "luma", "new_api_key": "a-secret-key", "new_webhook_secret": "", "base_url": ""}
    assert admin_client.post("/admin/tasks/providercredential/add/", body).status_code == 302
    row = ProviderCredential.objects.get()
    assert row.api_key.reveal() == "a-secret-key"
    url = f"/admin/tasks/providercredential/{row.pk}/change/"
    assert "a-secret-key" not in admin_client.get(url).content.decode()
    admin_client.post(url, {**body, "new_api_key": "", "new_webhook_secret": "whsec_c2VjcmV0"})
    row.refresh_from_db()
    assert (row.api_key.reveal(), row.webhook_secret.reveal()) == ("a-secret-key", "whsec_c2VjcmV0")


def test_a_key_does_not_follow_a_changed_address(admin_client: Client) -> None:
    row = ProviderCredential.objects.create(platform="luma", api_key="k-1", base_url="https://luma.example")
    url = f"/admin/tasks/providercredential/{row.pk}/change/"
    sent = {"platform": "luma", "new_api_key": "", "base_url": "https://elsewhere.example"}
    assert "Enter it again" in admin_client.post(url, sent).content.decode()
    row.refresh_from_db()
    assert (row.api_key.reveal(), row.base_url) == ("k-1", "https://luma.example")
    assert admin_client.post(url, {**sent, "new_api_key": "k-2"}).status_code == 302
    row.refresh_from_db()
    assert (row.api_key.reveal(), row.base_url) == ("k-2", "https://elsewhere.example")


def test_only_admins_get_in(alice: User) -> None:
    for url in (LIST, f"{LIST}try/", "/admin/tasks/providercredential/"):
        assert signed_in(alice).get(url).status_code in (302, 403)
