from django.apps import AppConfig
from django.contrib.admin import apps as admin


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "routescope.admin.site.Site"


class RoutescopeConfig(AppConfig):
    name = "routescope"

    def ready(self) -> None:
        """Register what Django is given: by being imported, as a check, for a signal."""
        from django.core import checks
        from django.db.backends.signals import connection_created
        from django.utils.translation import gettext_lazy as _

        from routescope.admin import jobs  # noqa: F401
        from routescope.config import links, mail
        from routescope.contracts import navigation
        from routescope.contracts.navigation import Entry
        from routescope.data import (
            lookups,  # noqa: F401
            version,
        )

        checks.register(version.check, checks.Tags.database)
        checks.register(mail.check, checks.Tags.security, deploy=True)
        checks.register(links.check)
        records = Entry(_("Operation Records"), "records", "records", 10, ("/records/",), shows_others=True)
        navigation.register(records)
        connection_created.connect(_reached, dispatch_uid="outages")


def _reached(**kwargs: object) -> None:
    from routescope.data import outages

    outages.database.over()
