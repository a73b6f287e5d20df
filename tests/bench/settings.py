"""The product's settings on an engine of the bench's own, which keeps its durability: speed is measured."""

import os

os.environ.setdefault("ROUTESCOPE_STATE", "var/bench")

from routescope.settings import *  # noqa: F403
