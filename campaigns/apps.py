"""How Django finds the panel."""

from __future__ import annotations

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    """The panel is one app: one set of tables, one history of migrations."""

    name = "campaigns"
    verbose_name = "Mailferry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Django must be whole before the queue's app looks at its settings, and a task defined anywhere needs that app.
        import campaigns.celery  # noqa: F401
