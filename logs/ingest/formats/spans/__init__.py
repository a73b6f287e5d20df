"""Spans of model calls: how each instrumentation tells of one, read by dialects as small as a span."""
