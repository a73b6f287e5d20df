"""The demo's accounts: who can sign in, the gateway, and the users, tokens and groups that it names."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from accounts.identities.resolving import resolve
from accounts.models import ApiToken, Gateway, Group, User
from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from routescope.data.ids import derived_id
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_GATEWAY, DEMO_USER_EMAIL
from routescope.demo.cast import GROUPS, TOKENS, WORKLOADS
from routescope.demo.prices import MODELS

_AGES = {workload.token: workload.career.begins for workload in WORKLOADS}
"""For how many days before the end of the history a token has been in use."""


def demo_gateway() -> Gateway | None:
    """Return the demo's gateway, or None where the demo was never loaded."""
    return Gateway.objects.filter(name=DEMO_GATEWAY).first()


@transaction.atomic
def make_cast(now: datetime) -> Gateway:
    """Make the demo's accounts, all or none, and return its gateway, whose ``created_at`` is ``now``.

    What is here already (a person, a group) is left as it is. Users other than the demo user arrive as any
    gateway's do: provisioned, unable to sign in.
    """
    if not User.objects.filter(email=DEMO_USER_EMAIL).exists():
        User.objects.create_user(DEMO_USER_EMAIL, DEMO_PASSWORD, name="Demo user")
    if not User.objects.filter(email=DEMO_ADMIN_EMAIL).exists():
        User.objects.create_superuser(DEMO_ADMIN_EMAIL, DEMO_PASSWORD, name="Demo admin")
    for group in GROUPS:
        Group.objects.get_or_create(
            name=group.name, defaults={"ratio": group.ratio, "description": group.description}
        )
    gateway = Gateway.objects.create(name=DEMO_GATEWAY, created_at=now)
    names = resolve(
        gateway,
        users_and_tokens=[(token.user, token.name) for token in TOKENS],
        groups=[group.name for group in GROUPS],
        models=MODELS,
    )
    rows = ApiToken.objects.in_bulk(names.tokens.values())
    for token in TOKENS:
        row = rows[names.tokens[names.users[token.user], token.name]]
        row.group_id = names.groups[token.group.name]
        row.rpm_limit, row.tpm_limit, row.status = token.rpm, token.tpm, token.status
        row.created_at = now - timedelta(days=min(90.0, _AGES.get(token, 90.0)))
        row.masked_key = f"sk-…{derived_id(now, token.user, token.name).hex[-4:]}"
    ApiToken.objects.bulk_update(
        rows.values(), ["group_id", "rpm_limit", "tpm_limit", "status", "created_at", "masked_key"]
    )
    return gateway
