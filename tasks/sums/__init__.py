"""How many tasks there are: exact counts under every filter, and where rare ones are."""
