"""Signing in: passwords, second factors, single sign-on."""
