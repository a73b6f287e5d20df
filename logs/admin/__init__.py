"""Usage in the Django admin, which looks for a module of this name: records, prices, and content policies."""

from logs.admin import content, prices, records

__all__ = ["content", "prices", "records"]
