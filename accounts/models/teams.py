"""Teams: people whose records somebody answers for without being an admin."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Team(models.Model):
    """A set of people with leads, made by an admin or told by a gateway.

    Leads see its members' records without what these sent and were answered. ``external_id`` is what the
    gateway that told of it calls it (`accounts.scopes.told_teams`); None: an admin made it.
    """

    name = models.CharField(_("name"), max_length=200)
    leads = models.ManyToManyField(
        "accounts.User",
        related_name="led_teams",
        blank=True,
        verbose_name=_("leads"),
        help_text=_("They see the members' records, without input and output. A lead is no admin."),
    )
    told_by = models.ForeignKey(
        "accounts.Gateway",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("told by"),
        help_text=_("The gateway that told of it. Empty: an admin made it."),
    )
    external_id = models.CharField(  # noqa: DJ001  # many have none, which are no equals
        _("the gateway's ID"), max_length=200, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ("name", "id")  # Two gateways may call theirs alike.
        constraints = [
            models.UniqueConstraint(fields=["told_by", "external_id"], name="team_gateway_external_id"),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """That somebody is in a team, or was: from when on, and until when.

    Leads see what was recorded of a member in that time; ``records_from`` lets them see earlier records, too.
    Who left stays listed: what was recorded while they were in the team stays the team's. Taking the row away
    takes these records away from the leads as well.
    """

    team = models.ForeignKey(Team, models.CASCADE, related_name="memberships", verbose_name=_("team"))
    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="memberships", verbose_name=_("person")
    )
    since = models.DateTimeField(_("joined"), default=timezone.now)
    until = models.DateTimeField(
        _("left"), null=True, blank=True, help_text=_("From then on their records are no longer the team's.")
    )
    records_from = models.DateTimeField(
        _("records from"),
        null=True,
        blank=True,
        help_text=_("Leads see the records from this time on. Empty: those from joining on."),
    )
    told_by = models.ForeignKey(
        "accounts.Gateway",
        models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("told by"),
    )

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        default_permissions = ()
        ordering = ("since", "id")
        constraints = [
            models.UniqueConstraint(
                fields=["team", "user"], condition=Q(until=None), name="membership_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gt=F("since")), name="membership_ends_after_it_began"
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)

    def clean(self) -> None:
        super().clean()
        if self.until and self.since and self.until <= self.since:
            raise ValidationError({"until": _("Nobody leaves before they joined.")})

    @property
    def begins(self) -> datetime:
        """From when on leads see the member's records (UTC)."""
        return self.since if self.records_from is None else self.records_from
