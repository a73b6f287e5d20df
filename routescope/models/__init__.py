"""What the frame itself keeps."""

from routescope.models.jobs import JobRun

__all__ = ["JobRun"]
