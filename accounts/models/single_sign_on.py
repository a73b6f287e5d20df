"""Which identity at an OpenID provider is whose account, and which rights are held by a claim alone."""

from __future__ import annotations

from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group as PermissionGroup
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class LinkedIdentity(SocialAccount):  # type: ignore[misc]
    """A person at an OpenID provider, for good: ``provider`` is the issuer, ``uid`` the subject there.

    The issuer is part of the key: another issuer's subject "1" is somebody else.
    """

    class Meta:
        proxy = True
        verbose_name = _("single sign-on identity")
        verbose_name_plural = _("single sign-on identities")

    def __str__(self) -> str:
        return f"{self.uid} ({self.provider})"


class ClaimedRight(models.Model):
    """A right that claims gave at the last sign-in by the provider, and no hand did: it goes when they do.

    It is in force, as the user's flag or group, until somebody signs in otherwise; then it sleeps.
    """

    class Right(models.TextChoices):
        """The first two are the user's own flags of these names."""

        STAFF = "is_staff", _("Admin")
        SUPERUSER = "is_superuser", _("Superuser")
        GROUP = "group", _("Permission group")

    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="claimed_rights", verbose_name=_("user")
    )
    right = models.CharField(_("right"), max_length=16, choices=Right)
    group = models.ForeignKey(
        PermissionGroup, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("group")
    )
    at = models.DateTimeField(_("given"), default=timezone.now)

    class Meta:
        verbose_name = _("right by a claim")
        verbose_name_plural = _("rights by claims")
        default_permissions = ()
        constraints = [
            # Also the index of one person's rights.
            models.UniqueConstraint(
                fields=["user", "right", "group"], name="claimedright_user", nulls_distinct=False
            ),
            models.CheckConstraint(
                condition=models.Q(right="group", group__isnull=False)
                | models.Q(right__in=("is_staff", "is_superuser"), group=None),
                name="claimedright_group",
            ),
        ]

    def __str__(self) -> str:
        return str(self.group) if self.group else self.get_right_display()
