"""Every order is total: rows that are equal in what a list is sorted by keep their places all the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import Model, UniqueConstraint
from django.utils import timezone

from accounts.access import personal_tokens
from accounts.gateways import deliveries
from accounts.identities import merging
from accounts.models import ApiToken, Gateway, IngestKey, PersonalAccessToken, User, UserIdentity
from logs.models import Status
from logs.rollups import own_tokens
from logs.rollups.breakdown import By
from routescope.data.ranges import DAY, TimeRange
from routescope.data.scopes import Scope
from tests.cast import NOON, event, signed_in, store
from tests.task_cast import a_task
from tests.test_compare import lines

APPS = ("accounts", "logs", "tasks")
KEYS = {"pk", "id"}

UNIQUE_OTHERWISE = {
    ("accounts/admin/gateways.py", "endpoint"): "with the day, one row of a gateway",
    ("accounts/gateways/deliveries.py", "endpoint"): "one line of a gateway",
    ("logs/admin/board.py", "model_id"): "grouped by it: each comes once",
    ("tasks/admin/board.py", "gateway"): "grouped by it and the platform: each comes once",
    ("logs/models/prices.py", "valid_from"): "of one group, one version a moment",
    ("logs/usage/not_found.py", "start"): "distinct",
    ("logs/pricing/quotes.py", "valid_from"): "of one model or group, one version a moment",
    ("accounts/scopes/views.py", "name"): "distinct",
    ("logs/rollups/own_sums.py", "start"): "grouped by it",
    ("logs/rollups/traffic.py", "user_id"): "distinct",
    ("logs/rollups/unusual.py", "user_id"): "grouped by it",
    ("logs/rollups/unusual.py", "start"): "grouped by it, or a moment is asked for",
    ("logs/usage/unlike_usual.py", "what"): "of one user: the rest of the key",
    ("logs/selection/spans.py", "start"): "grouped by it: each comes once",
    ("logs/rollups/minutes.py", "start"): "a moment is asked for, not a row",
    ("logs/filters/vocabulary.py", "name"): "unique",
    ("logs/filters/offer.py", "key"): "grouped by it: each comes once",
    ("logs/filters/offer.py", "value"): "grouped by it and the key: each comes once",
    ("logs/selection/lookback.py", "start"): "grouped by it: each comes once",
    ("tasks/sums/counts.py", "start"): "grouped by it: each comes once",
    ("tasks/maintenance/judging.py", "start"): "distinct: days, not rows",
    ("tasks/tab/filters.py", "name"): "unique",
    ("tasks/following/refunds.py", "finished_at"): "work to be done, which nobody sees as a list",
}
"""What an `order_by` ends with that does not end with the key, by file, and why no rows are equal in it."""


def bare(name: str) -> str:
    return name.lstrip("-")


def is_unique(model: type[Model], names: set[str]) -> bool:
    """Say whether no two rows of the model are equal in all the named fields."""
    meta = model._meta
    unique = [{field.name} for field in meta.fields if field.unique] + [KEYS & names]
    unique += [
        set(constraint.fields)
        for constraint in meta.constraints
        if isinstance(constraint, UniqueConstraint) and constraint.condition is None and constraint.fields
    ]
    # An order by a unique name of what a row points at is an order by the pointer.
    names |= {name.partition("__")[0] for name in names}
    return any(fields and fields <= names for fields in unique)


@pytest.mark.parametrize(
    "model",
    [model for app in APPS for model in apps.get_app_config(app).get_models() if model._meta.ordering],
    ids=lambda model: model.__name__,
)
def test_a_models_own_order_leaves_no_two_rows_equal(model: type[Model]) -> None:
    assert is_unique(model, {bare(str(name)) for name in model._meta.ordering or ()}), model._meta.ordering


def orders() -> Iterator[tuple[str, int, str]]:
    """Return file, line and last field of each `order_by` of the product that has any."""
    root = Path(settings.BASE_DIR)
    for file in sorted(path for app in (*APPS, "routescope") for path in (root / app).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                last = node.args[-1]
                if node.func.attr == "order_by" and (words := list(constants(last))):
                    yield str(file.relative_to(root)), node.lineno, bare(words[-1])


def constants(node: ast.expr) -> Iterator[str]:
    """Return the texts in an expression: of ``f"{order}id"`` it is its end."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str) and child.value.strip("-"):
            yield child.value


def test_every_order_ends_with_the_key_or_with_what_is_unique_there() -> None:
    found = list(orders())
    assert len(found) > 30
    lax = [
        f"{file}:{line} ends with {field}"
        for file, line, field in found
        if field not in KEYS and (file, field) not in UNIQUE_OTHERWISE
    ]
    assert not lax, lax
    used = {(file, field) for file, _, field in found}
    assert not set(UNIQUE_OTHERWISE) - used, "exceptions that nothing needs"


# --- Rows made in one moment -----------------------------------------------------------------------------


