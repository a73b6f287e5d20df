"""What a long work says at the top of the console's pages: how far it is, until it is over or has died."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from time_machine import TimeMachineFixture

from accounts.models import User
from routescope.web import notices
from tests.cast import signed_in

pytestmark = pytest.mark.django_db

USAGE = "/records/usage/"
WORK = "Counting <sheep>"


def page_of(client: Client, path: str = USAGE) -> str:
    return client.get(path).content.decode()


def asked(client: Client, page: str, said: str = WORK, at: str | None = None) -> tuple[dict[str, str], str]:
    """Ask what a page's notice asks; return the headers and the words of the answer."""
    headers = {"hx-request": "true", "hx-current-url": f"http://testserver{page}"}
    answer = client.get("/notice/", {"said": said, "at": page if at is None else at}, headers=headers)
    assert answer.status_code == 200
    return dict(answer.headers), answer.content.decode()


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page)).strip()


@pytest.mark.parametrize("path", [USAGE, "/records/tasks/", "/profile/", "/learn/", "/tokens/", "/exports/"])
def test_it_stands_at_the_top_of_every_page(alice_client: Client, path: str) -> None:
    assert "work-notice" not in page_of(alice_client, path)
    notices.show(WORK, 45)
    page = page_of(alice_client, path)
    main = page[page.index('id="main"') :]
    assert main.index("work-notice") < main.index("<h1>")
    [said] = re.findall(r'<p role="status">(.*?)</p>', main, re.DOTALL)
    assert words(said) == "Counting &lt;sheep&gt;: 45 %"
    assert re.search(r'<progress max="100" value="45"', said)


def test_the_admin_does_not_show_it(admin: User) -> None:
    notices.show(WORK, 45)
    assert "work-notice" not in page_of(signed_in(admin), "/admin/")


def test_work_that_does_not_know_how_far_it_is_shows_words_alone(alice_client: Client) -> None:
    notices.show(WORK)
    page = page_of(alice_client)
    assert "Counting &lt;sheep&gt;" in page and "<progress" not in page and " %" not in words(page)


@pytest.mark.parametrize(("told", "shown"), [(-3, 0), (0, 0), (100, 100), (250, 100)])
def test_a_share_is_one_of_a_hundred(alice_client: Client, told: int, shown: int) -> None:
    notices.show(WORK, told)
    assert f'value="{shown}"' in page_of(alice_client)


def test_only_how_far_it_is_comes_anew(alice_client: Client) -> None:
    notices.show(WORK, 45)
    page = page_of(alice_client)
    assert 'hx-get="/notice/?said=Counting%20%3Csheep%3E&amp;at=%2Frecords%2Fusage%2F"' in page
    assert 'hx-target="#work-progress"' in page and 'hx-trigger="every 3s"' in page
    notices.show(WORK, 46)
    headers, answer = asked(alice_client, USAGE)
    assert answer.strip().startswith('<span id="work-progress" aria-live="off">')
    assert words(answer) == ": 46 %" and "HX-Retarget" not in headers


def test_another_work_takes_its_place(alice_client: Client) -> None:
    notices.show("Counting cows", 3)
    headers, answer = asked(alice_client, USAGE)
    assert (headers["HX-Retarget"], headers["HX-Reswap"]) == ("#work-notice", "outerHTML")
    assert words(answer) == "Counting cows: 3 % Show new records" and 'id="work-notice"' in answer


def test_a_list_can_show_meanwhile_what_has_come_in(alice_client: Client) -> None:
    notices.show(WORK, 45)
    page = page_of(alice_client, f"{USAGE}?range=7d&model=m%26m")
    [link] = re.findall(r'<a [^>]*id="work-more"[^>]*>', page)
    assert f'href="{USAGE}?range=7d&amp;model=m%26m"' in link
    assert f'hx-get="{USAGE}results/?range=7d&amp;model=m%26m"' in link and 'hx-target="#panel"' in link
    assert "work-more" not in page_of(alice_client, "/profile/")


def test_the_link_follows_the_address_that_a_list_has_by_now(alice_client: Client) -> None:
    notices.show(WORK, 45)
    headers, answer = asked(alice_client, f"{USAGE}?range=7d", at=USAGE)
    assert headers["HX-Retarget"] == "#work-notice"
    assert f'hx-get="{USAGE}results/?range=7d"' in answer and "Counting &lt;sheep&gt;" in answer


@pytest.mark.parametrize(
    ("path", "shown", "fetched"),
    [
        (f"{USAGE}?range=7d&model=m%26m", f"{USAGE}?range=7d&amp;model=m%26m", f"{USAGE}results/"),
        ("/records/tasks/", "/records/tasks/", "/records/tasks/results/"),
    ],
)
def test_when_it_is_over_a_list_can_show_more(
    alice_client: Client, path: str, shown: str, fetched: str
) -> None:
    notices.show(WORK, 99)
    notices.take_down()
    headers, answer = asked(alice_client, path)
    assert (headers["HX-Retarget"], headers["HX-Reswap"]) == ("#work-notice", "outerHTML")
    assert f'href="{shown}"' in answer and f'hx-get="{fetched}' in answer and 'role="status"' in answer
    assert words(answer) == "More records have arrived. Show them" and "data-announce" in answer
    assert 'hx-trigger="every' not in answer
    assert "work-notice" not in page_of(alice_client, path)


@pytest.mark.parametrize("path", ["/profile/", "/nowhere/", "/admin/", "", "https://[", "/r/x"])
def test_when_it_is_over_a_page_without_a_list_shows_nothing(alice_client: Client, path: str) -> None:
    headers, answer = asked(alice_client, path)
    assert headers["HX-Retarget"] == "#work-notice" and words(answer) == "" and "<div" not in answer


def test_what_is_no_page_of_ours_leads_nowhere(alice_client: Client) -> None:
    headers = {"hx-request": "true", "hx-current-url": f"https://elsewhere.example{USAGE}"}
    assert "href" not in alice_client.get("/notice/", headers=headers).content.decode()
    assert "href" not in alice_client.get("/notice/").content.decode(), "nor without htmx"


def test_whose_author_has_died_goes_by_itself(alice_client: Client, time_machine: TimeMachineFixture) -> None:
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    notices.show(WORK, 45)
    time_machine.move_to(now + timedelta(seconds=notices.SPEAKS_FOR - 1), tick=False)
    assert "work-notice" in page_of(alice_client)
    time_machine.move_to(now + timedelta(seconds=notices.SPEAKS_FOR + 1), tick=False)
    assert "work-notice" not in page_of(alice_client)


def test_pages_do_not_ask_each_whether_there_is_one(alice_client: Client) -> None:
    def asked_cache() -> int:
        with CaptureQueriesContext(connection) as captured:
            page_of(alice_client, "/profile/")
        return sum("routescope_cache" in query["sql"] for query in captured)

    assert [asked_cache(), asked_cache()] == [1, 0]


def test_a_part_of_a_page_asks_for_none(alice_client: Client) -> None:
    notices.show(WORK, 45)
    with CaptureQueriesContext(connection) as captured:
        alice_client.get(f"{USAGE}results/", headers={"hx-request": "true"})
    assert not any("routescope_cache" in query["sql"] for query in captured)


def test_who_is_not_signed_in_is_told_nothing(client: Client) -> None:
    notices.show(WORK, 45)
    assert "/accounts/login/" in client.get("/notice/").headers["Location"]
    assert "sheep" not in page_of(client, "/accounts/login/")
