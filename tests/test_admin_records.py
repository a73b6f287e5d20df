"""Everybody's records in the Django admin: what is listed, found and shown, and that nothing changes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import AIModel, ApiToken, Gateway, Group, User
from logs.models import Cause, RecordType, Status, UsageRecord
from tests.admin_pages import DAY, RECORDS, TASKS, client, figures, link, listed, records, row_id, text
from tests.cast import event, just_now, signed_in, store
from tests.e2e import hands

__all__ = ["client", "records"]

# --- What is listed --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("records")
def test_all_users_records_are_listed_newest_first_under_their_sums(client: Client) -> None:
    response = client.get(RECORDS, DAY)
    assert listed(response) == ["b-2", "b-1", "a-2", "a-2", "a-1"]
    assert figures(response) == {
        "requests": "4",
        "errors": "1",
        "input_tokens": "400",
        "cached_tokens": "40",
        "output_tokens": "80",
        "cost": "0.025000000000",
    }
    assert all(word in text(response) for word in ("Alice", "Bob", "prod", "claude", "vip", "429 Rate limit"))


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"model": "claude"}, ["b-1", "a-2"]),
        ({"group": "vip"}, ["a-2"]),
        ({"token": "test"}, ["a-2"]),
        ({"user": "bob@example.com"}, ["b-2", "b-1"]),
        ({"user": "bob@example.com", "model": "claude"}, ["b-1"]),
        ({"user": "alice@example.com", "token": "test", "type": RecordType.REFUND}, []),
        ({"status": Status.ERROR}, ["b-2"]),
        ({"cause": Cause.RATE_LIMIT}, ["b-2"]),
        ({"cause": Cause.TIMEOUT}, []),
        ({"type": RecordType.REFUND}, ["a-2"]),
        ({"status": Status.ERROR, "model": "claude"}, []),
    ],
)
def test_filters_narrow_the_list_and_its_sums(
    client: Client, choices: dict[str, Any], expected: list[str]
) -> None:
    query = dict(choices)
    if "user" in query:
        query["user"] = User.objects.get(email=query["user"]).pk
    for name, model in (("model", AIModel), ("group", Group), ("token", ApiToken)):
        if name in query:
            query[name] = row_id(model, query[name])
    response = client.get(RECORDS, {**DAY, **query})
    assert listed(response) == expected
    calls = UsageRecord.objects.filter(request_id__in=expected, type=RecordType.REQUEST)
    if choices.get("type") == RecordType.REFUND:
        calls = calls.none()
    assert figures(response)["requests"] == str(len(calls))
    assert figures(response)["input_tokens"] == str(sum(record.input_tokens for record in calls))


@pytest.mark.usefixtures("records")
def test_several_models_are_chosen_at_once(client: Client) -> None:
    chosen = [row_id(AIModel, "claude"), row_id(AIModel, "gpt-5")]
    assert len(listed(client.get(RECORDS, {**DAY, "model": chosen}))) == 4


def test_without_a_choice_the_last_24_hours_are_listed(client: Client, gateway: Gateway) -> None:
    now = timezone.now()
    moments = {"now": now, "earlier": now - timedelta(hours=23), "before": now - timedelta(hours=26)}
    store(gateway, *(event(request_id=name, created_at=moment) for name, moment in moments.items()))
    response = client.get(RECORDS)
    assert listed(response) == ["now", "earlier"]
    assert figures(response)["requests"] == "2"
    assert listed(client.get(RECORDS, {"range": "7d"})) == ["now", "earlier", "before"]


@pytest.mark.usefixtures("records")
def test_a_range_to_the_minute_lists_to_the_minute_and_sums_whole_hours(client: Client) -> None:
    response = client.get(RECORDS, {"start": "2026-03-10T12:01", "end": "2026-03-10T12:02"})
    assert listed(response) == ["a-2"]
    assert figures(response)["requests"] == "2"
    assert "The sums are of whole hours: 2026-03-10 12:00:00 to 2026-03-10 13:00:00." in text(response)


@pytest.mark.usefixtures("records")
def test_times_are_the_admins_own(client: Client, admin: User) -> None:
    admin.time_zone = "Asia/Shanghai"
    admin.save()
    response = client.get(RECORDS, {"start": "2026-03-10T20:00", "end": "2026-03-10T21:00"})
    assert listed(response) == ["a-2", "a-2", "a-1"]
    assert "2026-03-10 20:00:00" in text(response)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize("pasted", ["a-1", "up-1", ' "a-1" ', "Error: boom (request id: long-ago)"])
def test_a_request_id_is_found_over_all_time_whatever_the_filters_say(client: Client, pasted: str) -> None:
    hidden: dict[str, Any] = {"start": "2020-01-01T00:00", "end": "2020-01-02T00:00", "status": Status.ERROR}
    response = client.get(RECORDS, {"q": pasted, **hidden})
    assert listed(response) == ["long-ago" if "long-ago" in pasted else "a-1"]
    assert figures(response)["requests"] == "1"


@pytest.mark.usefixtures("records")
def test_an_id_that_no_record_carries_may_be_a_tasks(client: Client) -> None:
    response = client.get(RECORDS, {"q": "task_77"})
    assert listed(response) == []
    assert f'<a href="{TASKS}?q=task_77">Look for a task with it</a>' in text(response)


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"user": "999999"}, "Select a valid choice"),
        ({"model": "x"}, "not a valid value"),
        ({"model": "99999999999999999999"}, "Select a valid choice"),
        ({"user": "99999999999999999999"}, "Select a valid choice"),
        ({"start": "2026-03-11T00:00", "end": "2026-03-10T00:00"}, "The range ends before it starts"),
        ({"start": "yesterday"}, "is not a time"),
        ({"status": "7"}, "Select a valid choice"),
        ({"q": "nul\x00"}, "Null characters"),
    ],
)
def test_what_cannot_be_used_is_said_and_lists_nothing(
    client: Client, query: dict[str, str], said: str
) -> None:
    response = client.get(RECORDS, query)
    assert response.status_code == 200
    assert said in text(response)
    assert listed(response) == []


@pytest.mark.usefixtures("records")
def test_a_token_of_another_user_than_the_one_chosen_is_refused(client: Client, bob: User) -> None:
    response = client.get(RECORDS, {**DAY, "user": bob.pk, "token": row_id(ApiToken, "test")})
    assert "This token belongs to Alice." in text(response)


@pytest.mark.usefixtures("records")
def test_unknown_parameters_are_left_alone(client: Client) -> None:
    for query in (
        {"e": "1"},
        {"p": "x"},
        {"user__email": "a"},
        {"all": ""},
        {"older": "x"},
        {"_facets": "1"},
    ):
        assert client.get(RECORDS, {**DAY, **query}).status_code == 200


def test_pages_lead_to_older_and_newer_ones(client: Client, gateway: Gateway) -> None:
    store(gateway, *(event(request_id=f"r-{number}", minutes=number) for number in range(120)))
    first = client.get(RECORDS, DAY)
    assert listed(first) == [f"r-{number}" for number in range(119, 69, -1)]
    assert not link(first, "prev")
    second = client.get(RECORDS + link(first, "next"))
    assert listed(second) == [f"r-{number}" for number in range(69, 19, -1)]
    third = client.get(RECORDS + link(second, "next"))
    assert listed(third) == [f"r-{number}" for number in range(19, -1, -1)]
    assert not link(third, "next")
    assert listed(client.get(RECORDS + link(third, "prev"))) == listed(second)
    assert figures(third) == figures(first)


# --- One record, and nothing to change -------------------------------------------------------------------


@pytest.mark.usefixtures("records")
def test_a_record_shows_all_it_holds(client: Client) -> None:
    record = UsageRecord.objects.get(request_id="b-2")
    page = text(client.get(f"{RECORDS}{record.pk}/change/"))
    for shown in (
        "b-2",
        str(record.pk),
        "2026-03-10 13:11:00.000",
        "rate_limit_error",
        "rpm",
        "Slow <down>",
        "Cause: Rate limit",
        "Next step",
        ">temperature</dt>",
        "<end>",
        f'href="/admin/accounts/user/{record.user_id}/change/"',
        f'href="/admin/accounts/apitoken/{record.token_id}/change/"',
        f'href="/admin/accounts/gateway/{record.gateway_id}/change/"',
        "No price is known",
        f'data-copy="{record.request_id}"',
        f'data-copy="http://testserver{record.permalink}"',
        "Copy as support note",
    ):
        assert shown in page
    assert "<end>" not in client.get(f"{RECORDS}{record.pk}/change/").content.decode()


@pytest.mark.usefixtures("records")
def test_a_record_in_the_admin_leads_nowhere_that_answers_404(client: Client) -> None:
    """The console's own parts lead to its owner's pages, which an admin's are not."""
    for record in UsageRecord.objects.all():
        page = text(client.get(f"{RECORDS}{record.pk}/change/"))
        part = page[page.index('id="content-main"') :]
        links = set(re.findall(r'(?:href|action|hx-get)="(/[^"#]*)"', part))
        assert len(links) > 4
        for url in links:
            assert client.get(url, follow=True).status_code == 200, (record.request_id, url)


