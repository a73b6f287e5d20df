from django.apps import AppConfig


class RoutescopeConfig(AppConfig):
    name = "routescope"

    def ready(self) -> None:
        """Register what the ORM and the admin are given by being imported."""
        from routescope import lookups  # noqa: F401
        from routescope.run import admin  # noqa: F401
