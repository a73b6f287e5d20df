"""Usage in the Django admin, which looks for a module of this name: records, prices, policies, the index."""

from logs.admin import board, clocks, content, deployments, gateways_now, prices, records

__all__ = ["board", "clocks", "content", "deployments", "gateways_now", "prices", "records"]
