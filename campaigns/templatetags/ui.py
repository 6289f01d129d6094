"""What all pages share: a state, a bar, an icon, numbers and times. A built-in of every template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext

from campaigns.selectors import words
from campaigns.states import AccountState, Family

register: Final = template.Library()

# A family that is there at all is seen, however few it holds.
_NARROWEST_PERCENT: Final = 0.7
_GAP_PERCENT: Final = 0.18


def _use(name: str) -> str:
    return f"{static('img/glyphs.svg')}#{name}"


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite. It says nothing: words stand beside it, or in the label of its button."""
    return format_html('<svg class="mf-icon" aria-hidden="true"><use href="{}"/></svg>', _use(f"i-{name}"))


@register.filter
def in_pairs(fingerprint: str) -> SafeString:
    """A fingerprint that breaks between its pairs, where a line is too short for it."""
    return format_html_join(mark_safe(":<wbr>"), "{}", ((pair,) for pair in fingerprint.split(":")))


@register.simple_tag
def glyph(state: str) -> SafeString:
    """The glyph of a state, in the colour of its family."""
    code = AccountState(state)
    family = words.family_of(code)
    return _glyph(family, words.GLYPHS[code])


@register.simple_tag
def family_glyph(family: str) -> SafeString:
    """The glyph of a family, in its colour."""
    return _glyph(Family(family), words.FAMILY_GLYPHS[Family(family)])


def _glyph(family: Family, name: str) -> SafeString:
    markup = '<svg class="mf-glyph is-{}" aria-hidden="true"><use href="{}"/></svg>'
    return format_html(markup, family, _use(f"s-{name}"))


@register.simple_tag
def state(code: str) -> SafeString:
    """Glyph and word of a state."""
    return format_html('<span class="mf-state">{}{}</span>', glyph(code), words.state(code))


