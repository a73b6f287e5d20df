"""``manage.py create_gateway``: a key, printed once, with the next step."""

from __future__ import annotations

import re
import shlex
from io import StringIO

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import Gateway, IngestKey

pytestmark = pytest.mark.django_db


def run(*words: str, verbosity: int = 1) -> str:
    out = StringIO()
    call_command("create_gateway", *words, stdout=out, verbosity=verbosity, no_color=True)
    return out.getvalue()


def printed_key(output: str) -> str:
    [key] = set(re.findall(r"rsk_[\w-]{43}", output))
    return str(key)


def test_a_gateway_and_its_key_are_made_and_the_key_is_printed() -> None:
    output = run("edge", "--label", "host-1")
    row = IngestKey.objects.get()
    assert (row.gateway.name, row.label) == ("edge", "host-1")
    assert row.key_hash == IngestKey.hash(printed_key(output))
    assert "It is shown this once" in output


def test_the_printed_command_works(settings: LazySettings) -> None:
    settings.BASE_URL = "https://console.example"
    output = run("edge")
    words = shlex.split(output[output.index("curl ") :].replace("\\\n", " ").splitlines()[0])
    assert words[:3] == ["curl", "-sS", "https://console.example/api/v1/usage"]
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    answer = Client().post(
        "/api/v1/usage",
        words[words.index("-d") + 1],
        content_type=headers["Content-Type"],
        headers={"Authorization": headers["Authorization"]},
    )
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_without_verbosity_the_key_alone_is_printed() -> None:
    output = run("edge", verbosity=0)
    assert output == f"{printed_key(output)}\n"


def test_a_name_that_is_taken_is_refused_and_says_the_way_out() -> None:
    run("edge")
    with pytest.raises(CommandError, match=r"'edge' already\. Add --new-key"):
        run("edge")
    assert IngestKey.objects.count() == 1


def test_another_key_is_issued_beside_the_first() -> None:
    first = printed_key(run("edge"))
    second = printed_key(run("edge", "--new-key"))
    assert first != second
    assert Gateway.objects.get().ingest_keys.filter(revoked_at=None).count() == 2


def test_another_key_needs_the_gateway_to_exist() -> None:
    with pytest.raises(CommandError, match="no gateway called 'edge'"):
        run("edge", "--new-key")
    assert not Gateway.objects.exists()


def test_a_key_of_an_inactive_gateway_comes_with_a_warning() -> None:
    Gateway.objects.create(name="edge", is_active=False)
    assert "The gateway is inactive" in run("edge", "--new-key")


@pytest.mark.parametrize(
    "words", [("",), ("x" * 201,), ("edge", "--label", "x" * 101)], ids=["nothing", "too long", "label"]
)
def test_what_cannot_be_stored_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="cannot be used"):
        run(*words)
    assert not Gateway.objects.exists()
