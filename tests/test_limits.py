"""How long anything may take in PostgreSQL, and what its errors mean."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from accounts.models import User
from routescope.data import limits
from routescope.data.limits import COMMAND, INGEST, PAGE, WorkLimits, limited
from routescope.data.postgresql.base import DatabaseWrapper
from routescope.data.troubles import Trouble, trouble_of
from tests.locking import held
from tests.quick_limits import QUICK, run


def in_force() -> dict[str, timedelta]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting::int FROM pg_settings WHERE name IN"
            " ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')"
        )
        return {name: timedelta(milliseconds=value) for name, value in cursor.fetchall()}


def of(work: WorkLimits) -> dict[str, timedelta]:
    return {
        "statement_timeout": work.statement,
        "lock_timeout": work.lock,
        "idle_in_transaction_session_timeout": work.idle,
    }


# --- A session follows the work ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_nothing_is_without_limit() -> None:
    for work in (PAGE, INGEST, limits.IMPORT, COMMAND, limits.BESIDE, limits.of_job(timedelta(hours=1))):
        with limited(work):
            assert in_force() == of(work)
            assert timedelta(0) < work.lock < work.statement
            assert timedelta(0) < work.idle <= timedelta(minutes=15)
    assert in_force() == of(COMMAND)
    assert limits.of_job(timedelta(seconds=20)).statement == timedelta(seconds=20)


@pytest.mark.django_db
def test_nothing_is_sent_while_the_work_stays_of_one_kind() -> None:
    sent: list[WorkLimits] = []
    keep = DatabaseWrapper._keep_to

    def counted(self: DatabaseWrapper, wanted: WorkLimits) -> None:
        sent.append(wanted)
        keep(self, wanted)

    in_force()
    with patch.object(DatabaseWrapper, "_keep_to", counted):
        for _ in range(3):
            with limited(PAGE):
                in_force()
        assert sent == [PAGE]
        for _ in range(3):
            with limited(PAGE):
                pass
        in_force()
    assert sent == [PAGE, COMMAND]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_or_reconnected_keeps_to_its_limits() -> None:
    in_force()
    with pytest.raises(ZeroDivisionError), limited(PAGE), transaction.atomic():
        in_force()
        raise ZeroDivisionError
    with limited(PAGE):
        assert in_force() == of(PAGE), "a rollback takes back what was set within"
    with limited(PAGE), transaction.atomic():
        with pytest.raises(ZeroDivisionError), limited(INGEST), transaction.atomic():
            in_force()
            raise ZeroDivisionError
        assert in_force() == of(PAGE)
        with (
            pytest.raises(DatabaseError),
            transaction.atomic(),
            limited(INGEST),
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1 / 0")
        assert in_force() == of(PAGE), "the rollback to a savepoint takes no other statement before it"
    with limited(INGEST):
        connection.close()
        assert in_force() == of(INGEST)
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY (SELECT current_setting('lock_timeout')) TO STDOUT") as copy,
        ):
            assert b"".join(map(bytes, copy)) == b"2s\n"


@pytest.mark.django_db(transaction=True)
def test_an_isolation_level_may_still_be_chosen_and_a_named_cursor_keeps_to_them(alice: User) -> None:
    in_force()
    with limited(PAGE), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        assert [user.pk for user in User.objects.iterator(10)] == [alice.pk]
        assert in_force() == of(PAGE)


@pytest.mark.django_db(transaction=True)
def test_advisory_locks_are_waited_for_no_longer_than_others() -> None:
    lock = "SELECT pg_advisory_xact_lock(7)"
    with held(lock), limited(QUICK), pytest.raises(OperationalError) as caught:
        run(lock)
    assert trouble_of(caught.value) is Trouble.BUSY


def test_connections_end_when_the_server_goes_without_a_word() -> None:
    options = connection.settings_dict["OPTIONS"]
    assert options["connect_timeout"] <= 10
    assert options["keepalives_idle"] + options["keepalives_interval"] * options["keepalives_count"] <= 60
    assert options["tcp_user_timeout"] <= 60_000


# --- What an error means -----------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("statement", "trouble"),
    [
        ("SELECT pg_sleep(5)", Trouble.TOO_LONG),
        ("DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'many' USING ERRCODE = '53300'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'ends' USING ERRCODE = '57P01'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'starts' USING ERRCODE = '57P03'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '08006'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'disk' USING ERRCODE = '58030'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'standby' USING ERRCODE = '25006'; END $$", Trouble.AWAY),
        ("DO $$ BEGIN RAISE EXCEPTION 'dead' USING ERRCODE = '40P01'; END $$", Trouble.BUSY),
        ("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$", Trouble.BUSY),
        ("DO $$ BEGIN RAISE EXCEPTION 'idle' USING ERRCODE = '25P03'; END $$", Trouble.TOO_LONG),
        ("DO $$ BEGIN RAISE EXCEPTION 'complex' USING ERRCODE = '54001'; END $$", None),
        ("SELECT 1 / 0", None),
        ("SELECT nothing FROM nowhere", None),
    ],
)
def test_an_error_of_the_database_is_told_apart_from_one_of_ours(
    statement: str, trouble: Trouble | None
) -> None:
    with pytest.raises(DatabaseError) as caught, limited(QUICK), transaction.atomic():
        run(statement)
    assert trouble_of(caught.value) is trouble


@pytest.mark.django_db
def test_an_error_without_a_state_is_an_outage_where_no_connection_is_left() -> None:
    in_force()
    assert trouble_of(OperationalError("connection refused")) is Trouble.AWAY
    assert trouble_of(InterfaceError("the cursor is closed")) is None
    assert trouble_of(ProgrammingError("no such thing")) is None
    assert trouble_of(ValueError()) is None
