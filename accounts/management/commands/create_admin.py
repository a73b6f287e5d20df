"""Make the first admin."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.people import first_admin
from accounts.people.first_admin import FirstAdminError


class Command(BaseCommand):
    help = (
        "Make the first admin, from ADMIN_EMAIL and ADMIN_PASSWORD, from what is typed, or with a password "
        "that is printed once. Does nothing once there is an admin."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        say = self.stdout.write
        try:
            admin = first_admin.make(at_terminal=first_admin.is_terminal(), tell=say)
        except FirstAdminError as error:
            raise CommandError(str(error)) from error
        if admin is None:
            if options["verbosity"] > 1:
                say("There is an admin already.")
        elif admin.password:
            say("The first admin, shown this once:\n")
            say(f"  e-mail    {admin.email}\n  password  {admin.password}\n")
        else:
            say(f"The first admin is {admin.email}.")