def test_the_console_is_offered_where_it_shows_the_record(
    client: Client, gateway: Gateway, admin: User
) -> None:
    store(gateway, event(str(admin.email), request_id="mine/1"), event(request_id="alices/1"))
    mine, alices = (UsageRecord.objects.get(request_id=name) for name in ("mine/1", "alices/1"))
    for record, of in ((mine, ""), (alices, f"?of=person:{alices.user_id}")):
        page = text(client.get(f"{RECORDS}{record.pk}/change/"))
        assert "See it in the console" in page
        [url] = set(re.findall(r'href="(/r/[^"]+)"', page))
        assert url == f"{record.permalink}{of}"
        assert record.request_id in text(client.get(url, follow=True))
        # What is copied is the person's own link.
        assert f'data-copy="http://testserver{record.permalink}"' in page
    UsageRecord.objects.filter(pk=alices.pk).update(user_id=999_999)
    page = text(client.get(f"{RECORDS}{alices.pk}/change/"))
    assert "See it in the console" not in page


@pytest.mark.usefixtures("records")
def test_a_record_whose_names_are_gone_still_opens(client: Client) -> None:
    UsageRecord.objects.filter(request_id="b-2").update(
        user_id=999_999, token_id=999_999, group_id=999_999, model_id=999_999, gateway_id=999_999
    )
    record = UsageRecord.objects.get(request_id="b-2")
    assert "999999" in text(client.get(f"{RECORDS}{record.pk}/change/"))
    assert listed(client.get(RECORDS, {"q": "b-2"})) == ["b-2"]


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["x", "f" * 32, "00000000-0000-8000-8000-000000000000", "1_2F"])
def test_an_id_of_no_record_leads_back_to_the_index(client: Client, wrong: str) -> None:
    response = client.get(f"{RECORDS}{wrong}/change/", follow=True)
    assert response.redirect_chain == [("/admin/", 302)]


