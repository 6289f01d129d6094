"""Set-up: directories, routes and session lists."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from campaigns.forms import connector_variants
from campaigns.forms.connectors import ConnectorForm, initial
from campaigns.forms.servers import ConnectorTrialForm
from campaigns.models import Connector, User
from campaigns.permissions import Verb, may
from campaigns.selectors import servers as selector
from campaigns.services import connectors as service
from campaigns.services import trials
from campaigns.services.connectors import BadOptions
from campaigns.services.refusals import Refused
from campaigns.views.access import require
from campaigns.views.servers import READERS, add_refusal, tell_trial
from migrator.secret import Secret


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("secret")
def connector_new(request: HttpRequest) -> HttpResponse:
    """Choose what to set up (``?kind=``), then set it up."""
    user = require(request, Verb.MANAGE_SERVERS)
    chosen = connector_variants.variant(request.GET.get("kind", ""))
    if chosen is None:
        return render(request, "servers/kinds.html", {"nav": "servers", "variants": connector_variants.VARIANTS})
    form = ConnectorForm(chosen, request.POST or None)
    saved = _save(form, None, user)
    if saved is not None:
        _tell_saved(request, saved)
        return redirect(f"{reverse('connector', args=[saved.connector.pk])}#test")
    page = {"nav": "servers", "form": form, "variant": chosen}
    return render(request, "servers/connector_new.html", page, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("secret")
def connector(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Show one connection; change it, for those who may."""
    user = require(request, Verb.MANAGE_SERVERS, *(READERS if request.method != "POST" else ()))
    row = _find(connector_id)
    form = _form(row, request)
    saved = _save(form, row, user) if form else None
    if saved is not None:
        _tell_saved(request, saved)
        return redirect("connector", connector_id=row.pk)
    return _page(request, _find(connector_id), form)


@require_POST
def connector_test(request: HttpRequest, connector_id: int) -> HttpResponse:
    """Try the connection, and show what was found."""
    user = require(request, Verb.PLAN, Verb.MANAGE_SERVERS)
    row = _find(connector_id)
    trial = ConnectorTrialForm(request.POST)
    if not trial.is_valid():
        return _page(request, row, _form(row), trial)
    tell_trial(request, trials.try_connector(row, trial.cleaned_data["login"], actor=user))
    return redirect(f"{reverse('connector', args=[row.pk])}#test")


def _form(row: Connector, request: HttpRequest | None = None) -> ConnectorForm | None:
    """Return the form of a stored connector; None for a kind that pages do not know."""
    chosen = connector_variants.variant_of(row.room, row.kind, row.options)
    if chosen is None:
        return None
    data = request.POST or None if request else None
    shown = initial(chosen, row.name, row.options)
    return ConnectorForm(chosen, data, initial=shown, has_secret=row.secret is not None)


def _save(form: ConnectorForm, row: Connector | None, user: User) -> service.Saved | None:
    if not form.is_valid():
        return None
    secret = form.cleaned_data.get("secret")
    try:
        return service.save(
            row,
            room=form.variant.room,
            kind=form.variant.kind,
            name=form.cleaned_data["name"],
            options=form.connector_options,
            secret=Secret(secret) if secret else None,
            actor=user,
        )
    except Refused as refused:
        add_refusal(form, refused)
    except BadOptions as error:
        form.add_error(error.option if error.option in form.fields else None, error.sentence)
    return None


def _tell_saved(request: HttpRequest, saved: service.Saved) -> None:
    messages.success(request, gettext("%(name)s is saved.") % {"name": saved.connector.name})
    if saved.allowed:
        hosts = ", ".join(saved.allowed)
        messages.success(request, gettext("Allowed addresses now include %(hosts)s.") % {"hosts": hosts})


def _page(
    request: HttpRequest, row: Connector, form: ConnectorForm | None, trial: ConnectorTrialForm | None = None
) -> HttpResponse:
    page = {
        "nav": "servers",
        "connector": selector.connector(row),
        "form": form,
        "trial": trial or ConnectorTrialForm(),
        "may_edit": may(request.user, Verb.MANAGE_SERVERS) and form is not None,
        "may_test": may(request.user, Verb.MANAGE_SERVERS) or may(request.user, Verb.PLAN),
    }
    is_wrong = bool((form and form.errors) or (trial and trial.errors))
    return render(request, "servers/connector.html", page, status=422 if is_wrong else 200)


def _find(connector_id: int) -> Connector:
    for row in Connector.objects.filter(pk=connector_id):
        return row
    raise Http404


urlpatterns: Final[list[URLPattern]] = [
    path("connectors/new", connector_new, name="connector_new"),
    path("connectors/<int:connector_id>", connector, name="connector"),
    path("connectors/<int:connector_id>/test", connector_test, name="connector_test"),
]
