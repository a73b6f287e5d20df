"""One record: its details, attempts, content, and what it would have cost otherwise."""
