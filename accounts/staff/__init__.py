"""What staff may do, and what is kept of what they did."""
