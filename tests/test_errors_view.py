"""The Errors view: failed calls with what they said, one by one and gathered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from accounts.models import Gateway, User
from logs.listing import failures
from logs.models import Status
from logs.models.events import Failure
from tests.cast import event, store

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

pytestmark = pytest.mark.django_db

PAGE = "/records/usage/"
DAY = {"start": "2026-03-10T00:00", "end": "2026-03-11T00:00"}
SLOW = Failure(type="rate_limit_error", code="tokens", message="Used 29500 of 30000. Try again in 1.4s.")


def get(client: Client, **query: Any) -> Answer:
    return client.get(PAGE, {**DAY, **query})


def text(answer: Answer) -> str:
    return answer.content.decode()


def lines(answer: Answer) -> list[list[str]]:
    """Return the cells of each gathered line, without tags."""
    rows = re.findall(r'<tr class="line">(.*?)</tr>', text(answer), re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in row] for row in cells]


@pytest.fixture
def failed(gateway: Gateway, alice: User, bob: User) -> None:
    store(
        gateway,
        event(request_id="fine", minutes=0),
        *(
            event(
                request_id=f"slow-{number}",
                minutes=1 + number,
                model=("gpt-5", "claude")[number % 2],
                status=Status.ERROR,
                http_status=429,
                error=Failure(
                    type="rate_limit_error",
                    code="tokens",
                    message=f"Used {29_000 + number} of 30000. Try again in {number}.4s.",
                ),
            )
            for number in range(4)
        ),
        event(
            request_id="odd",
            minutes=9,
            status=Status.ERROR,
            http_status=400,
            error=Failure(
                type="invalid_request_error", message="<b>temperature</b> is too high", param="temp"
            ),
        ),
        event("bob@x.org", request_id="of-bob", minutes=3, status=Status.ERROR, http_status=429, error=SLOW),
    )


@pytest.mark.usefixtures("failed")
def test_what_failed_leads_there(alice_client: Client) -> None:
    page = text(get(alice_client))
    link = re.search(r'id="failed" href="([^"]+)"[^>]*>5 failed<', page)
    assert link
    assert "errors=each" in link[1]
    assert 'id="view-errors"' in page


@pytest.mark.usefixtures("failed")
def test_each_says_type_message_parameter_and_cause(alice_client: Client) -> None:
    page = text(get(alice_client, errors="each"))
    assert re.findall(r'class="c-id id" title="([^"]+)"', page) == [
        "odd",
        "slow-3",
        "slow-2",
        "slow-1",
        "slow-0",
    ]
    assert "429 Rate limit" in page
    assert "400 Parameters" in page
    assert "rate_limit_error · tokens" in page
    assert "&lt;b&gt;temperature&lt;/b&gt; is too high" in page
    assert ">temp</code>" in page
    assert "<b>temperature</b>" not in page
    # All of them failed: no menu asks.
    assert 'id="menu-status"' not in page
    assert re.search(r'id="view-errors"[^>]*aria-current="true"', page)


@pytest.mark.usefixtures("failed")
def test_other_filters_narrow_it_and_the_figures_follow(alice_client: Client) -> None:
    page = text(get(alice_client, errors="each", model="claude", status="success"))
    assert re.findall(r'class="c-id id" title="([^"]+)"', page) == ["slow-3", "slow-1"]
    assert 'data-stat="requests" data-value="2"' in page


@pytest.mark.usefixtures("failed")
def test_the_same_errors_are_gathered(alice_client: Client) -> None:
    answer = get(alice_client, errors="gathered")
    found = lines(answer)
    assert [line[:3] for line in found] == [
        ["4", "429 Rate limit", "rate_limit_error · tokens"],
        ["1", "400 Parameters", "invalid_request_error"],
    ]
    assert found[0][3] == "Used 29003 of 30000. Try again in 3.4s."
    assert found[0][4:] == ["claude, gpt-5", "03-10 12:01", "03-10 12:04"]
    assert "2 kinds of error, 5 in total" in text(answer)


@pytest.mark.usefixtures("failed")
def test_a_kind_leads_to_its_calls(alice_client: Client) -> None:
    page = text(get(alice_client, errors="gathered"))
    (address,) = re.findall(r'<td class="num"><a href="([^"]+)"[^>]*>4<', page)
    led = text(alice_client.get(address.replace("&amp;", "&")))
    assert re.findall(r'class="c-id id" title="([^"]+)"', led) == ["slow-3", "slow-2", "slow-1", "slow-0"]


def test_what_is_gathered_is_bounded_and_said(
    gateway: Gateway, alice: User, alice_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST_GATHERED", 10)
    monkeypatch.setattr(failures, "MOST_KINDS", 3)
    words = ("one", "two", "three", "four", "five")
    store(
        gateway,
        *(
            event(
                request_id=f"r-{number}",
                minutes=number,
                status=Status.ERROR,
                http_status=500,
                error=Failure(message=f"It broke at step {words[number % 5]}."),
            )
            for number in range(30)
        ),
    )
    page = get(alice_client, errors="gathered")
    assert len(lines(page)) == 3
    assert "the newest 10 errors" in text(page)
    assert "4 rarer errors are not listed" in text(page)


@pytest.mark.usefixtures("failed")
def test_thresholds_narrow_what_is_gathered(alice_client: Client) -> None:
    assert lines(get(alice_client, errors="gathered", tokens_min="1")) != []
    page = get(alice_client, errors="gathered", tokens_min="100000000")
    assert lines(page) == []
    assert page.status_code == 200


@pytest.mark.parametrize("errors", ["each", "gathered"])
def test_none_failed_is_said(gateway: Gateway, alice: User, alice_client: Client, errors: str) -> None:
    store(gateway, event(request_id="fine"))
    page = text(get(alice_client, errors=errors))
    assert "<tr class" not in page
    assert 'class="empty' in page


def test_words_that_hold_digits_do_not_part_errors() -> None:
    one = failures._without_numbers("org-1a2b used 5 of 10 in gpt-4o")
    assert one == failures._without_numbers("org-9z used 77 of 3 in gpt-5x")
    assert one != failures._without_numbers("org-1a2b used 5 of 10 in claude")
