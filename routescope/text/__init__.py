"""Texts: what may be shown of them, and how values are written."""
