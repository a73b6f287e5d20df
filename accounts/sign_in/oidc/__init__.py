"""Sign-in by an OpenID provider: who comes, who is let in, and what claims give them."""
