"""What is kept, and on what."""
