"""The panel: the memory, clock and conscience of Mailferry, on Django and Celery. It uses ``migrator``."""
