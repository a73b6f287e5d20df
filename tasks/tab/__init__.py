"""The Task Logs tab."""
