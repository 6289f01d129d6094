"""What the first reader after a start would otherwise wait for: importing every page and compiling its templates."""

from __future__ import annotations

import logging

from django.conf import settings
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.urls import get_resolver

log = logging.getLogger(__name__)


def warm_up() -> int:
    """Import all pages and compile all our templates; return how many. One that is broken is told and left alone."""
    assert get_resolver().url_patterns
    compiled = 0
    folder = settings.BASE_DIR / "templates"
    for file in sorted(folder.rglob("*.html")):
        try:
            get_template(str(file.relative_to(folder)))
            compiled += 1
        except (TemplateDoesNotExist, TemplateSyntaxError):
            log.exception("a page cannot be compiled")
    return compiled
