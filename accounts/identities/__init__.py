"""Who is meant by a gateway's names: resolving, merging, and what they are called."""
