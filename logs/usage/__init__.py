"""The Usage Logs tab."""
