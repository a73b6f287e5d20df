"""Reading the database of a new-api or one-api installation: PostgreSQL, MySQL or SQLite, in slices."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import psycopg
import pymysql
from psycopg.types.json import set_json_loads

from routescope.wire.reading import readable

_Record = TypeVar("_Record", bound=msgspec.Struct)
_GO_MYSQL = re.compile(r"(?P<user>[^:@/]*)(?::(?P<password>.*))?@tcp\((?P<address>[^)]*)\)/(?P<name>[^?]*)")
_MYSQL_PORT = 3306
_CONNECT_SECONDS = 15
_KEY = "id"
_RUNNING = "SELECT {0}_snapshot_xmin(s), {0}_snapshot_xmax(s) FROM {1}() s"
_RUNNING_13 = _RUNNING.format("pg", "pg_current_snapshot")
_RUNNING_12 = _RUNNING.format("txid", "txid_current_snapshot")


class Unreadable(msgspec.Struct, frozen=True):
    """A row that is none of what was to be read: its key, None where that is no number, and what is amiss."""

    key: int | None
    reason: str


class SourceError(Exception):
    """The source cannot be read. ``str()`` says what to do about it."""


class _Cursor(Protocol):
    description: Any

    def execute(self, query: str, parameters: Any = ...) -> Any: ...
    def fetchall(self) -> Sequence[Sequence[Any]]: ...
    def fetchone(self) -> Any: ...
    def close(self) -> None: ...


class NewApiSource:
    """An open source. Only ever reads."""

    def __init__(
        self, connection: Any, name: str, quote: str, mark: str, transactions: str | None = None
    ) -> None:
        self._connection = connection
        self._quote = quote
        self._mark = mark
        self._transactions = transactions
        self.name = name
        """Which database this is, without credentials: under this name its positions are kept."""

    def has(self, table: str) -> bool:
        """Tell whether there is such a table."""
        try:
            self.columns(table)
        except SourceError:
            return False
        return True

    def columns(self, table: str) -> set[str]:
        """Return the names of a table's columns. Raises SourceError."""
        with self._cursor() as cursor:
            cursor.execute(f"SELECT * FROM {self._quoted(table)} LIMIT 0")  # noqa: S608
            return {column[0] for column in cursor.description}

    def readable(self, table: str, wanted: Sequence[str]) -> set[str]:
        """Return those of some columns that may be read: all that are there, or what was granted of them.

        Empty where there is no such table. PostgreSQL and MySQL grant by the column.
        """
        try:
            return self.columns(table).intersection(wanted)
        except SourceError:
            # SQLite, which would take a name that it does not know for a word, grants nothing.
            return set() if self._mark == "?" else {name for name in wanted if self._is_granted(table, name)}

    def _is_granted(self, table: str, column: str) -> bool:
        try:
            self._fetch(f"SELECT {self._quoted(column)} FROM {self._quoted(table)} LIMIT 0", [])  # noqa: S608
        except SourceError:
            return False
        return True

    def read(
        self,
        table: str,
        record: type[_Record],
        *,
        after: int,
        limit: int,
        within: Sequence[tuple[int, int]] = (),
    ) -> list[_Record | Unreadable]:
        """Return up to ``limit`` rows with ``id`` above ``after``, in its order; of some ranges of ids, or of
        all.

        Columns that this version of the table does not have keep the record's defaults. A row with something
        else in a column than belongs there is an Unreadable: it costs no other. Raises SourceError.
        """
        there = self.readable(table, record.__struct_fields__)
        if _KEY not in there:
            raise SourceError(f"{self.name}: the table {table!r} cannot be read.")
        wanted = [field for field in record.__struct_fields__ if field in there]
        columns = ", ".join(map(self._quoted, wanted))
        key, mark = self._quoted(_KEY), self._mark
        ranges = " OR ".join([f"{key} BETWEEN {mark} AND {mark}"] * len(within))
        query = (
            f"SELECT {columns} FROM {self._quoted(table)} WHERE {key} > {mark}"  # noqa: S608
            f"{f' AND ({ranges})' if within else ''} ORDER BY {key} LIMIT {limit:d}"
        )
        parameters = [after, *(end for one in within for end in one)]
        return [
            _converted(dict(zip(wanted, row, strict=True)), record) for row in self._fetch(query, parameters)
        ]

    def transactions(self) -> tuple[int, int] | None:
        """Return the oldest transaction that runs and the next one there will be; None but of PostgreSQL.

        Whatever is not to be seen yet is a transaction's between the two, or of one that has yet to begin.
        """
        if self._transactions is None:
            return None
        [[oldest, following]] = self._fetch(self._transactions, [])
        return int(oldest), int(following)

    def last(self, table: str) -> int:
        """Return the highest id, 0 for an empty table. Raises SourceError."""
        [[highest]] = self._fetch(f"SELECT max({self._quoted(_KEY)}) FROM {self._quoted(table)}", [])  # noqa: S608
        return int(highest or 0)

    def user_names(self) -> dict[int, str]:
        """Return users by their ID, which is all that tasks know; empty where ``users`` cannot be read."""
        query = f"SELECT {self._quoted('id')}, {self._quoted('username')} FROM {self._quoted('users')}"  # noqa: S608
        try:
            return {key: _text(name) for key, name in self._fetch(query, []) if name and isinstance(key, int)}
        except SourceError:
            return {}

    def _fetch(self, query: str, parameters: list[int]) -> Sequence[Sequence[Any]]:
        with self._cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[_Cursor]:
        try:
            with contextlib.closing(self._connection.cursor()) as cursor:
                yield cursor
        except (psycopg.Error, pymysql.Error, sqlite3.Error) as error:
            raise SourceError(f"{self.name}: {str(error).strip()}") from error

    def _quoted(self, name: str) -> str:
        return f"{self._quote}{name}{self._quote}"


