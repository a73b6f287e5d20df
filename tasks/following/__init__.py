"""Following open tasks: asking providers, leases, and what ends a task."""
