"""What readers of the guide said of its pages."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class GuideAnswer(models.Model):
    """Whether a page of the guide helped a person, and a sentence of theirs. One for each person and page."""

    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="guide_answers", verbose_name=_("user")
    )
    page = models.CharField(_("page"), max_length=80)
    helpful = models.BooleanField(_("helpful"))
    comment = models.CharField(_("comment"), max_length=500, blank=True)
    answered_at = models.DateTimeField(_("answered"), auto_now=True)

    class Meta:
        verbose_name = _("guide answer")
        verbose_name_plural = _("guide answers")
        ordering = ("-answered_at", "-id")
        default_permissions = ("view",)
        constraints = [
            # Also how a page finds what its reader said.
            models.UniqueConstraint(fields=["user", "page"], name="guideanswer_user_page"),
        ]
        indexes = [
            # The admin's list, newest first.
            models.Index(fields=["-answered_at", "-id"], name="guideanswer_newest"),
            # The admin's counts by page.
            models.Index(fields=["page", "helpful"], name="guideanswer_page"),
        ]

    def __str__(self) -> str:
        return self.page
