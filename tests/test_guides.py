"""The guides inside the console: what they lead to exists, who may read them, and what readers say."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as installed
from django.core.cache import cache
from django.test import Client
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from pytest_django.fixtures import Settings as SettingsWrapper

from accounts.models import ApiToken, Gateway, GuideAnswer, User
from logs.models import ContentPolicy, Level
from routescope.templatetags.learn import TOPICS
from routescope.web import guides
from routescope.web.guides import EXAMPLE_URL
from tests.cast import event, signed_in, store

CHAPTERS = [guide.slug for guide in guides.chapters()]
GATEWAYS = [guide.slug for guide in guides.guides().values() if guide.is_for_operators]
ROOT = Path(installed.BASE_DIR)


def text(client: Client, slug: str) -> str:
    page = client.get(reverse("guide", args=[slug]))
    assert page.status_code == 200
    return page.content.decode()


# --- What they say and lead to ---------------------------------------------------------------------------


def test_the_guide_holds_a_chapter_for_each_of_the_readers_questions() -> None:
    assert {
        "operation-records", "consumption", "rpm-and-tpm", "filters", "find-a-request", "request-details",
        "errors", "input-and-output", "cost", "task-logs", "task-results", "exports", "privacy", "questions",
    } <= set(CHAPTERS)  # fmt: skip


def test_the_contents_list_every_chapter_and_each_opens(alice_client: Client) -> None:
    index = alice_client.get(reverse("learn")).content.decode()
    for guide in guides.chapters():
        assert f'href="{guide.url}"' in index and guide.summary[:40] in index
        page = text(alice_client, guide.slug)
        assert guide.updated and guide.updated <= timezone.now().date() + timedelta(days=1)
        assert "Last updated on" in page
        for heading in guide.headings:
            assert page.count(f'id="{heading.anchor}"') == 1
        assert not re.search(r"\{[a-z-]+\}", page), "a block that is not filled in"


def test_chapters_lead_to_the_next_and_back(alice_client: Client) -> None:
    walked, slug = [], CHAPTERS[0]
    while slug:
        walked.append(slug)
        page = text(alice_client, slug)
        before = re.findall(r'rel="prev" href="/learn/([\w-]+)/"', page)
        assert before == walked[-2:-1]
        slug = next(iter(re.findall(r'rel="next" href="/learn/([\w-]+)/"', page)), "")
    assert walked == CHAPTERS


def test_every_link_of_the_guide_leads_somewhere(admin: User) -> None:
    client = signed_in(admin)
    for guide in guides.guides().values():
        for href in re.findall(r'<a href="([^"]+)"', guides.as_html(guide)):
            path, _, anchor = href.partition("#")
            if "://" in path:
                continue
            assert not path.endswith(".md"), f"{guide.slug} leads to the file {href}"
            try:
                found = resolve(path) if path else None
            except Resolver404:
                pytest.fail(f"{guide.slug} leads to {path}, which does not exist")
            if found and found.url_name == "guide":
                page = text(client, found.kwargs["slug"])
                assert not anchor or f'id="{anchor}"' in page, f"{guide.slug} leads to {href}"


def test_the_addresses_in_the_guides_exist() -> None:
    for guide in guides.guides().values():
        for path in re.findall(rf"{EXAMPLE_URL}(/[\w/.-]*)", guide.source):
            try:
                resolve(path if path != "/r/" else "/r/req_1")
            except Resolver404:
                pytest.fail(f"{guide.slug} sends to {path}, which does not exist")


def test_pictures_have_a_text_a_size_and_a_twin_in_the_dark_and_are_light() -> None:
    shown = set()
    for guide in guides.guides().values():
        for name, look, alt, width in re.findall(
            r'<img class="only-\w+" src="[^"]*/([\w-]+)-(light|dark)\.webp" alt="([^"]*)" width="(\d+)"',
            guides.as_html(guide),
        ):
            assert len(alt) > 20 and int(width) > 100
            shown.add(f"{name}-{look}.webp")
    folder = ROOT / "static" / "img" / "guide"
    assert {path.name for path in folder.iterdir()} == shown and len(shown) >= 12
    assert sum(path.stat().st_size for path in folder.iterdir()) < 600_000


def test_every_topic_of_a_question_mark_has_its_chapter_and_is_used() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    assert set(re.findall(r'{% about "([\w-]+)" %}', sources)) == set(TOPICS)
    for topic in TOPICS.values():
        anchors = {heading.anchor for heading in guides.guides()[topic.chapter].headings}
        assert topic.anchor in anchors | {""}
        assert str(topic.name).startswith("About ")


def test_a_guide_names_this_installations_own_address(admin: User, settings: SettingsWrapper) -> None:
    settings.BASE_URL = "https://console.test"
    page = text(signed_in(admin), "gateways/litellm")
    assert "https://console.test/api/v1/ingest/litellm" in page
    assert EXAMPLE_URL not in page
    own = text(signed_in(admin), "find-a-request")
    assert "https://console.test/r/" in own and 'href="/records/usage/"' in own


# --- Who reads what --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["litellm", "opentelemetry", "new-api", "http"])
def test_a_gateways_guide_says_how_to_check_it_and_what_to_do(admin: User, name: str) -> None:
    page = text(signed_in(admin), f"gateways/{name}")
    assert ">Check that it works</h2>" in page
    assert ">Troubleshooting</h2>" in page
    assert "<table>" in page


def test_operators_guides_are_for_admins_alone(alice_client: Client, admin: User) -> None:
    index = alice_client.get(reverse("learn")).content.decode()
    theirs = signed_in(admin).get(reverse("learn")).content.decode()
    assert "gateways/" not in index and "Connect a gateway" not in index
    for slug in GATEWAYS:
        assert f'href="{reverse("guide", args=[slug])}"' in theirs
        assert alice_client.get(reverse("guide", args=[slug])).status_code == 403
        assert alice_client.post(reverse("guide-answer", args=[slug]), {"helpful": "yes"}).status_code == 403
        assert len(text(signed_in(admin), slug)) > 1000
    assert not GuideAnswer.objects.exists()


@pytest.mark.parametrize("slug", ["gateways/none", "../README", "gateways/../../manage", "gateways", "guide"])
def test_nothing_else_is_shown(alice_client: Client, slug: str) -> None:
    assert alice_client.get(f"/learn/{slug}/").status_code == 404
    assert alice_client.post(f"/learn/{slug}/helpful/", {"helpful": "yes"}).status_code == 404


def test_guides_are_for_those_who_are_signed_in(client: Client, db: None) -> None:
    assert client.get(reverse("learn")).status_code == 302
    assert client.get(reverse("guide", args=["cost"])).status_code == 302


# --- What holds of this account and installation ---------------------------------------------------------


def test_what_is_kept_how_long_is_told_from_the_settings(
    alice_client: Client, settings: SettingsWrapper
) -> None:
    settings.RECORD_RETENTION_MONTHS, settings.EXPORT_DAYS, settings.ROLLUP_RETENTION_YEARS = 13, 1, 3
    page = text(alice_client, "privacy")
    assert page.count("<td>13 months</td>") == 2  # Calls and tasks.
    assert "<td>1 day</td>" in page and "<td>3 years</td>" in page
    assert "<td>Not kept</td>" in page


def test_whether_content_is_kept_is_told_for_the_readers_own_tokens(
    alice: User, bob: User, gateway: Gateway, settings: SettingsWrapper
) -> None:
    settings.CONTENT_RETENTION_DAYS = 9
    store(gateway, event(token="prod"), event(token="staging"), event(user="bob@example.com", token="b-1"))
    ContentPolicy.objects.create(gateway=gateway, level=Level.FULL)
    for token in ApiToken.objects.filter(name="staging"):
        ContentPolicy.objects.create(token=token, level=Level.OFF)
    page = text(signed_in(alice), "privacy")
    assert "Kept in full for: prod." in page and "Not kept for: staging." in page
    assert "b-1" not in page
    other = text(signed_in(bob), "privacy")
    assert "Kept in full." in other and "prod" not in other and "<td>9 days</td>" in other


def test_the_operators_pages_are_linked_where_they_are_configured(
    alice_client: Client, settings: SettingsWrapper
) -> None:

    def pages() -> str:
        return alice_client.get(reverse("learn")).content.decode() + text(alice_client, "privacy")

    settings.TERMS_URL = settings.PRIVACY_URL = ""
    assert "Terms of service" not in pages() and "Privacy policy" not in pages()
    settings.TERMS_URL = "https://op.example/terms"
    assert pages().count('href="https://op.example/terms"') == 2 and "Privacy policy" not in pages()


def test_the_guide_speaks_of_a_playground_only_where_there_is_one(
    alice_client: Client, settings: SettingsWrapper
) -> None:
    settings.PLAYGROUND_URL = settings.API_REFERENCE_URL = ""
    for slug in CHAPTERS:
        page = text(alice_client, slug)
        assert "Playground" not in page and "API reference" not in page
    settings.PLAYGROUND_URL = "https://play.example/"
    assert "Playground" in text(alice_client, "errors") and "API reference" not in text(
        alice_client, "errors"
    )


# --- Was this helpful? -----------------------------------------------------------------------------------


@pytest.fixture
def fresh_limits(db: None) -> None:
    cache.clear()


@pytest.mark.usefixtures("fresh_limits")
def test_an_answer_is_kept_once_for_a_person_and_page_and_can_be_changed(
    alice: User, alice_client: Client, bob: User
) -> None:
    url = reverse("guide-answer", args=["cost"])
    assert 'aria-pressed="true"' not in text(alice_client, "cost").split("</aside>")[-1]
    assert alice_client.post(url, {"helpful": "no"}).headers["Location"] == "/learn/cost/#helpful"
    alice_client.post(url, {"helpful": "no", "comment": "No word about audio."})
    alice_client.post(url, {"helpful": "yes"})
    signed_in(bob).post(url, {"helpful": "no"})
    kept = GuideAnswer.objects.get(user=alice)
    assert (kept.page, kept.helpful, kept.comment) == ("cost", True, "No word about audio.")
    assert GuideAnswer.objects.count() == 2
    page = text(alice_client, "cost")
    assert 'value="No word about audio."' in page
    assert re.search(r'value="yes" aria-pressed="true"', page)


@pytest.mark.usefixtures("fresh_limits")
def test_an_answer_is_swapped_in_place(alice_client: Client) -> None:
    url = reverse("guide-answer", args=["cost"])
    swapped = alice_client.post(url, {"helpful": "yes"}, headers={"hx-request": "true"})
    assert swapped.status_code == 200 and "<html" not in swapped.content.decode()
    assert "Your answer is saved" in swapped.content.decode()


@pytest.mark.usefixtures("fresh_limits")
@pytest.mark.parametrize("sent", [{}, {"helpful": "perhaps"}, {"helpful": "yes", "comment": "x" * 501}])
def test_what_is_no_answer_is_not_kept(alice_client: Client, sent: dict[str, str]) -> None:
    url = reverse("guide-answer", args=["cost"])
    assert alice_client.post(url, sent, headers={"hx-request": "true"}).status_code == 422
    assert not GuideAnswer.objects.exists()


@pytest.mark.usefixtures("fresh_limits")
def test_a_key_in_an_answer_is_not_kept(alice_client: Client) -> None:
    key = "sk-proj-" + "a1B2c3D4" * 6
    alice_client.post(reverse("guide-answer", args=["cost"]), {"helpful": "no", "comment": f"My key {key}"})
    assert key not in GuideAnswer.objects.get().comment


@pytest.mark.usefixtures("fresh_limits")
def test_answers_are_limited_for_each_person(alice_client: Client, bob: User) -> None:
    url = reverse("guide-answer", args=["cost"])
    answers = [alice_client.post(url, {"helpful": "yes"}).status_code for _ in range(21)]
    assert answers == [302] * 20 + [429]
    assert signed_in(bob).post(url, {"helpful": "yes"}).status_code == 302


@pytest.mark.usefixtures("fresh_limits")
def test_admins_see_the_answers_with_counts(alice: User, bob: User, admin: User) -> None:
    GuideAnswer.objects.create(user=alice, page="cost", helpful=True)
    GuideAnswer.objects.create(user=bob, page="cost", helpful=False, comment="Where is audio?")
    GuideAnswer.objects.create(user=bob, page="a-page-that-is-gone", helpful=False)
    page = signed_in(admin).get("/admin/accounts/guideanswer/").content.decode()
    assert '<th scope="row">Cost and receipts</th><td>1</td><td>1</td>' in page
    assert '<th scope="row">a-page-that-is-gone</th><td>0</td><td>1</td>' in page
    assert "Where is audio?" in page
    of_page = signed_in(admin).get("/admin/accounts/guideanswer/?page=consumption").content.decode()
    assert "Where is audio?" not in of_page
