"""People, tokens, groups and gateways in the Django admin.

Nothing that records refer to is deleted here: they would be left without a name. Users and gateways are
deactivated, tokens disabled, keys revoked.
"""

# Registered by their own packages first, so that `people` can replace what they show.
import allauth.account.admin
import allauth.mfa.admin
import allauth.socialaccount.admin
import allauth.usersessions.admin  # noqa: F401
import django.contrib.auth.admin  # noqa: F401

from accounts.admin import (  # noqa: F401
    audit,
    board,
    gateways,
    guide_answers,
    people,
    single_sign_on,
    teams,
    tokens,
)
