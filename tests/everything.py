"""Reading everything that a person and an admin can: every page, every record, every export, the read API."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import openpyxl
import pyarrow.parquet as pq
from django.http import QueryDict
from django.test import Client, override_settings
from django.urls import reverse

from accounts.access import personal_tokens
from accounts.exports import exporting
from accounts.models import ApiToken, Export, User
from logs.exports import COLUMNS
from logs.models import UsageRecord
from routescope.data.scopes import Scope
from tests.cast import signed_in

ALL = "range=all"
VIEWS = (
    "",
    "&compare=model",
    "&compare=token",
    "&compare=day",
    "&compare=cause",
    "&cost_min=0",
    "&tokens_min=1",
)
_EXPORTED = [column.name for column in COLUMNS]


def read_all(user: User, admin: User, records: Iterable[UsageRecord] | None = None) -> None:
    """Open all of it. An answer of 500 raises, as does a file that its format's own reader does not take."""
    mine = list(UsageRecord.objects.visible_to(Scope.own(user)) if records is None else records)
    _pages(signed_in(user), mine)
    _api(user, mine)
    _admin(signed_in(admin), mine)
    for form in Export.Format.values:
        rows = exported(user, form)
        assert len(rows) == UsageRecord.objects.visible_to(Scope.own(user)).count(), form


def _pages(client: Client, mine: list[UsageRecord]) -> None:
    for name in ("usage", "usage-results", "usage-chart"):
        for view in VIEWS:
            opened(client, f"{reverse(name)}?{ALL}{view}")
    opened(client, reverse("tokens"))
    tokens = ApiToken.objects.filter(pk__in={record.token_id for record in mine if record.token_id})
    for token in tokens:
        opened(client, f"{reverse('usage')}?{ALL}&{urlencode({'token': token.name})}")
    for record in mine:
        opened(client, reverse("usage-record", args=[record.pk]))
        opened(client, reverse("usage-record-details", args=[record.pk]))


@override_settings(READ_API_REQUESTS_PER_MINUTE=10**6)
def _api(user: User, mine: list[UsageRecord]) -> None:
    _, key = personal_tokens.issue(user, "reader", 1)
    client = Client(headers={"Authorization": f"Bearer {key}"})
    for path in ("", "/statistics", "/series", "/breakdown?by=token", "/breakdown?by=day"):
        json.loads(opened(client, f"{reverse('api-usage')}{path}{'&' if '?' in path else '?'}{ALL}").content)
    for record in mine:
        json.loads(opened(client, f"{reverse('api-usage')}/{record.pk}").content)


def _admin(client: Client, mine: list[UsageRecord]) -> None:
    opened(client, reverse("admin:logs_usagerecord_changelist"))
    for record in mine:
        opened(client, reverse("admin:logs_usagerecord_change", args=[record.pk]))


def opened(client: Client, url: str, *statuses: int) -> Any:
    """Ask for a page, which answers with one of the statuses (200 if none is named)."""
    answer = client.get(url)
    assert answer.status_code in (statuses or (200,)), f"{answer.status_code}: {url}"
    return answer


def exported(user: User, form: str) -> list[Any]:
    """Export all of the person's records, and return the rows as the format's own reader reads them."""
    export = exporting.ask(user, "usage", form, _EXPORTED, QueryDict(ALL), gzipped=False)
    assert exporting.run(export.pk)
    export.refresh_from_db()
    assert export.status == Export.Status.DONE, export.problem
    assert export.agrees, exporting.manifest(export)
    if form == "csv":
        return list(csv.DictReader(io.StringIO(export.path.read_text("utf-8-sig"), newline="")))
    if form == "jsonl":
        return [json.loads(line) for line in export.path.read_text().split("\n") if line]
    if form == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(export.path.read_bytes()), read_only=True)
        return [row for sheet in book for row in list(sheet.iter_rows(values_only=True))[1:]]
    return list(pq.read_table(export.path).to_pylist())


def found(user: User, admin: User, pasted: str, record: UsageRecord) -> None:
    """Paste an ID wherever one may be pasted: each finds the record."""
    client = signed_in(user)
    query = urlencode({"request_id": pasted})
    # An address that holds a key leads to one that does not.
    address = client.get(f"{reverse('usage')}?{query}").headers.get("Location", f"{reverse('usage')}?{query}")
    page = opened(client, address)
    assert [row.record.pk for row in page.context["rows"]] == [record.pk], pasted
    opened(client, record.permalink, 200, 302)
    _, key = personal_tokens.issue(user, "finder", 1)
    answer = opened(Client(headers={"Authorization": f"Bearer {key}"}), f"{reverse('api-usage')}?{query}")
    assert [row["id"] for row in answer.json()["data"]] == [str(record.pk)], pasted
    searched = f"{reverse('admin:logs_usagerecord_changelist')}?{urlencode({'q': pasted})}"
    staff = signed_in(admin)
    listed = opened(staff, staff.get(searched).headers.get("Location", searched))
    assert str(record.pk) in listed.content.decode(), pasted


__all__ = ["exported", "found", "opened", "read_all"]
