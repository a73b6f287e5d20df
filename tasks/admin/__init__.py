"""Async tasks in the Django admin, which looks for a module of this name: tasks, and their providers."""

from tasks.admin import providers, tasks, waiting

__all__ = ["providers", "tasks", "waiting"]
