"""Whose records somebody may see: decided here, and nowhere else."""
