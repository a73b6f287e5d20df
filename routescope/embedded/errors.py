"""What the embedded engines raise."""

from __future__ import annotations


class EmbeddedError(RuntimeError):
    """An embedded engine cannot run here; the message is a sentence for the person at the terminal."""
