"""Async tasks in the Django admin, which looks for a module of this name: tasks, and their providers."""

from tasks.admin import board, clocks, providers, tasks, waiting

__all__ = ["board", "clocks", "providers", "tasks", "waiting"]
