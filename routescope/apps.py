from django.apps import AppConfig


class RoutescopeConfig(AppConfig):
    name = "routescope"

    def ready(self) -> None:
        """Register what the ORM is given by being imported."""
        from django.db.backends.signals import connection_created

        from routescope import lookups, outages  # noqa: F401

        connection_created.connect(_reached, dispatch_uid="outages")


def _reached(**kwargs: object) -> None:
    from routescope import outages

    outages.database.over()
