"""The door for web servers: gunicorn calls ``application``."""

from __future__ import annotations

import os
from typing import Final

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "campaigns.settings")
# A thread of the web server keeps its connection: to open one costs more than most of what is asked of it.
settings.DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
application = get_wsgi_application()

from campaigns.processes import stand_back  # noqa: E402
from campaigns.views.warm import warm_up  # noqa: E402  # only now can models be imported

NICENESS: Final = 5  # mail goes before pages: a third of what a worker gets, while both want the processor

warm_up()
stand_back(NICENESS, leader=os.getppid())  # only now: a start is waited for
