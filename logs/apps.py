from django.apps import AppConfig


class LogsConfig(AppConfig):
    name = "logs"

    def ready(self) -> None:
        from logs import repricing  # noqa: F401  (listens for new prices)
        from logs.ledger import UsageLedger
        from routescope import ledger

        ledger.register(UsageLedger())
