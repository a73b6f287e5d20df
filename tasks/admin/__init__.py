"""Tasks in the Django admin, which looks for a module of this name, and the providers that are asked."""

from tasks.admin import providers, tasks

__all__ = ["providers", "tasks"]
