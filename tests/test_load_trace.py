"""manage.py load_trace."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from accounts.models import ApiToken, User
from logs.models import UsageRecord
from logs.rollups.own_sums import totals
from logs.selection.chosen import Selection
from routescope.data.scopes import Scope

pytestmark = pytest.mark.django_db

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


@pytest.fixture(autouse=True)
def long_retention(settings: Settings) -> None:
    """Traces are years old."""
    settings.RECORD_RETENTION_MONTHS = 1_200


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write(
        tmp_path / "trace.csv",
        "2023-11-16 18:15:46.6805900,374,44",
        "2023-11-16 18:15:46.6805900,374,44",
        "2023-11-16 18:15:50.9951690,396,109",
    )


def write(file: Path, *lines: str, header: str = HEADER) -> Path:
    file.write_text("\n".join([header, *lines]))
    return file


def load(
    file: Path, user: str = "trace@example.com", token: str = "conv", group: str = ""
) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(
        "load_trace",
        str(file),
        user=user,
        token=token,
        model="a-model-of-our-own",
        group=group,
        stdout=out,
        stderr=err,
    )
    return out.getvalue(), err.getvalue()


def test_each_line_is_a_record_even_where_two_are_alike(trace: Path) -> None:
    said, _ = load(trace, group="default")
    assert "3 accepted, 0 duplicates, 0 rejected (token conv of trace@example.com)" in said
    user = User.objects.get(email="trace@example.com")
    sums = totals(Scope.own(user), Selection(tokens=(ApiToken.objects.get(owner=user, name="conv").pk,)))
    assert (sums.requests, sums.errors, sums.unpriced) == (3, 0, 3)
    assert (sums.input_tokens, sums.output_tokens) == (1_144, 197)
    names = UsageRecord.objects.filter(input_tokens=396).values_list(
        "model__name", "group__name", "gateway__name"
    )
    assert names.get() == ("a-model-of-our-own", "default", "trace")


def test_times_are_utc_and_kept_to_the_microsecond(tmp_path: Path) -> None:
    load(write(tmp_path / "t.csv", "2023-11-16 18:15:46.6805909,1,2"))
    assert UsageRecord.objects.get().created_at == datetime(2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC)


def test_loading_again_changes_nothing(trace: Path) -> None:
    load(trace)
    before = list(UsageRecord.objects.order_by("id").values())
    said, _ = load(trace)
    assert "0 accepted, 3 duplicates, 0 rejected" in said
    assert list(UsageRecord.objects.order_by("id").values()) == before


def test_another_token_of_the_same_user_gets_records_of_its_own(trace: Path) -> None:
    load(trace)
    assert "3 accepted" in load(trace, token="code")[0]
    assert UsageRecord.objects.values("request_id").distinct().count() == 6


def test_a_longer_file_adds_only_what_is_new(trace: Path) -> None:
    load(trace)
    with trace.open("a") as file:
        file.write("\n2023-11-16 18:16:00.0000000,5,6\n\n")
    assert "1 accepted, 3 duplicates" in load(trace)[0]


def test_an_unknown_user_is_provisioned_and_cannot_sign_in(trace: Path) -> None:
    said, _ = load(trace, user="Trace@Example.com")
    assert "trace@example.com is new here, and cannot sign in" in said
    assert User.objects.get(email="trace@example.com").is_provisioned
    assert "is new here" not in load(trace)[0]


def test_a_known_user_keeps_their_account(trace: Path, alice: User) -> None:
    said, _ = load(trace, user="alice@example.com")
    assert "is new here" not in said
    assert UsageRecord.objects.visible_to(Scope.own(alice)).count() == 3


def test_a_broken_line_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    file = write(
        tmp_path / "t.csv",
        "2023-11-16 18:15:46,1,2",
        "yesterday,1,2",
        "2023-11-16 18:15:47,1",
        "2023-11-16 18:15:48,-1,2",
        "2023-11-16 18:15:49,1,99999999999",
        "2023-11-16 18:15:50,3,4",
    )
    said, complaints = load(file)
    assert "2 accepted, 0 duplicates, 4 rejected" in said
    assert "line 3: TIMESTAMP: 'yesterday' is not a time" in complaints
    assert "line 4: 2 fields instead of 3" in complaints
    assert "line 5: ContextTokens: '-1' is not a number of tokens" in complaints
    assert "line 6: GeneratedTokens: '99999999999'" in complaints


def test_many_broken_lines_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", "2023-11-16 18:15:46,1,2", *["x,1,2"] * 40)
    _, complaints = load(file)
    assert complaints.count("line ") == 5
    assert "… and 35 more." in complaints


def test_a_trace_older_than_the_retention_says_what_to_set(trace: Path, settings: Settings) -> None:
    settings.RECORD_RETENTION_MONTHS = 1
    with pytest.raises(CommandError, match=r"Nothing of .* could be stored"):
        load(trace)
    assert not UsageRecord.objects.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it begins with nothing, not TIMESTAMP,ContextTokens,GeneratedTokens"),
        (b"time,input,output\n1,2,3\n", "it begins with time,input,output, not TIMESTAMP"),
        (b"TIMESTAMP,ContextTokens,GeneratedTokens\n", "holds no requests"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "is not a CSV file"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    with pytest.raises(CommandError, match=complaint):
        load(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"missing\.csv cannot be read: No such file"):
        load(tmp_path / "missing.csv")
    with pytest.raises(CommandError, match="cannot be read: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("user", "token", "complaint"),
    [
        ("nobody", "conv", "--user 'nobody' is not an e-mail address"),
        ("trace@example.com", " ", "--token is empty"),
        ("trace@example.com", "x" * 201, "--token: a name has at most 200 characters"),
    ],
)
def test_unusable_names_are_refused(trace: Path, user: str, token: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        load(trace, user=user, token=token)
    assert not User.objects.exists()


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + b"\r\n2023-11-16 18:15:46.1,1,2\r\n")
    assert "1 accepted" in load(file)[0]
