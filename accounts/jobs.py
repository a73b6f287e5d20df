"""The app's jobs, where Celery looks for them."""

from accounts.exports.jobs import dispatch, run_export, tidy

__all__ = ["dispatch", "run_export", "tidy"]
