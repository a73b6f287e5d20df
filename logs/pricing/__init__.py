"""What a call costs: quotes, receipts, and where a receipt differs from what was charged."""
