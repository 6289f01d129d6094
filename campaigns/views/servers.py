"""Set-up: the list of servers and connections, the page of a server, and the addresses that are allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns import tasks
from campaigns.bridge import places
from campaigns.forms.servers import AddressForm, RoomForm, ServerForm, ServerTrialForm, ToOneselfForm
from campaigns.models import AllowedAddress, Server, User
from campaigns.permissions import Verb, may
from campaigns.selectors import kinds, plans
from campaigns.selectors import servers as selector
from campaigns.selectors import trials as trial_selector
from campaigns.services import addresses as address_service
from campaigns.services import breakers, certificates, to_oneself, trials
from campaigns.services import servers as service
from campaigns.services.refusals import Refused
from campaigns.views.access import require
from migrator.preflight.ports import Service
from migrator.preflight.probe import Finding, Outcome
from migrator.secret import Secret

READERS: Final = (Verb.READ, Verb.PLAN, Verb.MANAGE_SERVERS)


@require_safe
def servers(request: HttpRequest) -> HttpResponse:
    """List servers and connections."""
    require(request, *READERS)
    rows, connectors = selector.servers(), selector.connectors()
    page = {"nav": "servers", "servers": rows, "connectors": connectors}
    page["standing"] = selector.standing([*rows, *connectors])
    return render(request, "servers/list.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("admin_secret")
def server_new(request: HttpRequest) -> HttpResponse:
    """Set up a server; ``?kind=`` says which kind."""
    user = require(request, Verb.MANAGE_SERVERS)
    offered = {kind.key: kind for kind in kinds.offered()}
    kind = offered.get(request.GET.get("kind", ""), kinds.KINDS[places.IMAP])
    form = ServerForm(request.POST or None, kind=kind.key)
    saved = _save(form, None, user)
    if saved is not None:
        _tell_saved(request, saved.server.name, saved.allowed)
        return redirect(f"{reverse('server', args=[saved.server.pk])}#test")
    page = {"nav": "servers", "form": form, "kind": kind, "kinds": list(offered.values())}
    return render(request, "servers/new.html", page, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("admin_secret")
def server(request: HttpRequest, server_id: int) -> HttpResponse:
    """Show one server; change it, for those who may."""
    user = require(request, Verb.MANAGE_SERVERS, *(READERS if request.method != "POST" else ()))
    row = _find(server_id)
    shown = {name: getattr(row, name) for name in service.COLUMNS}
    form = ServerForm(request.POST or None, kind=row.kind, initial=shown, has_secret=row.admin_secret is not None)
    saved = _save(form, row, user)
    if saved is not None:
        _tell_saved(request, saved.server.name, saved.allowed)
        return redirect("server", server_id=row.pk)
    return _page(request, _find(server_id), form=form)


@require_POST
@sensitive_post_parameters("password")
def server_test(request: HttpRequest, server_id: int) -> HttpResponse:
    """Try the server, and show what was found."""
    user = require(request, Verb.PLAN, Verb.MANAGE_SERVERS)
    row = _find(server_id)
    trial = ServerTrialForm(request.POST, server=row)
    if not trial.is_valid():
        return _page(request, row, trial=trial)
    password = trial.cleaned_data.get("password")
    found = trials.try_server(row, trial.cleaned_data["login"], Secret(password) if password else None, actor=user)
    tell_trial(request, found)
    return redirect(f"{reverse('server', args=[row.pk])}#test")


@require_POST
@sensitive_post_parameters("own-password")
def server_to_oneself(request: HttpRequest, server_id: int) -> HttpResponse:
    """Have an account send a message to itself, and show how that went."""
    user = require(request, Verb.MANAGE_SERVERS)
    row = _find(server_id)
    form = ToOneselfForm(request.POST)
    if form.is_valid():
        try:
            tell_trial(request, to_oneself.try_server(row, _wish(form), actor=user))
        except Refused as refused:
            add_refusal(form, refused)
        else:
            return redirect(f"{reverse('server', args=[row.pk])}#to-oneself")
    return _page(request, row, message=form)


def _wish(form: ToOneselfForm) -> to_oneself.Wish:
    given = form.cleaned_data
    login = given["login"].strip()
    return to_oneself.Wish(
        login=login,
        password=Secret(given["password"]),
        address=given["address"].strip() or login,
        service=Service(given["service"]),
        place=given["place"],
        is_agreed=given["is_agreed"],
    )


@require_POST
def server_room(request: HttpRequest, server_id: int) -> HttpResponse:
    """Note what somebody saw of a server's disks, which no server tells."""
    user = require(request, Verb.MANAGE_SERVERS)
    row = _find(server_id)
    form = RoomForm(request.POST)
    if form.is_valid():
        try:
            to_oneself.note_room(row, form.cleaned_data["words"], actor=user)
        except Refused as refused:
            add_refusal(form, refused)
        else:
            messages.success(request, gettext("Noted."))
            return redirect(f"{reverse('server', args=[row.pk])}#room")
    return _page(request, row, room=form)


@require_POST
def certificate_accept(request: HttpRequest, server_id: int) -> HttpResponse:
    """Accept exactly the certificate that the last test showed."""
    user = require(request, Verb.MANAGE_SERVERS)
    row = _find(server_id)
    try:
        certificates.accept(row, request.POST.get("fingerprint", ""), actor=user)
    except Refused as refused:
        messages.error(request, gettext(refused.sentence))
    else:
        messages.success(request, gettext("Exactly this certificate is accepted now. Test the connection again."))
    return redirect(f"{reverse('server', args=[row.pk])}#test")


