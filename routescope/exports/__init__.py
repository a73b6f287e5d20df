"""Exports: rows of any source, in any format, in bounded memory, whole after any interruption.

The engine knows a `Source` (`sources`), which logs and tasks provide, and nothing of their models.

1. Rows are read once, a few thousand at a time (`reading`), and written in parts (`parts`): Parquet files,
   whatever the format, which keep the columns' types and take little room.
2. When all parts are there they are joined, once and as a stream, into the file of the format (`formats`).

Who asked, how far it is and when it expires is `accounts.exports.exporting`'s: an export is a person's.
"""
