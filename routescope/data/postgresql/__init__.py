"""Django's backend for PostgreSQL, which keeps every session to the limits of the work at hand."""
