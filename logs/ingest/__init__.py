"""What gateways send, until it is stored."""
