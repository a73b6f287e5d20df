"""The web server: who is connected, whose turn it is, and how whole requests reach Django."""
