from django.apps import AppConfig


class RoutescopeConfig(AppConfig):
    name = "routescope"

    def ready(self) -> None:
        """Register what the ORM is given by being imported."""
        from routescope import lookups  # noqa: F401
