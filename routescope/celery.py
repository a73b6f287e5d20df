"""The Celery application. Jobs live in each app's ``jobs.py``; beat's schedule stands in settings."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "routescope.settings")

app = Celery("routescope")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="jobs")
