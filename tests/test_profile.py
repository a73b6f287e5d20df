"""The profile page, time zones, themes, languages, and accepting an invitation."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.mail import EmailMessage
from django.test import Client, override_settings
from django.urls import reverse
from playwright.sync_api import Page, expect
from time_machine import TimeMachineFixture

from accounts.access import personal_tokens
from accounts.identities import merging
from accounts.models import User
from accounts.people import closing, invites, languages, time_zones, views
from tests.cast import signed_in
from tests.e2e import hands
from tests.oidc_cast import save_in_admin

SITE = "https://console.example"
SECRET = "entirely-new-secret"


def profile(**changes: str) -> dict[str, str]:
    return {"name": "Alice", "time_zone": "UTC", "theme": "system", **changes}


def test_a_person_saves_their_profile(alice_client: Client, alice: User) -> None:
    sent = profile(name="Alice Liddell", time_zone="Asia/Shanghai", theme="dark")
    page = alice_client.post("/profile/", sent, follow=True).content.decode()
    assert "Profile saved." in page
    assert '<html lang="en" data-theme="dark">' in page
    alice.refresh_from_db()
    assert (alice.name, alice.time_zone, alice.theme) == ("Alice Liddell", "Asia/Shanghai", "dark")


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("asia/shanghai", "Asia/Shanghai"),
        ("Shanghai", "Asia/Shanghai"),
        ("new york", "America/New_York"),
        (" Buenos Aires ", "America/Argentina/Buenos_Aires"),
        ("utc", "UTC"),
        ("US/Pacific", "US/Pacific"),
    ],
)
def test_a_time_zone_is_found_by_its_name_or_its_place(typed: str, zone: str) -> None:
    assert time_zones.find(typed) == zone


@pytest.mark.parametrize("typed", ["Atlantis", "", "../../etc/passwd", "+08:00", "x" * 64])
def test_what_is_no_time_zone_is_refused_and_kept_on_the_page(
    alice_client: Client, alice: User, typed: str
) -> None:
    response = alice_client.post("/profile/", profile(time_zone=typed, name="Somebody Else"))
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.content.decode()
    alice.refresh_from_db()
    assert (alice.name, alice.time_zone) == ("Alice", "UTC")


def test_zones_to_choose_from_say_their_offset_and_hold_no_aliases() -> None:
    labels = {choice.name: choice.label for choice in time_zones.choices()}
    assert labels["Asia/Shanghai"] == "UTC+08:00 Shanghai"
    assert next(iter(labels)) == "UTC"
    assert "US/Pacific" not in labels
    assert len(labels) > 400


def test_a_zone_that_the_database_no_longer_knows_falls_back_to_utc(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Mars/Olympus")
    assert signed_in(alice).get("/profile/").status_code == 200


def test_a_language_is_asked_only_where_there_is_a_choice(alice_client: Client) -> None:
    assert 'name="language"' not in alice_client.get("/profile/").content.decode()


def test_a_language_with_a_catalogue_is_offered_and_followed(
    alice: User, tmp_path: Path, settings: LazySettings
) -> None:
    catalogue = tmp_path / "zh_Hans" / "LC_MESSAGES" / "django.mo"
    catalogue.parent.mkdir(parents=True)
    catalogue.write_bytes(b"")
    settings.LOCALE_PATHS = [tmp_path]
    languages.offered.cache_clear()
    try:
        assert languages.offered() == {"en": "English", "zh-hans": "简体中文"}
        assert 'name="language"' in signed_in(alice).get("/profile/").content.decode()
    finally:
        languages.offered.cache_clear()


def test_a_browser_that_asks_for_a_language_without_a_catalogue_gets_english(
    client: Client, db: None
) -> None:
    page = client.get("/accounts/login/", headers={"accept-language": "zh-hans"}).content.decode()
    assert '<html lang="en">' in page


def test_a_profile_needs_somebody_signed_in(client: Client, db: None) -> None:
    for path in ("/profile/", "/profile/theme/"):
        assert client.post(path).headers["Location"] == f"/accounts/login/?next={path}"


def test_the_sign_in_address_is_not_the_persons_to_change(alice_client: Client, alice: User) -> None:
    response = alice_client.post(reverse("account_email"), {"action_add": "", "email": "other@example.com"})
    assert response.headers["Location"] == "/profile/"
    assert not alice.emailaddress_set.exists()  # type: ignore[attr-defined]


# --- Theme -----------------------------------------------------------------------------------------------


def test_a_theme_is_kept_with_the_person_and_for_the_sign_in_page(alice_client: Client, alice: User) -> None:
    response = alice_client.post("/profile/theme/", {"theme": "dark", "next": "/records/usage/?model=gpt-5"})
    assert response.headers["Location"] == "/records/usage/?model=gpt-5"
    alice.refresh_from_db()
    assert alice.theme == "dark"
    alice_client.logout()
    anonymous = Client()
    anonymous.cookies["theme"] = response.cookies["theme"].value
    assert 'data-theme="dark"' in anonymous.get("/accounts/login/").content.decode()


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_choosing_a_theme_never_leads_to_another_site(alice_client: Client, target: str) -> None:
    response = alice_client.post("/profile/theme/", {"theme": "light", "next": target})
    assert response.headers["Location"] == "/profile/"


def test_a_theme_that_does_not_exist_is_refused(alice_client: Client, alice: User) -> None:
    assert alice_client.post("/profile/theme/", {"theme": "neon"}).status_code == 422
    alice.refresh_from_db()
    assert alice.theme == "system"


@pytest.mark.parametrize("cookie", ["neon", '"><script>', "dark light"])
def test_a_made_up_theme_cookie_changes_nothing(client: Client, db: None, cookie: str) -> None:
    client.cookies["theme"] = cookie
    assert '<html lang="en">' in client.get("/accounts/login/").content.decode()


# --- Invitations -----------------------------------------------------------------------------------------


@pytest.fixture
def dinah(db: None) -> User:
    """Known only from a gateway."""
    user = User(email="dinah@example.com", name="Dinah", is_active=False)
    user.set_unusable_password()
    user.save()
    return user


def invited(user: User, mailoutbox: list[EmailMessage]) -> str:
    with override_settings(BASE_URL=SITE):
        invites.invite(user)
    link = re.search(rf"{SITE}(/invite/\S+)", str(mailoutbox[-1].body))
    assert link is not None
    return link[1]


def accept(link: str, password: str = SECRET) -> Client:
    client = Client()
    client.post(link, {"password1": password, "password2": password})
    return client


def test_an_invited_person_chooses_a_password_and_is_signed_in(
    dinah: User, mailoutbox: list[EmailMessage]
) -> None:
    link = invited(dinah, mailoutbox)
    assert mailoutbox[0].to == ["dinah@example.com"]
    client = Client()
    assert "dinah@example.com" in client.get(link).content.decode()
    response = client.post(link, {"password1": SECRET, "password2": SECRET})
    assert response.headers["Location"] == "/records/usage/"
    assert client.get("/profile/").status_code == 200
    dinah.refresh_from_db()
    assert dinah.is_active
    assert dinah.check_password(SECRET)


def test_an_invitation_is_not_yet_a_way_in(dinah: User, mailoutbox: list[EmailMessage]) -> None:
    invited(dinah, mailoutbox)
    dinah.refresh_from_db()
    assert not dinah.is_active
    assert dinah.invited_at is not None


def test_an_invitation_works_once(dinah: User, mailoutbox: list[EmailMessage]) -> None:
    link = invited(dinah, mailoutbox)
    accept(link)
    second = Client().post(link, {"password1": "another-secret-1", "password2": "another-secret-1"})
    assert second.status_code == 404
    dinah.refresh_from_db()
    assert dinah.check_password(SECRET)


def test_a_newer_invitation_ends_the_older(dinah: User, mailoutbox: list[EmailMessage]) -> None:
    first = invited(dinah, mailoutbox)
    second = invited(dinah, mailoutbox)
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200


def test_an_invitation_expires(
    dinah: User, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = invited(dinah, mailoutbox)
    later = dt.datetime.now() + dt.timedelta(days=3, minutes=1)
    monkeypatch.setattr(invites.InviteTokens, "_now", lambda self: later)
    page = Client().get(link)
    assert page.status_code == 404
    assert "This invitation no longer works" in page.content.decode()


def test_a_withdrawn_invitation_is_over(dinah: User, mailoutbox: list[EmailMessage]) -> None:
    link = invited(dinah, mailoutbox)
    User.objects.filter(pk=dinah.pk).update(invited_at=None)
    assert Client().get(link).status_code == 404


def test_neither_an_old_invitation_nor_a_reset_link_revives_a_closed_account(
    dinah: User, mailoutbox: list[EmailMessage]
) -> None:
    link = invited(dinah, mailoutbox)
    accept(link)
    Client().post(reverse("account_reset_password"), {"email": dinah.email})
    reset = re.search(r"/accounts/password/reset/key/(\w+)-(\S+)/", str(mailoutbox[-1].body))
    assert reset is not None
    User.objects.filter(pk=dinah.pk).update(is_active=False)
    assert Client().get(link).status_code == 404
    assert Client().get(f"/invite/{reset[1]}/{reset[2]}/").status_code == 404


def test_an_invitation_from_before_an_account_was_closed_never_works_again(
    dinah: User, admin: User, mailoutbox: list[EmailMessage]
) -> None:
    link = invited(dinah, mailoutbox)
    dinah.refresh_from_db()
    for _again in range(2):
        save_in_admin(admin, dinah, is_active="on")
        assert Client().get(link).status_code == 404
        save_in_admin(admin, dinah, is_active=None)
        dinah.refresh_from_db()
        chosen = {"password1": SECRET, "password2": SECRET}
        assert Client().get(link).status_code == Client().post(link, chosen).status_code == 404
    newer = invited(dinah, mailoutbox)
    assert Client().get(link).status_code == 404
    assert Client().get(newer).status_code == 200


def test_an_account_that_is_closed_while_its_owner_chooses_a_password_stays_closed(
    dinah: User, mailoutbox: list[EmailMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = invited(dinah, mailoutbox)
    dinah.refresh_from_db()
    monkeypatch.setattr(views, "logout", lambda request: closing.close(dinah))
    chosen = {"password1": SECRET, "password2": SECRET}
    assert Client().post(link, chosen).status_code == 404
    dinah.refresh_from_db()
    assert not dinah.is_active


def test_an_invitation_from_before_a_merge_does_not_work_after_it_is_undone(
    dinah: User, alice: User, mailoutbox: list[EmailMessage]
) -> None:
    link = invited(dinah, mailoutbox)
    merging.merge(dinah, alice)
    assert Client().get(link).status_code == 404
    merging.separate(dinah)
    assert Client().get(link).status_code == 404
    assert Client().get(invited(dinah, mailoutbox)).status_code == 200


def test_nothing_that_led_into_a_closed_account_does_so_when_it_is_open_again(
    alice: User, admin: User, mailoutbox: list[EmailMessage]
) -> None:
    session = signed_in(alice)
    _row, key = personal_tokens.issue(alice, "notebook", 90)
    api = {"Authorization": f"Bearer {key}"}
    Client().post(reverse("account_reset_password"), {"email": alice.email})
    reset = re.search(r"(/accounts/password/reset/key/\S+)", str(mailoutbox[-1].body))
    assert reset is not None
    assert session.get("/profile/").status_code == 200
    assert Client().get("/api/v1/usage", headers=api).status_code == 200
    save_in_admin(admin, alice, is_active=None)
    for state in ("closed", "open again"):
        assert session.get("/profile/").status_code == 302, state
        assert Client().get("/api/v1/usage", headers=api).status_code == 401, state
        page = Client().get(reset[1], follow=True).content.decode()
        assert "This link no longer works" in page, state
        alice.refresh_from_db()
        save_in_admin(admin, alice, is_active="on")
    assert alice.check_password("alice-password")
    assert Client().login(email=alice.email, password="alice-password")


@pytest.mark.parametrize(
    "link", ["/invite/1/x-y/", "/invite/zzzzzzzzzzzzzz/x-y/", "/invite/ä/x-y/", "/invite/-1/a-b/"]
)
def test_a_made_up_invitation_answers_404(db: None, link: str) -> None:
    assert Client().get(link).status_code == 404


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (SECRET, "something-else-1", "The two passwords do not match."),
        ("short", "short", "This password is too short."),
        ("dinah@example.com", "dinah@example.com", "too similar to the"),
    ],
)
def test_a_password_that_will_not_do_leaves_the_invitation_open(
    dinah: User, mailoutbox: list[EmailMessage], first: str, second: str, says: str
) -> None:
    link = invited(dinah, mailoutbox)
    response = Client().post(link, {"password1": first, "password2": second})
    assert response.status_code == 422
    assert says in response.content.decode()
    accept(link)
    dinah.refresh_from_db()
    assert dinah.is_active


def test_accepting_signs_out_whoever_sat_at_the_browser(
    dinah: User, alice_client: Client, mailoutbox: list[EmailMessage]
) -> None:
    link = invited(dinah, mailoutbox)
    alice_client.post(link, {"password1": SECRET, "password2": SECRET})
    assert alice_client.session["_auth_user_id"] == str(dinah.pk)


def test_only_a_closed_account_with_an_address_can_be_invited(alice: User, dinah: User) -> None:
    with pytest.raises(ValueError, match="already"):
        invites.invite(alice)
    dinah.email = None
    with pytest.raises(ValueError, match="address"):
        invites.invite(dinah)


# --- In a browser ----------------------------------------------------------------------------------------


def test_the_browsers_time_zone_is_offered_and_taken(page: Page, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    hands.enter(page, "/profile/")
    offer = page.get_by_text("Your browser is in UTC.")
    expect(offer).to_be_visible()
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("Profile saved.")).to_be_visible()
    expect(offer).to_be_hidden()
    alice.refresh_from_db()
    assert alice.time_zone == "UTC"


def test_a_theme_changes_at_once_and_the_next_page_comes_in_it(page: Page, alice: User) -> None:
    hands.enter(page, "/profile/")
    with page.expect_response("**/profile/theme/"):
        page.locator(".sidebar").get_by_role("button", name="Dark").click()
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    expect(page.locator(".sidebar").get_by_role("button", name="Dark")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.reload()
    expect(html).to_have_attribute("data-theme", "dark")
    alice.refresh_from_db()
    assert alice.theme == "dark"


def test_times_follow_the_persons_zone(alice: User, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(dt.datetime(2026, 12, 31, 23, 59, 59, tzinfo=dt.UTC), tick=False)
    User.objects.filter(pk=alice.pk).update(time_zone="Asia/Shanghai")
    client = signed_in(alice)
    page = client.get(reverse("usersessions_list")).content.decode()
    assert "2027-01-01 07:59:59" in page