def test_keys_tokens_and_exports_of_one_moment_keep_their_places(alice: User, gateway: Gateway) -> None:
    now = timezone.now()
    for number in range(20):
        IngestKey.issue(gateway, f"key {number}")
        personal_tokens.issue(alice, f"token {number}", 30)
    for model, name in ((IngestKey, "label"), (PersonalAccessToken, "name")):
        model.objects.update(created_at=now)
        expected = [row.pk for row in model.objects.order_by("-pk")]
        # Rows that are written again stand elsewhere in the table.
        model.objects.filter(pk__in=expected[::2]).update(**{name: "renamed"})
        assert [row.pk for row in model.objects.all()] == expected


def test_addresses_last_sent_to_in_one_moment_stand_by_name(gateway: Gateway) -> None:
    now, names = timezone.now(), [f"/{name}" for name in "qwertyuiopasdfgh"]
    for name in names:
        deliveries.took(gateway, name, accepted=1, duplicates=0)
    gateway.deliveries.update(last_at=now)
    assert [sent.endpoint for sent in deliveries.summary(gateway)] == sorted(names)


def test_tokens_of_one_name_that_were_never_used_stand_in_order(alice: User, gateway: Gateway) -> None:
    store(gateway, *(event(f"team-{number}") for number in range(6)))
    for number in range(6):
        merging.merge(UserIdentity.objects.get(name=f"team-{number}").user, alice)
    ApiToken.objects.exclude(merged_into=None).update(merged_into=None)
    person = User.objects.get(pk=alice.pk)
    day = TimeRange(NOON - DAY, NOON + DAY)
    names = [row.token.pk for row in own_tokens.own_tokens(Scope.own(person), day, NOON).rows]
    assert sorted(names) == sorted(ApiToken.objects.values_list("pk", flat=True))
    ApiToken.objects.filter(pk__in=names[::2]).update(masked_key="sk-…")
    assert [row.token.pk for row in own_tokens.own_tokens(Scope.own(person), day, NOON).rows] == names


def test_lines_of_one_name_and_cost_are_compared_in_order(alice: User, gateway: Gateway) -> None:
    for number in range(1, 5):
        cost = Decimal(12) / number
        store(gateway, *(event(f"team-{number}", cost=cost, minutes=number) for _ in range(number)))
        merging.merge(UserIdentity.objects.get(name=f"team-{number}").user, alice)
    ApiToken.objects.exclude(merged_into=None).update(merged_into=None)
    calls = {str(token.pk): number for number, token in enumerate(ApiToken.objects.order_by("pk"), 1)}
    person = signed_in(User.objects.get(pk=alice.pk))
    page = person.get("/records/usage/", {"range": "all", "compare": "token"}).content.decode()
    assert [requests for _name, _cost, requests in lines(page)] == [calls[key] for key in sorted(calls)]


# --- However PostgreSQL finds the rows ---------------------------------------------------------------------

PLANS = [
    ("hashagg",), ("sort",), ("seqscan",), ("indexscan", "indexonlyscan", "bitmapscan"),
    ("hashjoin", "mergejoin"),
]  # fmt: skip
"""What is off by turns: the same rows are then found, joined and grouped in other ways, in other orders."""
TOKEN = re.compile(r"\b[A-Za-z0-9]{64}\b")


def asked() -> Iterator[str]:
    yield from ("/records/usage/?range=all", "/records/usage/chart/?range=all", "/records/tasks/", "/tokens/")
    yield from (f"/records/usage/?range=all&compare={by}" for by in By.values)
    yield from (f"/records/usage/?range=all&cost_min=0&compare={by}" for by in By.values)
    yield from (f"/admin/{name}/?range=30d" for name in ("logs/usagerecord", "tasks/asynctask"))
    yield from (f"/admin/accounts/{name}/" for name in ("user", "apitoken", "gateway", "aimodel", "group"))


@pytest.mark.usefixtures("standing_clock")
def test_a_page_is_the_same_however_the_rows_are_found(admin: User, gateway: Gateway) -> None:
    admin.time_zone = "Asia/Kolkata"
    admin.save()
    now = timezone.now()
    for number in range(120):
        places = {"model": f"m{number % 7}", "token": f"t{number % 5}", "group": f"g{number % 3}"}
        status = Status.ERROR if number % 4 == 0 else Status.SUCCESS
        at = now - timedelta(hours=5 * number)
        store(gateway, event(admin, created_at=at, cost=Decimal(number % 2), status=status, **places))
        if number < 20:
            a_task(admin, gateway, submitted_at=at)
    client = signed_in(admin)
    pages: dict[str, str] = {}
    for off in ((), *PLANS):
        with connection.cursor() as cursor:
            for name in {name for plan in PLANS for name in plan}:
                cursor.execute(f"SET LOCAL enable_{name} = {'off' if name in off else 'on'}")
        for url in asked():
            response = client.get(url)
            assert response.status_code == 200, url
            page = TOKEN.sub("", response.content.decode())
            assert pages.setdefault(url, page) == page, (off, url)
