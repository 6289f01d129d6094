"""One batch: its page, and what may be asked for it and for its accounts."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from campaigns import tasks
from campaigns.models import Batch, User
from campaigns.permissions import Verb
from campaigns.selectors import batch_page, batch_rows, confirming, words
from campaigns.selectors.batch_rows import Filter
from campaigns.selectors.confirming import Choice, Confirmation, Whole
from campaigns.selectors.csv_cells import rows_to_csv
from campaigns.services import acts, batches, stopping, together
from campaigns.services.acts import Act, Carried
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from campaigns.views.access import batch_for, reader, require
from campaigns.views.batch_news import Look


@require_safe
def batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show a batch: the sentence, the next action, problems by cause, accounts."""
    now = timezone.now()  # before anything is read
    found = batch_for(request, batch_id, Verb.READ)
    asked = Filter.of(request.GET.dict())
    page = batch_page.view(found, now)
    table = batch_rows.page(found, asked, page.now)
    look = Look(page, asked, reader(request))
    context = look.context | {
        "nav": "campaigns",
        "table": table,
        "live": page.live_seconds,
        "rows": table.rows,
        "seen": str(look.seen(table.rows)),
        "orders": [(key, str(told)) for key, told in batch_rows.ORDERS.items()],
        "states": _state_choices(),
        "cause_words": _cause_words(asked),
        "sort": {order: asked.query(order=order) for order in batch_rows.ORDERS},
        "numbers": [(number, asked.query(page=number or 1)) for number in table.numbers],
        "before": asked.query(page=table.number - 1) or "?" if table.number > 1 else "",
        "after": asked.query(page=table.number + 1) if table.number < table.pages else "",
        "row_ids": ",".join(str(row.pk) for row in table.rows),
    }
    return render(request, "batch/page.html", context)


def _state_choices() -> list[tuple[str, str]]:
    families = [(family.value, words.family_word(family)) for family in words.FAMILY_ORDER]
    return [*families, (AccountState.EXCLUDED.value, words.state(AccountState.EXCLUDED))]


def _cause_words(asked: Filter) -> str:
    return words.cause(asked.cause, asked.side) if asked.cause else ""


# Acts


