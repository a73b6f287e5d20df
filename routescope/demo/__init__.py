"""Demo data: believable traffic of a made-up gateway, the same on every machine, and a trickle of it live.

Traffic is a function of time (`routescope.demo.traffic`): asking for the same hour twice gives the same
records with the same request IDs. That is what makes loading again harmless, and filling a gap exact.
"""

DEMO_USER_EMAIL = "demo@example.com"
DEMO_ADMIN_EMAIL = "admin@example.com"
DEMO_PASSWORD = "routescope-demo"  # noqa: S105 - printed at start, for data that is made up
"""The password of both. Known to everyone: never load the demo where others can reach it."""

DEMO_GATEWAY = "demo"
