"""What is chosen of the records, and how far back rare ones are looked for."""
