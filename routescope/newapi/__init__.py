"""Records and tasks of a new-api installation, imported from its database."""
