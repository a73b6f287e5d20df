"""What the environment says, read and checked before anything runs."""
