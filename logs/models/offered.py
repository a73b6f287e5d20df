"""Which tags, keys and values of metadata an account's records have: what a page offers to filter by.

Bounded: a page lists them, so a key that holds an ID of each call must not fill it. What is beyond the bounds
is kept with its records all the same, and found by whoever types it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from django.db import connection, models, transaction

MOST_KEYS = 50
"""Keys of one account that are offered."""
MOST_VALUES = 200
"""Values of one key that are offered."""
EVERYONE = 0
"""The user under whom everybody's stand."""
_MOST_KNOWN = 50_000
_KEY = ""
"""The value of the row that stands for a key itself."""
_UPSERT = (
    "INSERT INTO usage_offered_value (user_id, key, value, seen, is_beyond)"
    " SELECT came.user_id, came.key, came.value, came.seen, false"
    " FROM unnest(%s::integer[], %s::text[], %s::text[], %s::date[]) AS came (user_id, key, value, seen)"
    # In one order: two batches of the same values must not wait for each other.
    " ORDER BY came.user_id, came.key, came.value"
    " ON CONFLICT (user_id, key, value) DO UPDATE SET seen = excluded.seen"
    " WHERE usage_offered_value.seen < excluded.seen"
)
_known: dict[tuple[int, str, str], date] = {}
"""What this process has seen written, with the last day: values come with every call."""
_full: set[tuple[int, str]] = set()
"""Keys that take no more values; with an empty key, accounts that take no more keys."""
Told = tuple[int, str, str]
"""A user, a key and a value."""


class OfferedValue(models.Model):
    """A value of a key, and the last UTC day of a record that has it.

    A row without a value stands for its key; one without a key for the account, where it has more keys than
    are offered. ``is_beyond``: there are more values (or keys) than are listed here.
    """

    pk = models.CompositePrimaryKey("user_id", "key", "value")
    user_id = models.IntegerField()
    key = models.TextField()
    value = models.TextField()
    seen = models.DateField(help_text="UTC day of the last record that has it.")
    is_beyond = models.BooleanField(default=False)

    class Meta:
        db_table = "usage_offered_value"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


def keep(told: Mapping[Told, date]) -> None:
    """Keep which values records have, with the last day of each, as far as there is room.

    What this process has just written is written once.
    """
    news = {
        one: day
        for one, day in told.items()
        if (one not in _known or _known[one] < day)
        and (one[0], one[1]) not in _full
        and (one[0], "") not in _full
    }
    if not news:
        return
    is_ours = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        # One after the other: what one batch counts, another would fill meanwhile.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('offered values'))")
        taken, full = _taken(news)
        rows = [(*one, day) for one, day in taken.items()]
        if rows:
            cursor.execute(_UPSERT, [list(column) for column in zip(*rows, strict=True)])
        for user_id, key in sorted(full):
            OfferedValue.objects.update_or_create(
                user_id=user_id, key=key, value=_KEY,
                defaults={"is_beyond": True}, create_defaults={"is_beyond": True, "seen": max(news.values())},
            )  # fmt: skip
    if not is_ours:
        # It may never be committed.
        return
    if len(_known) > _MOST_KNOWN or len(_full) > _MOST_KNOWN:
        forget()
    _known.update(taken)
    _full.update(full)


def forget() -> None:
    """Forget what this process has written."""
    _known.clear()
    _full.clear()


def _taken(news: Mapping[Told, date]) -> tuple[dict[Told, date], set[tuple[int, str]]]:
    """Return what of some values there is room for, with their keys, and which keys are full."""
    users = list({user_id for user_id, _key, _value in news})
    keys_of: dict[int, set[str]] = defaultdict(set)
    rows = OfferedValue.objects.filter(user_id__in=users, value=_KEY).exclude(key="")
    for user_id, key in rows.values_list("user_id", "key"):
        keys_of[user_id].add(key)
    held = _held(news)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    counted = OfferedValue.objects.filter(user_id__in=users, key__in={key for _user, key, _value in news})
    for user_id, key, number in (
        counted.exclude(value=_KEY).values_list("user_id", "key").annotate(models.Count("value")).order_by()
    ):
        counts[user_id, key] = number
    taken: dict[Told, date] = {}
    full: set[tuple[int, str]] = set()
    for (user_id, key, value), day in sorted(news.items()):
        if key not in keys_of[user_id]:
            if len(keys_of[user_id]) >= MOST_KEYS:
                full.add((user_id, ""))
                continue
            keys_of[user_id].add(key)
        taken[user_id, key, _KEY] = max(day, taken.get((user_id, key, _KEY), day))
        if value and (user_id, key, value) not in held:
            if counts[user_id, key] >= MOST_VALUES:
                full.add((user_id, key))
                continue
            counts[user_id, key] += 1
        taken[user_id, key, value] = day
    return taken, full


def _held(news: Mapping[Told, date]) -> set[Told]:
    columns = [list(column) for column in zip(*news, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, key, value FROM usage_offered_value"
            " JOIN unnest(%s::integer[], %s::text[], %s::text[]) AS came (user_id, key, value)"
            " USING (user_id, key, value)",
            columns,
        )
        return set(cursor.fetchall())
