"""Inputs, outputs and errors: what of them may be kept, and keeping it encrypted."""
