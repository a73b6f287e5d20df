"""The filters of Usage Logs: from a query string to a selection."""
