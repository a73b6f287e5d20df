"""Parquet: typed columns (decimals as decimal(24, 12), times with their zone), compressed by zstd.

Every part of an export is such a file. Its rows are one group, unless they hold much text: then several.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from routescope.exports.sources import CHUNK, Column, ColumnKind, Value, Values

# Read as Arrow is loaded. Its own allocators keep what they have freed, some 20 MB.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
import pyarrow as pa
import pyarrow.parquet as pq

_GROUP_BYTES = 32 * 1024 * 1024
"""What a group of rows may hold in memory: it is written, and read, as a whole."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def schema_of(columns: Sequence[Column], zone: ZoneInfo) -> pa.Schema:
    """Return the types of some columns. Times are kept in UTC, and shown in the person's zone."""
    types = {
        ColumnKind.TEXT: pa.string(),
        ColumnKind.INTEGER: pa.int64(),
        ColumnKind.DECIMAL: pa.decimal128(24, 12),
        ColumnKind.MOMENT: pa.timestamp("us", tz=zone.key),
        ColumnKind.BOOLEAN: pa.bool_(),
    }
    return pa.schema([(column.name, types[column.kind]) for column in columns])


def write(path: Path, schema: pa.Schema, rows: Iterable[Values]) -> None:
    """Write a part. The same rows always give the same bytes."""
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batches: list[pa.RecordBatch] = []
        for values in rows:
            arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
            batches.append(pa.record_batch(arrays, schema=schema))
            if sum(batch.nbytes for batch in batches) >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(batches))
                batches.clear()
        if batches:
            writer.write_table(pa.Table.from_batches(batches))


def read(part: Path) -> Iterator[Values]:
    """Yield the rows of a part as Python's values, a few thousand at a time."""
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(CHUNK, use_threads=False):
            yield [_values(column) for column in batch.columns]


def join(parts: Sequence[Path], schema: pa.Schema, target: Path, beat: Callable[[int], None]) -> None:
    """Make one file of parts, group by group; ``beat`` is told before each part how many are joined."""
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for number, part in enumerate(parts):
            beat(number)
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group, use_threads=False))


def _values(column: pa.Array) -> Sequence[Value]:
    if not pa.types.is_timestamp(column.type):
        return list(column.to_pylist())
    # By way of integers: Arrow itself takes ten times as long to make times of Python's.
    counted = column.cast(pa.int64()).to_pylist()
    return [None if count is None else _EPOCH + count * _MICROSECOND for count in counted]