@require_POST
def certificate_drop(request: HttpRequest, server_id: int) -> HttpResponse:
    """Accept it no more."""
    user = require(request, Verb.MANAGE_SERVERS)
    row = _find(server_id)
    certificates.drop(row, actor=user)
    messages.success(request, gettext("That certificate is accepted no more."))
    return redirect("server", server_id=row.pk)


@require_POST
def server_again(request: HttpRequest, server_id: int) -> HttpResponse:
    """Send accounts to a server again that is left in peace."""
    user = require(request, Verb.RUN, Verb.MANAGE_SERVERS)
    breakers.close(_find(server_id).pk, actor=user)
    tasks.wake_after_commit()
    messages.success(request, gettext("Accounts are sent to this server again."))
    return redirect("server", server_id=server_id)


@require_http_methods(["GET", "HEAD", "POST"])
def addresses(request: HttpRequest) -> HttpResponse:
    """List the addresses that are allowed, and add one."""
    user = require(request, Verb.MANAGE_SERVERS, *(READERS if request.method != "POST" else ()))
    form = AddressForm(request.POST or None)
    if form.is_valid():
        try:
            row = address_service.allow(form.cleaned_data["host"], actor=user)
        except Refused as refused:
            form.add_error("host", gettext(refused.sentence))
        else:
            messages.success(request, gettext("%(host)s is allowed now.") % {"host": row.host})
            return redirect("addresses")
    page = {"nav": "servers", "form": form, "addresses": selector.addresses()}
    return render(request, "servers/addresses.html", page, status=422 if form.errors else 200)


@require_POST
def address_remove(request: HttpRequest, address_id: int) -> HttpResponse:
    """Take an address out."""
    user = require(request, Verb.MANAGE_SERVERS)
    try:
        host = address_service.remove(address_id, actor=user)
    except AllowedAddress.DoesNotExist:
        raise Http404 from None
    except Refused as refused:
        messages.error(request, gettext(refused.sentence))
    else:
        messages.success(request, gettext("%(host)s is not allowed any more.") % {"host": host})
    return redirect("addresses")


def tell_trial(request: HttpRequest, found: Iterable[Finding]) -> None:
    """Say in one line how a test went."""
    bad = sum(finding.outcome is Outcome.BAD for finding in found)
    if bad:
        sentence = ngettext("The test found one thing wrong.", "The test found %(n)d things wrong.", bad)
        messages.error(request, sentence % {"n": bad})
    else:
        messages.success(request, gettext("The test found nothing wrong."))


def add_refusal(form: Any, refused: Refused) -> None:
    """Put a refusal beside the field that it is about."""
    form.add_error(refused.field if refused.field in form.fields else None, gettext(refused.sentence))


def _save(form: ServerForm, row: Server | None, user: User) -> service.Saved | None:
    """Save what is in the form; None when there is nothing in it, or something wrong, which is in the form then."""
    if not form.is_valid():
        return None
    secret = form.cleaned_data.get("admin_secret")
    try:
        return service.save(row, form.values(), Secret(secret) if secret else None, actor=user)
    except Refused as refused:
        add_refusal(form, refused)
        return None


def _tell_saved(request: HttpRequest, name: str, allowed: list[str]) -> None:
    messages.success(request, gettext("%(name)s is saved.") % {"name": name})
    if allowed:
        messages.success(request, gettext("Allowed addresses now include %(hosts)s.") % {"hosts": ", ".join(allowed)})


def _page(
    request: HttpRequest,
    row: Server,
    *,
    form: ServerForm | None = None,
    trial: ServerTrialForm | None = None,
    message: ToOneselfForm | None = None,
    room: RoomForm | None = None,
) -> HttpResponse:
    shown = {name: getattr(row, name) for name in service.COLUMNS}
    form = form or ServerForm(kind=row.kind, initial=shown, has_secret=row.admin_secret is not None)
    trial = trial or ServerTrialForm(server=row)
    page = {
        "nav": "servers",
        "server": selector.server(row),
        "kind": kinds.KINDS[row.kind],
        "form": form,
        "trial": trial,
        "message": message or ToOneselfForm(),
        "sent": trial_selector.last_message(row.pk),
        "can_send": row.kind == places.IMAP,
        "room": room or RoomForm(),
        "room_seen": trial_selector.last_room(row.pk),
        "showed": certificates.shown(row) is not None,
        "may_edit": may(request.user, Verb.MANAGE_SERVERS),
        "may_test": may(request.user, Verb.MANAGE_SERVERS) or may(request.user, Verb.PLAN),
        "ground": plans.ground(),
        "may_wake": may(request.user, Verb.MANAGE_SERVERS) or may(request.user, Verb.RUN),
    }
    wrong = any(one is not None and one.errors for one in (form, trial, message, room))
    return render(request, "servers/server.html", page, status=422 if wrong else 200)


def _find(server_id: int) -> Server:
    for row in Server.objects.filter(pk=server_id):
        return row
    raise Http404


urlpatterns: Final[list[URLPattern]] = [
    path("servers", servers, name="servers"),
    path("servers/new", server_new, name="server_new"),
    path("servers/addresses", addresses, name="addresses"),
    path("servers/addresses/<int:address_id>/remove", address_remove, name="address_remove"),
    path("servers/<int:server_id>", server, name="server"),
    path("servers/<int:server_id>/test", server_test, name="server_test"),
    path("servers/<int:server_id>/to-oneself", server_to_oneself, name="server_to_oneself"),
    path("servers/<int:server_id>/room", server_room, name="server_room"),
    path("servers/<int:server_id>/certificate", certificate_accept, name="certificate_accept"),
    path("servers/<int:server_id>/certificate/drop", certificate_drop, name="certificate_drop"),
    path("servers/<int:server_id>/again", server_again, name="server_again"),
]
