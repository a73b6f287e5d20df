"""Demo data: believable traffic of a made-up gateway, the same on every machine, and a trickle of it live.

Traffic is a function of time (`routescope.demo.traffic`): asking for the same hour twice gives the same
records with the same request IDs. That is what makes loading again harmless, and filling a gap exact.
"""

DEMO_USER_EMAIL = "demo@example.com"
DEMO_ADMIN_EMAIL = "admin@example.com"
"""Their password stands in `accounts.sign_in.demo_accounts`. Everybody knows it."""

DEMO_GATEWAY = "demo"
