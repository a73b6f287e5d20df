"""Where mails go that have nowhere to go: never into a log that others read.

Invitations and password resets hold links that open an account.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.conf import settings
from django.core import checks
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

logger = logging.getLogger(__name__)

_DJANGO = "django.core.mail.backends"
PRINTING = {f"{_DJANGO}.{name}.EmailBackend" for name in ("console", "filebased", "locmem")}
"""Keep a mail's text where others find it, or in memory without end."""
WITHHOLDING = "routescope.config.mail.Withheld"
SILENT = {WITHHOLDING, f"{_DJANGO}.dummy.EmailBackend"}
"""Send nothing, and keep nothing."""
REFUSED = (
    "EMAIL_BACKEND writes mails down instead of sending them, and others reach this console: links that open "
    "accounts would stand in a log. Set it to django.core.mail.backends.smtp.EmailBackend, with EMAIL_HOST, "
    "or leave it out: then no mail is sent."
)
UNSENT = "No mail is sent: set EMAIL_BACKEND and EMAIL_HOST, or invitations and password resets reach nobody."


class Withheld(BaseEmailBackend):
    """Sends nothing, and says so in the log, without the mail's text and whom it was for."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            logger.error("A mail was not sent (%s). %s", message.subject, UNSENT)
        return 0


def chosen(wanted: str, *, only_this_machine: bool) -> str:
    """Return the backend for what the environment wants, or for nothing. Raises ValueError (``REFUSED``).

    Where nobody else reaches the console a mail may be read in the terminal that it runs in.
    """
    if only_this_machine:
        return wanted or f"{_DJANGO}.console.EmailBackend"
    if wanted in PRINTING:
        raise ValueError(REFUSED)
    return wanted or WITHHOLDING


def check(**kwargs: object) -> list[checks.CheckMessage]:
    """Tell ``check --deploy``."""
    return [checks.Warning(UNSENT, id="routescope.W001")] if settings.EMAIL_BACKEND in SILENT else []
