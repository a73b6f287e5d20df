"""What is done to stored tasks later."""
