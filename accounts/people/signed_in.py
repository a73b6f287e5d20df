"""Requests by somebody who has signed in."""

from __future__ import annotations

from accounts.models import User
from routescope.web.middleware import HtmxHttpRequest


class AuthenticatedRequest(HtmxHttpRequest):
    """What a view behind ``login_required`` receives."""

    user: User
