"""What is known of providers, and reading their answers."""
