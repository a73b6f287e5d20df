"""What the frame itself keeps."""

from routescope.models.jobs import JobRun
from routescope.models.settled import LeftAsIs

__all__ = ["JobRun", "LeftAsIs"]
