"""What an operator does by hand in the admin before a gateway sends anything: tables are known here alone.

People, pricing groups, the tokens' limits, the gateway and its ingest keys, and the keys of the development
provider. All else comes over the console's API, as any gateway's does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.models import ApiToken, Delivery, Gateway, Group, IngestKey, User, UserIdentity
from accounts.sign_in.demo_accounts import DEMO_PASSWORD
from routescope.data.ids import derived_id
from routescope.demo import DEMO_ADMIN_EMAIL, DEMO_GATEWAY, DEMO_USER_EMAIL
from routescope.demo.cast import GROUPS
from routescope.demo.workloads import TOKENS, WORKLOADS
from tasks.models import ProviderCredential

__all__ = [
    "DEMO_PASSWORD",
    "NOT_ALONE",
    "NotAloneError",
    "demo_gateway",
    "have_asked",
    "ingest_key",
    "last_sent_at",
    "make_cast",
]

NOT_ALONE = (
    "Others can reach this console (by its address, its https or its database of its own): the"
    " demo is not loaded, because the passwords of its user and its admin are known to everyone."
)
_AGES = {workload.token: workload.career.begins for workload in WORKLOADS}
"""For how many days before the end of the history a token has been in use."""
_ABANDONED = timedelta(days=1)
_PROVIDER_KEY = "development"
_SENT_AS = "header authorization"
"""How the definitions of the three platforms send a key (``Authorization: Bearer``)."""


class NotAloneError(Exception):
    """Others can reach this console; the message says why the demo is not for them."""


def demo_gateway() -> Gateway | None:
    """Return the demo's gateway, or None where the demo was never loaded."""
    return Gateway.objects.filter(name=DEMO_GATEWAY).first()


def make_cast(now: datetime) -> Gateway:
    """Return the demo's gateway, made with its people where it is not here: ``created_at`` is then ``now``.

    What is here already (a person, a group) is left as it is. Users other than the demo user are as any
    gateway's: provisioned, unable to sign in. Raises NotAloneError where somebody else could reach them.
    """
    if not settings.ONLY_THIS_MACHINE:
        raise NotAloneError(NOT_ALONE)
    with transaction.atomic():
        return demo_gateway() or _make(now)


def _make(now: datetime) -> Gateway:
    if not User.objects.filter(email=DEMO_USER_EMAIL).exists():
        User.objects.create_user(DEMO_USER_EMAIL, DEMO_PASSWORD, name="Demo user")
    if not User.objects.filter(email=DEMO_ADMIN_EMAIL).exists():
        User.objects.create_superuser(DEMO_ADMIN_EMAIL, DEMO_PASSWORD, name="Demo admin")
    groups = {
        one.name: Group.objects.get_or_create(
            name=one.name, defaults={"ratio": one.ratio, "description": one.description}
        )[0]
        for one in GROUPS
    }
    gateway = Gateway.objects.create(name=DEMO_GATEWAY, created_at=now)
    users = {name: _user(gateway, name) for name in dict.fromkeys(token.user for token in TOKENS)}
    for token in TOKENS:
        ApiToken.objects.update_or_create(
            owner=users[token.user],
            name=token.name,
            defaults={
                "group": groups[token.group.name],
                "rpm_limit": token.rpm,
                "tpm_limit": token.tpm,
                "status": token.status,
                "allowed_models": list(token.models),
                "expires_at": now + timedelta(days=token.days) if token.days else None,
                "budget": token.budget,
                # As the admin keeps it in mind of what is set there.
                "set_by_admin": ["group", "status", "rpm_limit", "tpm_limit", "allowed_models", "expires_at"],
                "created_at": now - timedelta(days=min(90.0, _AGES.get(token, 90.0))),
                "masked_key": f"sk-…{derived_id(now, token.user, token.name).hex[-4:]}",
            },
        )
    return gateway


def _user(gateway: Gateway, name: str) -> User:
    """Return whom the gateway calls so: the person with this address, or one who is known by name alone."""
    email = name if "@" in name else None
    user = User.objects.filter(email=email).first() if email else None
    if user is None:
        user = User(email=email, name="" if email else name, is_active=False)
        user.set_unusable_password()
        user.save()
    UserIdentity.objects.create(gateway=gateway, name=name, user=user)
    return user


def last_sent_at(gateway: Gateway) -> datetime | None:
    """Return when the gateway last sent anything, as its page in the admin says."""
    found: datetime | None = Delivery.objects.filter(gateway=gateway).aggregate(at=Max("last_at"))["at"]
    return found


@contextmanager
def ingest_key(gateway: Gateway, label: str) -> Iterator[str]:
    """Issue an ingest key for the block. It is known nowhere else, and gone afterwards."""
    yesterday = timezone.now() - _ABANDONED
    ours = IngestKey.objects.filter(gateway=gateway, label=label)
    # Of runs that were killed: every running one has used its key within the day.
    ours.filter(created_at__lt=yesterday).exclude(last_used_at__gte=yesterday).delete()
    row, key = IngestKey.issue(gateway, label)
    try:
        yield key
    finally:
        # If the database is gone before us, the next run cleans up.
        with suppress(OperationalError, InterfaceError):
            row.delete()


def have_asked(gateway: Gateway, platforms: Mapping[str, Sequence[str]], url: str) -> None:
    """Have these platforms asked at ``url`` for this gateway's tasks, and for no other one's.

    Each with the origins that its definition names besides: its key is entered for these, too.
    """
    for platform, origins in platforms.items():
        ProviderCredential.objects.update_or_create(
            platform=platform,
            gateway=gateway,
            defaults={
                "base_url": url,
                "api_key": _PROVIDER_KEY,
                "key_origins": [url, *origins],
                "key_sent_as": _SENT_AS,
            },
        )
