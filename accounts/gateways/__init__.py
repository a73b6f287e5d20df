"""What gateways send: their keys, the door they come to, and what became of each delivery."""
