"""Dates and times as Django itself writes them, in the admin above all: one format in every language."""
