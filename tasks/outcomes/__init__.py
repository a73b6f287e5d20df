"""What a task came to: the facts of its end, why it failed, and what of them may be kept."""
