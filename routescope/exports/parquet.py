"""Parquet: typed columns (decimals as decimal(24, 12), times with their zone), one row group a part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from routescope.exports.sources import Column, ColumnKind, Value

_BATCH = 2_000


class ParquetFormat:
    """A part is a Parquet file of its own; the finished file takes over their row groups one by one."""

    suffix = "parquet"
    content_type = "application/vnd.apache.parquet"
    capacity: int | None = None

    def __init__(self, columns: Sequence[Column], zone: ZoneInfo) -> None:
        kinds = {
            ColumnKind.TEXT: pa.string(),
            ColumnKind.INTEGER: pa.int64(),
            ColumnKind.DECIMAL: pa.decimal128(24, 12),
            ColumnKind.MOMENT: pa.timestamp("us", tz=zone.key),
            ColumnKind.BOOLEAN: pa.bool_(),
        }
        self.schema = pa.schema([(column.name, kinds[column.kind]) for column in columns])

    def write_part(self, path: Path, rows: Iterable[tuple[Value, ...]], *, first: bool) -> None:
        batches = []
        source = iter(rows)
        # Arrow's own memory is a tenth of Python's: rows become columns a few thousand at a time.
        while chunk := list(islice(source, _BATCH)):
            columns = zip(*chunk, strict=True)
            arrays = [
                pa.array(values, field.type) for values, field in zip(columns, self.schema, strict=True)
            ]
            batches.append(pa.record_batch(arrays, schema=self.schema))
        pq.write_table(pa.Table.from_batches(batches, self.schema), path, compression="zstd")

    def join(self, parts: Sequence[Path], target: Path, beat: Callable[[], None]) -> None:
        with pq.ParquetWriter(target, self.schema, compression="zstd") as writer:
            for part in parts:
                beat()
                writer.write_table(pq.read_table(part, schema=self.schema))
