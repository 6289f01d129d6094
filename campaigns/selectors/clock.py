"""Times as they are said on the telephone."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext


def told_time(at: datetime | None, now: datetime) -> str:
    """Return a time as it is said: today at 21:12, November 12 at 21:12."""
    if at is None:
        return ""
    local, today = timezone.localtime(at), timezone.localtime(now).date()
    day = {0: gettext("today"), -1: gettext("yesterday"), 1: gettext("tomorrow")}.get((local.date() - today).days)
    return gettext("%(day)s at %(time)s") % {"day": day or date_format(local, "F j"), "time": date_format(local, "H:i")}
