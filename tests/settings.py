"""The product's settings, on an embedded PostgreSQL of the tests' own that trades durability for speed."""

import os

os.environ.setdefault("ROUTESCOPE_STATE", "var/test")

from routescope.settings import *  # noqa: F403

# Served straight from the source folders: no collectstatic before a test.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# Signing people in is most of a test's time otherwise.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# The live server's threads end with each test; a connection kept for them would outlive it.
DATABASES["default"]["CONN_MAX_AGE"] = 0  # noqa: F405

# Nothing is collected into it; but the web server warns of a folder that is not there.
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # noqa: F405
