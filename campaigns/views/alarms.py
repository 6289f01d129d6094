"""Alarms: what is open, and the ways by which they leave."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.alarms import FORMS, ChannelForm, CodeForm, initial
from campaigns.models import Alarm, AlarmChannel, User
from campaigns.permissions import Verb
from campaigns.selectors import alarms as selector
from campaigns.selectors import words
from campaigns.services import alarm_channels
from campaigns.services import alarms as service
from campaigns.services.refusals import Refused
from campaigns.views.access import require
from campaigns.views.servers import add_refusal
from migrator.secret import Secret

READERS: Final = (Verb.RUN, Verb.CUT_OVER, Verb.MANAGE_SERVERS)


@require_safe
def alarms(request: HttpRequest) -> HttpResponse:
    """Show open alarms, and every way out."""
    require(request, *READERS)
    return render(request, "alarms/list.html", {"nav": "alarms", "page": selector.page()})


@require_http_methods(["GET", "HEAD", "POST"])
def alarm(request: HttpRequest, alarm_id: int) -> HttpResponse:
    """Show one alarm, where the link in its message leads; say that it was seen."""
    user = require(request, *READERS)
    row = _alarm(alarm_id)
    form = CodeForm(request.POST or None) if row.kind == service.TEST else None
    if request.method == "POST" and (form is None or form.is_valid()):
        try:
            _acknowledge(row, form, user)
            messages.success(request, _thanks(row))
            return redirect("alarms")
        except Refused as refused:
            if form is None:
                messages.error(request, words.refusal(refused.code))
                return redirect("alarms")
            add_refusal(form, refused)
    context = {"nav": "alarms", "alarm": row, "form": form, "kind": str(service.KINDS.get(row.kind, row.kind))}
    return render(request, "alarms/alarm.html", context, status=422 if form is not None and form.errors else 200)


def _acknowledge(row: Alarm, form: CodeForm | None, user: User) -> None:
    if form is None:
        service.acknowledge(row.pk, actor=user)
    else:
        service.acknowledge_test(row.pk, form.cleaned_data["code"], actor=user)


def _thanks(row: Alarm) -> str:
    if row.kind == service.TEST:
        return gettext("The test arrived: alarms sent this way are read.")
    return gettext("Noted. It is sent no more, unless more people are kept waiting.")


# Ways out


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("secret")
def channel_new(request: HttpRequest) -> HttpResponse:
    """Choose a kind of way out (``?kind=``), then set it up."""
    user = require(request, Verb.MANAGE_SERVERS)
    kind = request.GET.get("kind", "")
    if kind not in FORMS:
        kinds = [(one, selector.KIND_WORDS[one], selector.KINDS_EXPLAINED[one]) for one in map(_kind, FORMS)]
        return render(request, "alarms/kinds.html", {"nav": "alarms", "kinds": kinds})
    form = FORMS[kind](request.POST or None)
    saved = _save(request, form, None, kind, user)
    if saved is not None:
        return redirect("alarms")
    page = {"nav": "alarms", "form": form, "name": selector.KIND_WORDS[_kind(kind)], "channel": None}
    return render(request, "alarms/channel.html", page, status=422 if form.errors else 200)


def _kind(kind: str) -> AlarmChannel.Kind:
    return AlarmChannel.Kind(kind)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("secret")
def channel(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Show one way out, and change it."""
    user = require(request, Verb.MANAGE_SERVERS)
    row = _channel(channel_id)
    form = FORMS[row.kind](request.POST or None, initial=initial(row), has_secret=row.secret is not None)
    if _save(request, form, row, row.kind, user) is not None:
        return redirect("alarms")
    shown = selector.channel_row(_channel(channel_id), timezone.now())
    page = {"nav": "alarms", "form": form, "name": row.name, "channel": row, "row": shown}
    return render(request, "alarms/channel.html", page, status=422 if form.errors else 200)


def _save(
    request: HttpRequest, form: ChannelForm, row: AlarmChannel | None, kind: str, user: User
) -> AlarmChannel | None:
    if not form.is_valid():
        return None
    cleaned = form.cleaned_data
    try:
        saved = alarm_channels.save(
            row,
            kind=kind,
            name=cleaned["name"],
            options=form.channel_options,
            secret=Secret(cleaned["secret"]) if cleaned.get("secret") else None,
            is_on=cleaned["is_on"],
            actor=user,
        )
    except Refused as refused:
        add_refusal(form, refused)
        return None
    messages.success(request, gettext("%(name)s is saved. Send a test by it.") % {"name": saved.channel.name})
    if saved.allowed:
        told = gettext("Allowed addresses now include %(hosts)s.")
        messages.success(request, told % {"hosts": ", ".join(saved.allowed)})
    return saved.channel


@require_POST
def channel_test(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Send a test alarm."""
    user = require(request, *READERS)
    sent = service.test(_channel(channel_id), actor=user)
    return redirect("alarm", alarm_id=sent.pk)


@require_POST
def channel_remove(request: HttpRequest, channel_id: int) -> HttpResponse:
    """Take a way out away."""
    user = require(request, Verb.MANAGE_SERVERS)
    row = _channel(channel_id)
    alarm_channels.remove(row, actor=user)
    messages.success(request, gettext("%(name)s is gone. Alarms leave by the other ways.") % {"name": row.name})
    return redirect("alarms")


def _channel(channel_id: int) -> AlarmChannel:
    for row in AlarmChannel.objects.filter(pk=channel_id):
        return row
    raise Http404


def _alarm(alarm_id: int) -> Alarm:
    for row in Alarm.objects.filter(pk=alarm_id).select_related("batch__campaign", "channel"):
        return row
    raise Http404


urlpatterns: Final[list[URLPattern]] = [
    path("alarms", alarms, name="alarms"),
    path("alarms/<int:alarm_id>", alarm, name="alarm"),
    path("alarms/ways/new", channel_new, name="channel_new"),
    path("alarms/ways/<int:channel_id>", channel, name="channel"),
    path("alarms/ways/<int:channel_id>/test", channel_test, name="channel_test"),
    path("alarms/ways/<int:channel_id>/remove", channel_remove, name="channel_remove"),
]
