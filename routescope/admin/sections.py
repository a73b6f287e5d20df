"""The sections of the Django admin's index, in the order of use. Each admin says where it stands."""

from __future__ import annotations

from enum import Enum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Section(Enum):
    """A heading of the index, with the admins of whichever app under it."""

    RECORDS = _("Operation Records"), _("What went through the gateways, everybody's.")
    PEOPLE = _("People"), _("Who the records belong to, who signs in, and by which rights.")
    GATEWAYS = _("Gateways"), _("What sends records in, and what each of its names means here.")
    PRICES = _("Prices"), _("What a call costs where its gateway does not say.")
    PRIVACY = _("Privacy"), _("What is kept of input and output, for how long, and who looked at what.")
    PROVIDERS = _("Task providers"), _("Who does the work of async tasks, and how its status is asked for.")
    SYSTEM = _("System"), _("How this installation runs.")

    @property
    def title(self) -> Promise:
        return self.value[0]

    @property
    def about(self) -> Promise:
        """What stands under the heading, in a sentence."""
        return self.value[1]
