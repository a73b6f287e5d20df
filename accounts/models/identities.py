"""What gateways call people, API tokens and groups, and which of ours each name leads to."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Identity(models.Model):
    """What a gateway calls somebody or something, and which of ours that is.

    Made on first sight. An admin may point it at another row: records that arrive later follow it.
    """

    gateway = models.ForeignKey("accounts.Gateway", models.CASCADE, verbose_name=_("gateway"))
    name = models.CharField(_("name at the gateway"), max_length=200)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name} ({self.gateway})"


class UserIdentity(Identity):
    """A gateway's name for a user. The empty name stands for records that name nobody."""

    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="identities", verbose_name=_("user")
    )
    moved_at = models.DateTimeField(
        _("pointed elsewhere"),
        null=True,
        editable=False,
        help_text=_("When it was last pointed at another user: the database notes it."),
    )

    class Meta:
        verbose_name = _("user identity")
        verbose_name_plural = _("user identities")
        constraints = [models.UniqueConstraint(fields=["gateway", "name"], name="useridentity_gateway_name")]


class TokenIdentity(Identity):
    """A gateway's name for a token, within one user: two users may each have a token called "default"."""

    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="+", verbose_name=_("user"))
    token = models.ForeignKey(
        "accounts.ApiToken", models.CASCADE, related_name="identities", verbose_name=_("API token")
    )

    class Meta:
        verbose_name = _("token identity")
        verbose_name_plural = _("token identities")
        constraints = [
            models.UniqueConstraint(
                fields=["gateway", "user", "name"], name="tokenidentity_gateway_user_name"
            )
        ]


class GroupIdentity(Identity):
    """A gateway's name for a pricing group."""

    group = models.ForeignKey(
        "accounts.Group", models.CASCADE, related_name="identities", verbose_name=_("group")
    )

    class Meta:
        verbose_name = _("group identity")
        verbose_name_plural = _("group identities")
        constraints = [models.UniqueConstraint(fields=["gateway", "name"], name="groupidentity_gateway_name")]
