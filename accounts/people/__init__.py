"""People: their profile, preferences, invitations and saved views."""
