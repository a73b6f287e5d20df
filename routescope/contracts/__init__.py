"""What the apps offer each other without knowing each other: each registers its part when it is ready."""
