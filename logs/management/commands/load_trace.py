"""``manage.py load_trace``: a recorded trace of LLM requests, as one user's traffic.

Reads the CSV of the Azure LLM inference traces (AzurePublicDataset, 2023): one line per request, with its
time in UTC, its input tokens and its output tokens.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from accounts.models import Gateway, User
from logs.ingest import batches
from logs.models.events import Batch, Rejection, UsageEvent

GATEWAY = "trace"
COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
BATCH = 5_000
_MOST_TOKENS = 2**31 - 1
_LONGEST_NAME = 200
_SHOWN = 5

Numbered = tuple[int, list[str]]
"""A line's number in the file, from 1, and its fields."""


class Command(BaseCommand):
    help = (
        "Load a CSV trace of LLM requests (TIMESTAMP in UTC, ContextTokens, GeneratedTokens) as one token's"
        " records. Loading the same file for the same token again changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the trace, such as AzureLLMInferenceTrace_conv.csv")
        parser.add_argument("--user", required=True, metavar="EMAIL", help="whose records they become")
        parser.add_argument("--token", required=True, metavar="NAME", help="that user's token")
        parser.add_argument("--model", required=True, metavar="NAME", help="the model that was called")
        parser.add_argument("--group", default="", metavar="NAME", help="the pricing group (none)")

    def handle(
        self, *args: Any, file: Path, user: str, token: str, model: str, group: str, **options: Any
    ) -> None:
        template = _template(user, token, model, group)
        known = User.objects.filter(email=template.user).exists()
        gateway, _ = Gateway.objects.get_or_create(name=GATEWAY)
        accepted = duplicates = 0
        rejected: list[Rejection] = []
        refused = 0
        with _lines(file) as lines:
            while batch := list(islice(lines, BATCH)):
                outcome = batches.store(gateway, _decoded(batch, template))
                accepted += outcome.accepted
                duplicates += outcome.duplicates
                refused += len(outcome.rejected)
                rejected += outcome.rejected[: _SHOWN - len(rejected)]
        if not accepted + duplicates + refused:
            raise CommandError(f"{file} holds no requests: nothing follows its first line.")
        self._report(accepted, duplicates, refused, rejected, file, template)
        if accepted and not known:
            self.stdout.write(f"{template.user} is new here, and cannot sign in until an admin invites them.")
        if not accepted + duplicates:
            raise CommandError(f"Nothing of {file} could be stored.")

    def _report(
        self,
        accepted: int,
        duplicates: int,
        refused: int,
        rejected: Sequence[Rejection],
        file: Path,
        template: UsageEvent,
    ) -> None:
        self.stdout.write(
            f"{file.name}: {accepted:,} accepted, {duplicates:,} duplicates, {refused:,} rejected"
            f" (token {template.token} of {template.user})."
        )
        for rejection in rejected:
            self.stderr.write(f"line {rejection.index}: {rejection.error}")
        if refused > len(rejected):
            self.stderr.write(f"… and {refused - len(rejected):,} more.")
        if any("older than records are kept" in rejection.error for rejection in rejected):
            self.stderr.write("Set RECORD_RETENTION_MONTHS higher to keep records of that time.")


def _template(user: str, token: str, model: str, group: str) -> UsageEvent:
    """Return a record with what all of the file's have in common. Raises CommandError for unusable names."""
    user = user.strip().lower()
    try:
        validate_email(user)
    except ValidationError:
        raise CommandError(f"--user {user!r} is not an e-mail address.") from None
    names = {"--token": token.strip(), "--model": model.strip(), "--group": group.strip()}
    for option, name in names.items():
        if not name and option != "--group":
            raise CommandError(f"{option} is empty.")
        if len(name) > _LONGEST_NAME or "\0" in name:
            raise CommandError(f"{option}: a name has at most {_LONGEST_NAME} characters, and no NUL.")
    return UsageEvent(
        request_id="",
        created_at=datetime.now(UTC),
        user=user,
        token=names["--token"],
        model=names["--model"],
        group=names["--group"],
    )


@contextmanager
def _lines(file: Path) -> Iterator[Iterator[Numbered]]:
    """Open a trace and give its lines after the first, with their numbers; blank lines are left out.

    Raises CommandError if it cannot be read, or its first line does not name the columns of a trace.
    """
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first column's name.
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text)
            header = next(reader, [])
            if tuple(name.strip() for name in header) != COLUMNS:
                found = ",".join(header)[:100] or "nothing"
                raise CommandError(
                    f"{file} is not such a trace: it begins with {found}, not {','.join(COLUMNS)}."
                )
            yield ((reader.line_num, fields) for fields in reader if fields)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{file} is not a CSV file: {error}.") from error


def _decoded(lines: Sequence[Numbered], template: UsageEvent) -> Batch:
    batch = Batch(events=[], rejected=[])
    for number, fields in lines:
        try:
            batch.events.append((number, _event(number, fields, template)))
        except ValueError as error:
            batch.rejected.append(Rejection(index=number, request_id=None, error=str(error)))
    return batch


def _event(number: int, fields: Sequence[str], template: UsageEvent) -> UsageEvent:
    """Decode one line. Raises ValueError saying what is wrong with it."""
    if len(fields) != len(COLUMNS):
        raise ValueError(f"{len(fields)} fields instead of {len(COLUMNS)}")
    time, input_tokens, output_tokens = (field.strip() for field in fields)
    # From its place in the file as well: two requests of the same instant and size are two.
    facts = (template.user, template.token, number, time, input_tokens, output_tokens)
    digest = hashlib.blake2b("\x1f".join(map(str, facts)).encode(), digest_size=12).hexdigest()
    return UsageEvent(
        request_id=f"trace-{digest}",
        created_at=_moment(time),
        user=template.user,
        token=template.token,
        model=template.model,
        group=template.group,
        input_tokens=_count(input_tokens, COLUMNS[1]),
        output_tokens=_count(output_tokens, COLUMNS[2]),
    )


def _moment(text: str) -> datetime:
    """Read a time, in UTC unless it says otherwise, down to the microsecond: the seventh decimal is cut."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{COLUMNS[0]}: {text[:50]!r} is not a time such as 2023-11-16 18:15:46.6805900"
        ) from None
    if moment.year < 1970:
        raise ValueError(f"{COLUMNS[0]}: {text[:50]!r} lies before 1970")
    return moment


def _count(text: str, column: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > _MOST_TOKENS:
        raise ValueError(f"{column}: {text[:50]!r} is not a number of tokens")
    return int(text)
