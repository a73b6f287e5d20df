"""Several reports of one call: which of them belong together, and the one record that they make."""