@require_POST
def batch_act(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Do what was asked for a batch or for accounts of it, or ask back where users would notice."""
    found = batch_for(request, batch_id, Verb.READ)
    asked = Filter.of(request.POST.dict())
    choice = Choice.of(request.POST.get("act", ""), request.POST.getlist("a"), request.POST.get("all") == "1", asked)
    user = _require_all(request, choice, found)
    back = redirect(f"{reverse('batch', args=[found.pk])}{asked.here}")
    if request.POST.get("back") == "night":
        back = redirect("night", batch_id=found.pk)
    if choice.act is Whole.GO:
        return redirect("night", batch_id=found.pk)  # where it is looked at whether it may
    if choice.act is None:
        messages.error(request, gettext("There is no such action. Nothing was done."))
    elif choice.is_nothing:
        messages.error(request, gettext("Choose at least one account. Nothing was done."))
    elif choice.is_done_at_once:
        _act_on_whole(request, found, Whole(choice.act), user)
    else:
        return _confirmed(request, found, choice, user) or back
    return back


def _require_all(request: HttpRequest, choice: Choice, found: Batch) -> User:
    for verb in choice.verbs:
        require(request, verb, campaign=found.campaign)
    return require(request, *choice.verbs, campaign=found.campaign)


def _confirmed(request: HttpRequest, found: Batch, choice: Choice, user: User) -> HttpResponse | None:
    """Do what is confirmed; else return the page that asks."""
    confirmation = confirming.ask(found, choice)
    if request.POST.get("sure") != "1":
        return redirect(f"{reverse('batch_confirm', args=[found.pk])}?{_as_query(choice)}")
    problem = _problem(request, confirmation)
    if problem:
        return _render_confirmation(request, found, confirmation, problem)
    if isinstance(choice.act, Whole):
        _act_on_whole(request, found, choice.act, user)
    else:
        _act_on_many(request, confirmation, user)
    return None


def _problem(request: HttpRequest, confirmation: Confirmation) -> str:
    """Return what keeps a confirmation from being one."""
    number = f"{confirmation.accounts}"
    typed = request.POST.get("typed", "").strip().replace(",", "")
    if request.POST.get("number") != number:
        return gettext("Meanwhile it is %(n)s accounts. Look again, then confirm.") % {
            "n": f"{confirmation.accounts:,}"
        }
    if confirmation.wants_number and typed != number:
        return gettext("Type %(n)s to confirm. Nothing was done yet.") % {"n": number}
    if confirmation.needs_reason and not request.POST.get("reason", "").strip():
        return gettext("A decision needs its reason. Nothing was done yet.")
    return ""


@require_safe
def batch_confirm(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Name the number, what users notice, and whether it can be undone, before anything is done."""
    found = batch_for(request, batch_id, Verb.READ)
    choice = Choice.of(
        request.GET.get("act", ""),
        request.GET.getlist("a"),
        request.GET.get("all") == "1",
        Filter.of(request.GET.dict()),
    )
    _require_all(request, choice, found)
    if choice.act is Whole.GO:
        return redirect("night", batch_id=found.pk)
    if choice.act is None or choice.is_nothing or choice.is_done_at_once:
        return redirect("batch", batch_id=found.pk)
    return _render_confirmation(request, found, confirming.ask(found, choice), "")


def _render_confirmation(request: HttpRequest, found: Batch, confirmation: Confirmation, problem: str) -> HttpResponse:
    context = {
        "nav": "campaigns",
        "batch": found,
        "campaign": found.campaign,
        "confirmation": confirmation,
        "problem": problem,
        "hidden": _pairs(confirmation.choice),
        "back": f"{reverse('batch', args=[found.pk])}{confirmation.choice.asked.query()}",
        "typed": request.POST.get("typed", ""),
        "reason": request.POST.get("reason", ""),
    }
    return render(request, "batch/confirm.html", context, status=422 if problem else 200)


def _pairs(choice: Choice) -> list[tuple[str, str]]:
    pairs = [("act", str(choice.act)), *choice.asked.pairs().items()]
    pairs += [("all", "1")] if choice.is_everything else [("a", str(one)) for one in choice.account_ids]
    return pairs


def _as_query(choice: Choice) -> str:
    return urlencode(_pairs(choice))


_WHOLE: Final = {
    Whole.START: batches.start,
    Whole.WITHDRAW: batches.withdraw_go,
    Whole.APPROVE: batches.pass_canary,
    Whole.NEXT_STEP: together.next_step,
    Whole.STOP: stopping.stop,
}


def _act_on_whole(request: HttpRequest, found: Batch, act: Whole, user: User) -> None:
    try:
        if act is Whole.PAUSE:
            batches.pause(found, actor=user)
        elif act is Whole.RESUME:
            batches.resume(found, actor=user)
        else:
            _WHOLE[act](found, actor=user)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
        return
    tasks.wake_after_commit()
    messages.success(request, _whole_told(act))


def _whole_told(act: Whole) -> str:
    return {
        Whole.START: gettext("Started. Accounts are checked and copied ahead; users notice nothing."),
        Whole.WITHDRAW: gettext("The go is withdrawn. No more moves begin; those under way are finished."),
        Whole.APPROVE: gettext("The first few are approved. The others follow."),
        Whole.PAUSE: gettext("Paused. Nothing more begins; who is being moved is finished."),
        Whole.RESUME: gettext("The batch goes on."),
        Whole.NEXT_STEP: gettext("The next step begins, for all accounts that are being moved."),
        Whole.STOP: gettext("Stopped. Nothing more begins; who was not switched goes back, the others are finished."),
    }[act]


def _act_on_many(request: HttpRequest, confirmation: Confirmation, user: User) -> None:
    act = Act(str(confirmation.choice.act))
    reason = request.POST.get("reason", "").replace("\0", " ").strip()[:500]
    done = acts.carry_out_many(act, confirmation.account_ids, actor=user, reason=reason)
    tasks.wake_after_commit()
    tell = messages.warning if done.refused else messages.success
    tell(request, _sum(act, done))


def _sum(act: Act, done: Carried) -> str:
    """Return "34 retried; 3 refused: reason"."""
    parts = [confirming.told(act, done.accounts)]
    for code, accounts in done.refused.most_common():
        told = {"n": f"{accounts:,}", "reason": words.refusal(code)}
        parts.append(gettext("%(n)s refused: %(reason)s") % told)
    return "; ".join(parts) + ("" if done.refused else ".")


@require_safe
def batch_csv(request: HttpRequest, batch_id: int) -> StreamingHttpResponse:
    """Return the accounts that the page's filter asks for, as CSV."""
    found = batch_for(request, batch_id, Verb.EXPORT)
    rows = batch_rows.table(found, Filter.of(request.GET.dict()))
    response = StreamingHttpResponse(rows_to_csv(batch_rows.heads(), rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="batch-{found.pk}.csv"'
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>", batch, name="batch"),
    path("batches/<int:batch_id>/act", batch_act, name="batch_act"),
    path("batches/<int:batch_id>/list.csv", batch_csv, name="batch_csv"),
    path("batches/<int:batch_id>/confirm", batch_confirm, name="batch_confirm"),
]
