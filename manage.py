#!/usr/bin/env python
"""Run a management command, with embedded PostgreSQL and Valkey where none is configured."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "routescope.settings")
    from django.core.management import execute_from_command_line

    from routescope import embedded

    with embedded.services_for(sys.argv):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
