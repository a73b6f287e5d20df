"""Exports: rows of any source, in any format, in bounded memory, whole after any interruption.

The engine knows a `Source` (`sources`), which logs and tasks provide, and nothing of their models. Rows are
written in parts, each a file of its own (`parts`); the finished file is made of them. Who asked, how far
it is and when it expires is `accounts.exports.exporting`'s: an export is a person's.
"""
