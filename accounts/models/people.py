"""People, pricing groups and API tokens."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.validators import MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _


class Mergeable(models.Model):
    """Something that gateways may know under several names.

    What is merged into another is one with it, its past records too: these keep its id, and whoever reads
    asks for the ids of both (`accounts.identities.merging`). Subclasses have ``merged_into``.
    """

    pk: int
    merged_into_id: int | None

    class Meta:
        abstract = True

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Its own id and those of what was merged into it: what its records may carry."""
        absorbed = type(self)._default_manager.filter(Q(merged_into=self.pk))
        return (self.pk, *absorbed.values_list("pk", flat=True))

    @property
    def canonical_id(self) -> int:
        """The id of what it was merged into, or its own."""
        return self.merged_into_id or self.pk

    @property
    def called(self) -> str:
        """The name of what it is now."""
        return str(getattr(self, "merged_into", None) or self)


def _merged_into() -> models.ForeignKey:  # type: ignore[type-arg]
    return models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="absorbed",
        verbose_name=_("merged into"),
    )


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """Create a person who signs in by e-mail. Raises ValueError without an address."""
        if not email:
            raise ValueError("A person who signs in needs an e-mail address.")
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


ZONE_SETTLED = "zone_settled"
"""The preference that notes that a person's time zone is their own choice."""


