"""The app's jobs, where Celery looks for them."""

from logs.maintenance.jobs import (
    compact,
    compare_hours,
    count_busy_hours,
    count_latencies,
    count_minutes,
    fill_bounds,
    fold,
    forget_spans,
    keep_and_drop,
    make_partitions,
    price_unpriced,
    rejudge,
    retell_answered,
    rotate_content,
)

__all__ = [
    "compact",
    "compare_hours",
    "count_busy_hours",
    "count_latencies",
    "count_minutes",
    "fill_bounds",
    "fold",
    "forget_spans",
    "keep_and_drop",
    "make_partitions",
    "price_unpriced",
    "rejudge",
    "retell_answered",
    "rotate_content",
]
