"""What is done to stored records later: pricing, judging, retention, packing."""