class User(AbstractBaseUser, PermissionsMixin, Mergeable):
    """One person, or one name that a gateway calls a user.

    A user first seen in a gateway's records has no password and is inactive: the records are kept under
    it, and nobody can sign in as it until an admin invites the person.
    """

    class Theme(models.TextChoices):
        SYSTEM = "system", _("System")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    id = models.AutoField(primary_key=True)
    email = models.EmailField(_("e-mail"), unique=True, null=True, blank=True)
    name = models.CharField(_("name"), max_length=200, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    language = models.CharField(_("language"), max_length=16, default="en")
    theme = models.CharField(_("theme"), max_length=8, choices=Theme, default=Theme.SYSTEM)
    preferences = models.JSONField(
        _("preferences"), default=dict, blank=True, help_text=_("Choices of display: columns, page size.")
    )
    is_active = models.BooleanField(_("may sign in"), default=True)
    is_staff = models.BooleanField(_("admin"), default=False, help_text=_("May open the Django admin."))
    invited_at = models.DateTimeField(_("invited"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True, editable=False)
    access_salt = models.CharField(max_length=36, default="", db_default="", blank=True, editable=False)
    merged_into = _merged_into()
    date_joined = models.DateTimeField(_("first seen"), default=timezone.now)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.name or self.email or f"user {self.pk}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a new password ends the person's access tokens, as it ends their sessions.

        Django keeps the new password at hand until it is saved. A hash that is merely renewed keeps none.
        """
        changed = self.pk is not None and getattr(self, "_password", None) is not None
        with transaction.atomic():
            super().save(*args, **kwargs)
            if changed:
                self.access_tokens.filter(revoked_at=None).update(revoked_at=timezone.now())

    @property
    def is_zone_settled(self) -> bool:
        """Whether the person chose a time zone, or chose to keep the one they have."""
        return bool(self.preferences.get(ZONE_SETTLED))

    def settle_zone(self, zone: str) -> None:
        """Save a time zone that the person chose: they are not asked again."""
        self.time_zone = zone
        self.preferences[ZONE_SETTLED] = True
        self.save(update_fields=["time_zone", "preferences"])

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower() if self.email else None

    def renew_access(self) -> None:
        """End every session of the account and every link into it that was sent; not saved by this."""
        self.access_salt = str(uuid.uuid4())

    def _get_session_auth_hash(self, secret: str | bytes | None = None) -> str:
        """Return what each session of this user must carry; with a new ``access_salt`` none does any more.

        Without one it is Django's own.
        """
        of_password: str = super()._get_session_auth_hash(secret=secret)  # type: ignore[misc]
        if not self.access_salt:
            return of_password
        both = f"{of_password}{self.access_salt}"
        return salted_hmac("accounts.models.User.access_salt", both, secret=secret).hexdigest()

    def check_password(self, raw_password: str) -> bool:
        """Say whether this is the password; no password is while ``PASSWORD_SIGN_IN`` is off."""
        return settings.PASSWORD_SIGN_IN and super().check_password(raw_password)

    def has_usable_password(self) -> bool:
        """Say whether a password opens the account; none does while ``PASSWORD_SIGN_IN`` is off."""
        return settings.PASSWORD_SIGN_IN and super().has_usable_password()

    @property
    def is_invited(self) -> bool:
        """Whether an admin invited them, and they have not come yet. Who was closed since is invited anew."""
        if self.is_active or self.merged_into_id or self.closed_at or self.invited_at is None:
            return False
        return self.last_login is None or self.invited_at > self.last_login

    @property
    def is_provisioned(self) -> bool:
        """Whether this user is known from a gateway only, and was never invited."""
        return not self.is_active and self.invited_at is None


class Group(Mergeable):
    """A pricing group: what its requests cost is the catalogue's price times the group's ratio."""

    id = models.AutoField(primary_key=True)
    name = models.CharField(_("name"), max_length=200, unique=True)
    ratio = models.DecimalField(
        _("ratio"),
        max_digits=12,
        decimal_places=6,
        default=1,
        validators=[MinValueValidator(0)],
        help_text=_("Multiplies the catalogue's price: 0.8 is a discount of 20%."),
    )
    description = models.CharField(_("description"), max_length=300, blank=True)
    merged_into = _merged_into()

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ApiToken(Mergeable):
    """A user's token at the gateway. Only a masked key is known here: the gateway keeps the real one.

    What it may do is as the gateway told (`accounts.identities.token_facts`), or as an admin set it: the
    fields in ``set_by_admin`` stay what the admin made them. NULL is what nobody said.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        DISABLED = "disabled", _("Disabled")
        EXPIRED = "expired", _("Expired")
        EXHAUSTED = "exhausted", _("Out of quota")

    TOLD = (
        "masked_key",
        "group",
        "status",
        "rpm_limit",
        "tpm_limit",
        "allowed_models",
        "expires_at",
        "budget",
        "budget_spent",
        "budget_resets_at",
    )
    """The fields that a gateway may tell and an admin may set."""

    id = models.AutoField(primary_key=True)
    owner = models.ForeignKey(User, models.CASCADE, related_name="api_tokens", verbose_name=_("owner"))
    name = models.CharField(_("name"), max_length=200)
    masked_key = models.CharField(_("masked key"), max_length=64, blank=True)
    group = models.ForeignKey(
        Group, models.SET_NULL, null=True, blank=True, related_name="api_tokens", verbose_name=_("group")
    )
    rpm_limit = models.PositiveIntegerField(
        _("RPM limit"), null=True, blank=True, help_text=_("Requests per minute that the gateway admits.")
    )
    tpm_limit = models.PositiveBigIntegerField(
        _("TPM limit"), null=True, blank=True, help_text=_("Tokens per minute that the gateway admits.")
    )
    allowed_models = models.JSONField(
        _("models"),
        null=True,
        blank=True,
        help_text=_("The names of the models that it may call; an empty list: any."),
    )
    expires_at = models.DateTimeField(
        _("expires"), null=True, blank=True, help_text=_("From when on the gateway refuses it.")
    )
    budget = models.DecimalField(
        _("budget (USD)"),
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("What may be spent with it at the gateway, until it is renewed."),
    )
    budget_spent = models.DecimalField(
        _("spent of the budget (USD)"),
        max_digits=24,
        decimal_places=12,
        null=True,
        blank=True,
        help_text=_("As the gateway counts it, which may differ from the records' sum."),
    )
    budget_resets_at = models.DateTimeField(_("budget renewed"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.ACTIVE)
    told_at = models.DateTimeField(
        _("told by the gateway"),
        null=True,
        editable=False,
        help_text=_("When the gateway last said what the token may do."),
    )
    set_by_admin = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        editable=False,
        help_text=_("The fields that an admin set: what the gateway tells does not change them."),
    )
    merged_into = _merged_into()
    created_at = models.DateTimeField(_("first seen"), default=timezone.now)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")
        ordering = ("name", "id")  # Each owner has names of their own.
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="apitoken_owner_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_limits(self) -> bool:
        """Whether a limit per minute is known."""
        return self.rpm_limit is not None or self.tpm_limit is not None