@register.simple_tag
def progress(done: int, total: int, family: str = "", label: str = "") -> SafeString:
    """A native progress bar; without a total it is indeterminate."""
    label = label or gettext("Messages copied")
    if not total:
        return format_html('<progress class="is-{}" aria-label="{}"></progress>', family or "working", label)
    markup = '<progress class="is-{}" max="{}" value="{}" aria-label="{}">{}</progress>'
    return format_html(markup, family or "working", total, min(done, total), label, min(done, total))


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a bar, and its entry in the legend."""

    family: Family
    accounts: int
    x: str
    width: str
    words: str
    url: str


@register.inclusion_tag("parts/_bar.html")
def bar(families: Mapping[Family, int], key: str, title: str, url: str = "", small: bool = False) -> dict[str, Any]:
    """A bar of accounts by family with its legend. ``url`` and ``?state=FAMILY`` is where its parts lead, if given.

    ``key``: something unique on the page. ``small``: without legend, for tables.
    """
    segments = segments_of(families, url)
    told = "; ".join(f"{count(one.accounts)} {one.words}" for one in segments)
    return {"segments": segments, "key": key, "title": title, "told": told, "small": small, "has_links": bool(url)}


def segments_of(families: Mapping[Family, int], url: str = "") -> list[Segment]:
    """Return the parts of a bar from left to right, in percent: each wide enough to be seen, all together 100."""
    there = [(family, families.get(family, 0)) for family in words.FAMILY_ORDER if families.get(family, 0) > 0]
    total = sum(accounts for _, accounts in there)
    room = 100 - _GAP_PERCENT * max(0, len(there) - 1)
    wanted = [max(accounts / total * room, _NARROWEST_PERCENT) for _, accounts in there]
    shrink = (room - _NARROWEST_PERCENT * len(there)) / max(sum(wanted) - _NARROWEST_PERCENT * len(there), 1e-9)
    widths = [_NARROWEST_PERCENT + (width - _NARROWEST_PERCENT) * shrink for width in wanted]
    segments, x = [], 0.0
    for (family, accounts), width in zip(there, widths, strict=True):
        place = {"x": f"{x:.2f}%", "width": f"{width:.2f}%"}
        text = words.family_counted(family, accounts)
        segments.append(Segment(family, accounts, words=text, url=f"{url}?state={family}" if url else "", **place))
        x += width + _GAP_PERCENT
    return segments


@register.filter
def count(number: float | None) -> str:
    """A whole number with its thousands apart."""
    return "" if number is None else f"{int(number):,}"


@register.filter
def size(octets: float | None) -> str:
    """Octets as people read them: 210 MB, 3.8 GB."""
    if octets is None:
        return ""
    value, unit = float(octets), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    digits = 1 if unit in ("GB", "TB") and value < 99.95 else 0
    return f"{value:,.{digits}f} {unit}"


@register.filter
def duration(seconds: float | timedelta | None) -> str:
    """How long, in its two largest units: 9 s, 1 min 52 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return ""
    total = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    rest, parts = total, list[str]()
    for unit, length in ((gettext("d"), 86400), (gettext("h"), 3600), (gettext("min"), 60), (gettext("s"), 1)):
        if (amount := rest // length) or parts:
            parts.append(f"{amount} {unit}" if amount else "")
        rest %= length
    return " ".join(part for part in parts[:2] if part) or gettext("0 s")


@register.filter
def roughly(seconds: float | None) -> str:
    """How long about: 40 s, 25 min, 2 h, 3 d. For what is foreseen and not known."""
    if seconds is None:
        return ""
    for length, unit in ((86400, gettext("d")), (3600, gettext("h")), (60, gettext("min"))):
        if seconds >= 1.5 * length:
            return f"{round(seconds / length)}\N{NO-BREAK SPACE}{unit}"
    return f"{max(1, round(seconds))}\N{NO-BREAK SPACE}{gettext('s')}"


@register.filter
def ago(at: datetime | None) -> str:
    """How long ago, roughly; days as a date. Seconds in tens: a table that tells each would change all the time."""
    if at is None:
        return ""
    seconds = (timezone.now() - at).total_seconds()
    if seconds < 0:
        return date_format(timezone.localtime(at), "M j, H:i")
    if seconds < 10:
        return gettext("now")
    if seconds < 60:
        return gettext("%(n)d s ago") % {"n": seconds // 10 * 10}
    if seconds < 3600:
        return gettext("%(n)d min ago") % {"n": seconds // 60}
    if seconds < 86400:
        hours = int(seconds // 3600)
        return ngettext("%(n)d h ago", "%(n)d h ago", hours) % {"n": hours}
    return date_format(timezone.localtime(at), "M j")


@register.simple_tag
def step_words(kind: str) -> str:
    """The word for a step of the move; empty where none is under way."""
    return words.step(kind) if kind else ""


@register.simple_tag
def when(at: datetime | None) -> SafeString | str:
    """A time as tables show it: how long ago, the moment itself in its title."""
    return _time(at, ago(at)) if at else ""


@register.simple_tag
def moment(at: datetime | None) -> SafeString | str:
    """A time as it is: with its day, unless that is today, and its zone."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    is_today = local.date() == timezone.localdate()
    return _time(at, date_format(local, "H:i:s T" if is_today else "M j, Y, H:i T"))


@register.simple_tag
def plan_time(at: datetime | None) -> SafeString | str:
    """A time that is planned: day and minute, its zone in its title."""
    if at is None:
        return "…"
    return _time(at, date_format(timezone.localtime(at), "M j, H:i"))


@register.simple_tag
def to_the_minute(at: datetime | None) -> SafeString | str:
    """A time within a sentence: its hour and minute, before them its day unless that is today."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    return _time(at, date_format(local, "H:i" if local.date() == timezone.localdate() else "M j, H:i"))


@register.simple_tag
def short_moment(at: datetime | None) -> SafeString | str:
    """A time in a narrow column: of today its hour, else its day. The moment itself is in its title."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    return _time(at, date_format(local, "H:i:s" if local.date() == timezone.localdate() else "M j"))


def _time(at: datetime, text: str) -> SafeString:
    local = timezone.localtime(at)
    title = date_format(local, "l, F j, Y, H:i:s T")
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(timespec="seconds"), title, text)
