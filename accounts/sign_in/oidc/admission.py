"""Who of those that come from the provider is let in: whom an admin knows, or a domain the operator names.

1. An identity that came before is the account it is linked with, whatever its address is by now.
2. A new one is known by its address, if the provider vouches for it.
3. An account with that address: it is linked. One that is invited is opened by it.
4. No account, or one known from a gateway only: opened where the operator names the domain.

Being let in is not yet having arrived: the account's second factor comes between the two. Only who arrives is
linked, for good, and gets rights (`accounts.sign_in.oidc.arrival`).
"""

from __future__ import annotations

from enum import Enum

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import AuditEntry, LinkedIdentity, User
from accounts.people import invites
from accounts.sign_in.oidc.identity import ClaimedIdentity, folded
from accounts.staff import audit


class SignInRefusal(Enum):
    """Why a sign-in came to nothing. Each has its page; its value is what the audit log says."""

    STATE = "it was started elsewhere, too long ago, or is used up"
    DECLINED = "the provider declined it"
    ANSWER = "the provider's answer does not hold"
    NO_ADDRESS = "no address came with it"
    UNVERIFIED = "the provider does not vouch for the address"
    NOT_INVITED = "nobody invited the address"
    OTHER_IDENTITY = "the account belongs to another identity at the provider"
    CLOSED = "the account is closed"


class SignInRefusedError(Exception):
    """Somebody is not let in."""

    def __init__(self, why: SignInRefusal, user: User | None = None) -> None:
        super().__init__(why.value)
        self.why = why
        self.user = user


def admit(request: HttpRequest, identity: ClaimedIdentity) -> User:
    """Return the account that an identity signs in to, which was made or opened for it where need be.

    Audited in the same transaction, in which the account stays as it is. Raises SignInRefusedError.
    """
    with transaction.atomic():
        return _linked(request, identity) or _known(request, identity)


def link(request: HttpRequest, user: User, identity: ClaimedIdentity) -> None:
    """Link an identity that arrived with the account that it was let in to, and note when it came.

    Whether it is let in is asked once more: a second factor may take a quarter of an hour, in which an admin
    may close the account, give it another address or take the link away. Raises SignInRefusedError.
    """
    with transaction.atomic():
        if admit(request, identity).pk != user.pk:
            raise SignInRefusedError(SignInRefusal.STATE, user)
        links = LinkedIdentity.objects.filter(user=user, provider=identity.issuer, uid=identity.subject)
        if not links.update(last_login=timezone.now()):
            LinkedIdentity.objects.create(user=user, provider=identity.issuer, uid=identity.subject)
            _note(request, user, f"Linked with {identity}.")


def _linked(request: HttpRequest, identity: ClaimedIdentity) -> User | None:
    links = LinkedIdentity.objects.filter(provider=identity.issuer, uid=identity.subject)
    found = links.first()
    if found is None:
        return None
    user = _locked(found.user_id)
    # Locked, after the user: a link that an admin takes away at this moment is not made again.
    if not links.filter(user=user).select_for_update():
        return None
    _open(request, user, identity)
    return user


def _known(request: HttpRequest, identity: ClaimedIdentity) -> User:
    if not identity.email:
        raise SignInRefusedError(SignInRefusal.NO_ADDRESS)
    if not identity.is_verified:
        raise SignInRefusedError(SignInRefusal.UNVERIFIED)
    user = _with_address(identity.email)
    if user is None:
        user = _newcomer(request, identity)
    links = LinkedIdentity.objects.filter(user=user, provider=identity.issuer)
    if links.exclude(uid=identity.subject).exists():
        # Addresses are given to somebody else when people leave. An admin takes the old link away.
        raise SignInRefusedError(SignInRefusal.OTHER_IDENTITY, user)
    _open(request, user, identity, by_domain=_names_domain(identity.email))
    return user


def _with_address(email: str) -> User | None:
    # The database folds more letters into one than mail does.
    alike = User.objects.filter(email__iexact=email).order_by("-is_active", "pk")
    found = next((user.pk for user in alike if folded(user.email or "") == email), None)
    return None if found is None else _locked(found)


def _newcomer(request: HttpRequest, identity: ClaimedIdentity) -> User:
    if not _names_domain(identity.email):
        raise SignInRefusedError(SignInRefusal.NOT_INVITED)
    defaults = {"name": identity.name, "password": make_password(None)}
    user, made = User.objects.get_or_create(email=identity.email, defaults=defaults)
    if made:
        _note(request, user, f"Added for {identity}, whose domain is let in.")
    return _locked(user.pk)


def _open(request: HttpRequest, user: User, identity: ClaimedIdentity, *, by_domain: bool = False) -> None:
    """See to it that the account is open. Who was closed, or merged into another, stays out."""
    if user.is_active:
        return
    never_came = user.last_login is None and user.closed_at is None and user.merged_into_id is None
    if user.is_invited or (by_domain and never_came):
        by = "who was invited" if user.is_invited else "whose domain is let in"
        invites.accept(user, None)
        _note(request, user, f"Opened for {identity}, {by}.")
        return
    why = SignInRefusal.NOT_INVITED if never_came else SignInRefusal.CLOSED
    raise SignInRefusedError(why, user)


def _locked(pk: int) -> User:
    return User.objects.select_for_update(no_key=True).get(pk=pk)


def _names_domain(email: str) -> bool:
    return settings.OIDC is not None and email.rpartition("@")[2].lower() in settings.OIDC.domains


def _note(request: HttpRequest, user: User, what: str) -> None:
    audit.note(request, AuditEntry.Act.PEOPLE, user, f"{user}: {what}")
