"""What comes in from others and goes out to them: bodies, JSON, requests of our own."""
