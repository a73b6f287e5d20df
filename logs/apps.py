from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs"

    def ready(self) -> None:
        from logs.ledger import UsageLedger
        from routescope import ledger

        ledger.register(UsageLedger())
