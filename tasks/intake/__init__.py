"""What is said of tasks: by gateways, and by providers' webhooks."""