@pytest.mark.usefixtures("records")
def test_nobody_adds_changes_or_deletes_a_record(client: Client) -> None:
    record = UsageRecord.objects.get(request_id="b-2")
    assert client.get(f"{RECORDS}add/").status_code == 403
    assert client.post(f"{RECORDS}{record.pk}/change/", {"cause": 1}).status_code == 403
    assert client.get(f"{RECORDS}{record.pk}/delete/").status_code == 403
    assert client.post(f"{RECORDS}{record.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{RECORDS}{record.pk}/history/").status_code == 404
    client.post(RECORDS, {"action": "delete_selected", "_selected_action": [str(record.pk)], "post": "yes"})
    assert UsageRecord.objects.filter(request_id="b-2").exists()
    assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("records")
def test_staff_see_records_only_with_the_permission(bob: User) -> None:
    bob.is_staff = True
    bob.save()
    assert signed_in(bob).get(RECORDS).status_code == 403
    bob.user_permissions.add(Permission.objects.get(codename="view_usagerecord"))
    response = signed_in(User.objects.get(pk=bob.pk)).get(RECORDS, DAY)
    assert len(listed(response)) == 5


# --- In a browser ----------------------------------------------------------------------------------------


@pytest.fixture
def admin_page(page: Page, admin: User) -> Page:
    hands.enter(page, "/admin/", str(admin.email))
    expect(page.get_by_role("heading", name="Administration", exact=True)).to_be_visible()
    return page


@pytest.mark.django_db(transaction=True)
def test_in_a_browser_records_are_narrowed_to_a_user_and_opened(
    admin_page: Page, gateway: Gateway, alice: User, bob: User
) -> None:
    store(
        gateway,
        event(request_id="alices", created_at=just_now()),
        event("bob@example.com", request_id="bobs", created_at=just_now()),
    )
    admin_page.goto(RECORDS)
    expect(admin_page.locator("#result_list tbody tr")).to_have_count(2)
    expect(admin_page.get_by_label("From")).to_be_hidden()
    admin_page.get_by_role("combobox", name="User:").click()
    # The box has the keyboard as soon as it is open.
    expect(admin_page.locator(".select2-search__field").last).to_be_focused()
    admin_page.keyboard.type("bob")
    hands.Mouse(admin_page).press(admin_page.get_by_role("option", name="Bob"))
    admin_page.get_by_role("button", name="Filter", exact=True).click()
    expect(admin_page.locator("#result_list tbody tr")).to_have_count(1)
    admin_page.get_by_role("link", name="bobs").click()
    expect(admin_page.get_by_role("heading", name="bobs")).to_be_visible()
    admin_page.go_back()
    hands.pick(admin_page.get_by_label("Time:"), "From – to")
    expect(admin_page.get_by_label("From")).to_be_focused()
