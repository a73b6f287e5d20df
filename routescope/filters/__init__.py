"""The filters of a list: from a query string to what is chosen, and back to addresses."""
