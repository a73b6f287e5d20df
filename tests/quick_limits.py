"""Limits of work in PostgreSQL that a test can wait for, and how it reaches them."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from routescope.data.limits import WorkLimits

QUICK = WorkLimits(timedelta(milliseconds=300), timedelta(milliseconds=100), timedelta(seconds=5))


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
