"""One person on the telephone: everything that the answer page says of a mailbox, in the order of a call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from campaigns.bridge import places
from campaigns.models import Account, Event
from campaigns.models.server import Security
from campaigns.selectors import answers, held_mail, words
from campaigns.selectors.answers import Act, Answer, Cause, Facts, Spelled
from campaigns.selectors.clock import told_time
from campaigns.services import calls
from campaigns.states import AccountState, Family, Owner

CALLS: Final = 10

# What only the user can mend, when the old server says it.
_BY_PASSWORD: Final = frozenset(
    f"sign_in.{code}"
    for code in ("refused", "passwords_off", "password_expired", "app_password", "hash_given", "malformed")
)
# Words of servers: a sentence with one of them is not read out.
_NOT_FOR_PEOPLE: Final = re.compile(r"\b(IMAP|POP3?|SMTP|LMTP|S?TLS|STARTTLS|UID\w*|LDAP|SASL|NUL|MIME)\b")
_ENCRYPTION: Final = {
    Security.TLS: "SSL/TLS",
    Security.STARTTLS: "STARTTLS",
    Security.PLAIN: gettext_lazy("none"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a mail program must know of the server on which the mailbox is."""

    side: str
    server: str
    port: int
    encryption: str
    user_name: str
    is_address: bool
    spelled: list[Spelled]


@dataclass(frozen=True, slots=True)
class PersonView:
    """The answer page. ``settings`` is None while no sign-in works, or nobody knows where."""

    account: Account
    name: str
    state: str  # its word
    family: Family
    answer: Answer
    settings: Settings | None
    acts: tuple[Act, ...]
    calls: list[Event]
    held: tuple[str, ...]  # of new mail that waits for them
    is_told: bool
    reply: str  # the server's own words


def view(account: Account, now: datetime | None = None) -> PersonView:
    """Return what helpdesk sees of ``account``, which comes with its batch, campaign and servers."""
    state, owner = AccountState(account.state), Owner(account.owner)
    now = now or timezone.now()
    cause = cause_of(account.error_code, account.error_side)
    what = answers.situation(
        state, owner, cause, is_locked=account.locked_at is not None, arrives_first=account.arrives_first
    )
    return PersonView(
        account=account,
        name=account.display_name or account.source_login,
        state=words.state(state),
        family=words.family_of(state),
        answer=answers.answer(what, _facts(account, now)),
        settings=_settings(account),
        acts=answers.acts(
            state,
            owner,
            cause,
            is_stopped=account.is_stopped or account.stop_requested,
            is_paused=account.not_before is not None and account.lease_until is None,
            is_told=account.told_at is not None,
        ),
        calls=list(Event.objects.filter(account=account, name__in=calls.NAMES).order_by("-pk")[:CALLS]),
        held=held_mail.told(account, now),
        is_told=account.told_at is not None,
        reply=account.error_reply,
    )


def cause_of(code: str, side: str) -> Cause:
    """Return what an error means to the user of a mailbox."""
    if not code:
        return Cause.NONE
    if code in _BY_PASSWORD and side != "target":
        return Cause.PASSWORD
    return Cause.ROOM if code == "target.full" else Cause.OTHER


def _facts(account: Account, now: datetime) -> Facts:
    batch, campaign = account.batch, account.campaign
    left = max(0, account.messages_left - account.messages_skipped)
    return Facts(
        since=told_time(account.state_since, now),
        window=told_time(batch.window_begins_at, now) if _is_ahead(batch.window_begins_at, now) else "",
        copied=f"{account.messages_done:,}" if account.messages_total else "",
        messages=f"{account.messages_total:,}" if account.messages_total else "",
        complete=f"{account.messages_done:,}" if account.messages_done and not left else "",
        left=f"{left:,}" if left else "",
        locked=told_time(account.locked_at, now),
        lockout=_length(account.lockout_seconds),
        lockable="." if campaign.source_directory_id else "",
        settings="." if campaign.route_id is None else "",
        cause=plain_cause(account.error_code, account.error_side),
    )


def _is_ahead(at: datetime | None, now: datetime) -> bool:
    return at is not None and at > now


def plain_cause(code: str, side: str) -> str:
    """Return the sentence of an error where it can be read to anybody, else ""."""
    sentence = words.cause(code, side) if code else ""
    return "" if _NOT_FOR_PEOPLE.search(sentence) else sentence


def _length(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return gettext("%(n)d seconds") % {"n": rest}
    return gettext("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}


def _settings(account: Account) -> Settings | None:
    if account.owner == Owner.UNKNOWN or account.locked_at is not None:
        return None
    is_new = account.owner == Owner.TARGET
    server, login = (account.target, account.target_login) if is_new else (account.source, account.source_login)
    if not places.signs_in(server):
        return None
    return Settings(
        side=account.owner,
        server=server.host,
        port=server.port,
        encryption=str(_ENCRYPTION[Security(server.security)]),
        user_name=login,
        is_address="@" in login,
        spelled=answers.spelled(login),
    )
