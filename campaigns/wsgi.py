"""The door for web servers: gunicorn calls ``application``."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "campaigns.settings")
# A thread of the web server keeps its connection: to open one costs more than most of what is asked of it.
settings.DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
application = get_wsgi_application()

from campaigns.views.warm import warm_up  # noqa: E402  # only now can models be imported

warm_up()
