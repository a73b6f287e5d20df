"""The sections of the Django admin's index, in the order of use. Each admin says where it stands."""

from __future__ import annotations

from enum import Enum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Section(Enum):
    """A heading of the index, with the admins of whichever app under it."""

    RECORDS = _("Operation Records")
    PEOPLE = _("People")
    GATEWAYS = _("Gateways")
    PRICES = _("Prices")
    PRIVACY = _("Privacy")
    SYSTEM = _("System")

    @property
    def title(self) -> Promise:
        return self.value
