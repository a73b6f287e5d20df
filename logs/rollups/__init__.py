"""Sums of records: kept when records come in, and asked instead of the records."""
