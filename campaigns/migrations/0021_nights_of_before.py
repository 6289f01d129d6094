from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import OuterRef, Subquery


def fill_in(apps: Any, schema_editor: Any) -> None:  # noqa: ARG001
    """Note for nights that began before this was noted the method that their campaign has now: as it was taken then."""
    campaigns = apps.get_model("campaigns", "Campaign").objects.filter(pk=OuterRef("campaign_id"))
    nights = apps.get_model("campaigns", "Account").objects.filter(cutover__gt=0, night_recipe="")
    nights.update(
        night_recipe=Subquery(campaigns.values("recipe")[:1]), night_steps=Subquery(campaigns.values("steps")[:1])
    )


class Migration(migrations.Migration):
    """Whoever moved before an upgrade is taken back by the steps of their campaign then, whatever it has later."""

    dependencies = [("campaigns", "0020_old_queue")]

    operations = [migrations.RunPython(fill_in, migrations.RunPython.noop)]
