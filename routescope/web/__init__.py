"""What is between the apps and a browser."""
