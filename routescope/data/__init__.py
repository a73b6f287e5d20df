"""What is kept, and what is between the apps and PostgreSQL."""
