"""Views of a tab that somebody keeps."""

from __future__ import annotations

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class SavedView(models.Model):
    """Filters of a tab of Operation Records that a person gave a name.

    ``tab`` is its name (`routescope.contracts.tabs`), which is that of its URL. ``query`` is the tab's
    canonical query string, so a view is also just an address: to share one, send it.
    """

    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="saved_views", verbose_name=_("user")
    )
    tab = models.CharField(_("tab"), max_length=8)
    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(_("query string"), max_length=4000, blank=True)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ("name", "id")  # Each person has names of their own, for each tab.
        default_permissions = ()
        constraints = [
            # Also the index of the menu: a person's views of a tab by name.
            models.UniqueConstraint(fields=["user", "tab", "name"], name="savedview_user_tab_name"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"{reverse(self.tab)}?{self.query}"
