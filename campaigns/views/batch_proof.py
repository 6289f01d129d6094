"""The proof of copy: a page for people, and signed manifests to take away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from campaigns.permissions import Verb, may
from campaigns.selectors import batch_proof as selector
from campaigns.services import proofs
from campaigns.views.access import account_for, batch_for, reader, require
from migrator.errors import MigratorError


@require_safe
def batch_proof(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show the balance of a batch in plain words, and how to check it oneself."""
    batch = batch_for(request, batch_id, Verb.READ)
    context = {
        "nav": "campaigns",
        "batch": batch,
        "campaign": batch.campaign,
        "proof": selector.view(batch),
        "can_take": may(request.user, Verb.EXPORT, batch.campaign),
    }
    return render(request, "batch/proof.html", context)


@require_POST
def batch_manifest(request: HttpRequest, batch_id: int) -> HttpResponseBase:
    """Hand out the signed manifest of a batch."""
    batch = batch_for(request, batch_id, Verb.EXPORT)
    with_records = request.POST.get("records") == "1"
    try:
        lines = proofs.take_batch(batch, with_records=with_records, actor=reader(request))
    except MigratorError as error:
        messages.error(request, gettext(error.sentence))
        return redirect("batch_proof", batch_id=batch.pk)
    return _attachment(lines, f"proof-batch-{batch.pk}{'-records' if with_records else ''}.jsonl")


@require_POST
def account_manifest(request: HttpRequest, account_id: int) -> HttpResponseBase:
    """Hand out the signed manifest of one account, with every message."""
    account = account_for(request, account_id, Verb.EXPORT)
    try:
        lines = proofs.take_account(account, actor=reader(request))
    except MigratorError as error:
        messages.error(request, gettext(error.sentence))
        return redirect("account", account_id=account.pk)
    return _attachment(lines, f"proof-account-{account.pk}.jsonl")


@require_safe
def proof_key(request: HttpRequest) -> HttpResponse:
    """Hand out the public key that checks all manifests of this installation."""
    require(request, Verb.READ)
    key = selector.key()
    if key is None:
        raise Http404
    response = HttpResponse(key.pem, content_type="application/x-pem-file")
    response["Content-Disposition"] = 'attachment; filename="mailferry-proof-key.pem"'
    return response


def _attachment(lines: Iterator[bytes], name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines, content_type="application/jsonl; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>/proof", batch_proof, name="batch_proof"),
    path("batches/<int:batch_id>/proof/manifest", batch_manifest, name="batch_manifest"),
    path("accounts/<int:account_id>/proof", account_manifest, name="account_manifest"),
    path("proof-key.pem", proof_key, name="proof_key"),
]
