"""What an admin says of a name that is no model's own: a deployment's, or an alias of a gateway's models."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MOST_MODELS = 20
"""Models that one name may stand for."""
StandsFor = Mapping[str, tuple[str, ...]]
"""What names stand for, by `key_of` them."""


def key_of(name: str) -> str:
    """Return by what a name is looked up: small letters, without a provider's path."""
    return name.strip().lower().rpartition("/")[2]


class Deployment(models.Model):
    """A name that clients call, and the models behind it: any of them is the one that was asked for."""

    name = models.CharField(
        _("name"),
        max_length=200,
        unique=True,
        help_text=_(
            "What clients ask for: a deployment's name or a gateway's alias, without a provider in front."
        ),
    )
    stands_for = models.JSONField(_("stands for"))
    note = models.CharField(_("note"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("entered"), default=timezone.now, editable=False)

    former_name = ""

    class Meta:
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any]) -> Self:
        """Keep in mind what it is called until somebody saves it under another name."""
        loaded = super().from_db(db, field_names, values)
        loaded.former_name = loaded.name
        return loaded

    def clean(self) -> None:
        """Keep the name as it is looked up."""
        self.name = key_of(self.name)
        if not self.name:
            raise ValidationError({"name": _("Enter the name without the provider in front of it.")})


def stands_for(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what some names stand for, by their keys: one query, none without names. Others are left out."""
    keys = {key_of(name) for name in names} - {""}
    if not keys:
        return {}
    found = Deployment.objects.filter(name__in=keys).values_list("name", "stands_for")
    return {name: tuple(behind) for name, behind in found}
