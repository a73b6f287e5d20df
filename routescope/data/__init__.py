"""What is between the apps and PostgreSQL."""