def _converted(row: dict[str, Any], record: type[_Record]) -> _Record | Unreadable:
    """Return a row as what it should be. Text may come as bytes, and as bytes that are no UTF-8."""
    values = {name: _text(value) if isinstance(value, bytes) else value for name, value in row.items()}
    try:
        return msgspec.convert(values, record, strict=False)
    except (msgspec.ValidationError, OverflowError) as error:
        number = values.get(_KEY)
        found = number if isinstance(number, int) else None
        reason = readable(error) if isinstance(error, msgspec.ValidationError) else str(error)
        return Unreadable(found, reason)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def open_source(dsn: str) -> Iterator[NewApiSource]:
    """Open a source for reading.

    ``postgresql://user:password@host/name``, ``mysql://user:password@host/name``, ``sqlite:///path`` or the
    path of a file; also as new-api's own SQL_DSN writes MySQL, ``user:password@tcp(host:port)/name``. Raises
    SourceError where it cannot be opened.
    """
    try:
        source = _open(dsn)
    except (psycopg.Error, pymysql.Error, sqlite3.Error, OSError, ValueError) as error:
        raise SourceError(f"The source cannot be opened: {str(error).strip()}") from error
    try:
        yield source
    finally:
        with contextlib.suppress(psycopg.Error, pymysql.Error, sqlite3.Error):
            source._connection.close()


def _open(dsn: str) -> NewApiSource:
    if go := _GO_MYSQL.fullmatch(dsn.partition("?")[0]):
        host, _, port = go["address"].partition(":")
        return _mysql(host, int(port or _MYSQL_PORT), go["user"], go["password"] or "", go["name"])
    scheme = dsn.partition("://")[0] if "://" in dsn else "sqlite"
    if scheme in ("postgres", "postgresql"):
        connection = psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_SECONDS)
        connection.read_only = True
        # As text: what is in it is looked at before anything is built of it.
        set_json_loads(_text, connection)
        info = connection.info
        schema = connection.execute("SELECT current_schema()").fetchone()
        name = f"postgresql://{info.host}:{info.port}/{info.dbname}/{schema[0] if schema else ''}"
        running = _RUNNING_13 if info.server_version >= 130_000 else _RUNNING_12
        return NewApiSource(connection, name, quote='"', mark="%s", transactions=running)
    if scheme in ("mysql", "mariadb"):
        parts = urlsplit(dsn)
        [socket, *_] = [*parse_qs(parts.query).get("unix_socket", []), None]
        return _mysql(
            parts.hostname or "127.0.0.1",
            parts.port or _MYSQL_PORT,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            parts.path.lstrip("/"),
            socket,
        )
    if scheme != "sqlite":
        raise ValueError(f"{scheme!r} is not postgresql, mysql or sqlite")
    path = Path(dsn.removeprefix("sqlite://").removeprefix("/") if dsn.startswith("sqlite:///") else dsn)
    if dsn.startswith("sqlite:////"):
        path = Path("/") / path
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    # Not immutable: the living system may be writing to it.
    connection_ = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    connection_.text_factory = _text
    return NewApiSource(connection_, f"sqlite://{path.resolve()}", quote='"', mark="?")


def _mysql(
    host: str, port: int, user: str, password: str, name: str, socket: str | None = None
) -> NewApiSource:
    connection = pymysql.connect(
        host=host,
        port=port,
        user=user,
        password=password,
        database=name,
        unix_socket=socket,
        charset="utf8mb4",
        connect_timeout=_CONNECT_SECONDS,
        autocommit=True,
    )
    return NewApiSource(connection, f"mysql://{host}:{port}/{name}", quote="`", mark="%s")
