"""What is said of new mail that waits for one user: by whoever answers the telephone, and on the account's page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils.translation import gettext, ngettext

from campaigns.models import Account, AccountHeld
from campaigns.selectors import clock
from campaigns.services.held_mail import STALE_SECONDS


def told(account: Account, now: datetime) -> tuple[str, ...]:
    """Return sentences on mail that is held, or was, in the last move of ``account``, which comes with its count."""
    row: AccountHeld | None = getattr(account, "held_mail", None)
    if row is None or row.cutover != account.cutover:
        return ()
    return tuple(filter(None, (*(_released(row, now) if row.is_released else _held(row, now)), _aside(row))))


def _held(row: AccountHeld, now: datetime) -> Iterator[str]:
    at = clock.told_time(row.counted_at, now)
    if row.error_code:
        yield gettext("How much new mail waits for them is not known: at the last look, %(at)s, nobody said it.") % {
            "at": at
        }
        return
    if row.messages:
        form = ngettext(
            "New mail is held: %(n)s message waits for them.", "New mail is held: %(n)s messages wait for them.",
            row.messages,
        )  # fmt: skip
        yield form % {"n": f"{row.messages:,}"}
        if row.oldest_at is not None:
            yield gettext("The oldest came %(at)s.") % {"at": clock.told_time(row.oldest_at, now)}
    elif row.is_at_senders:
        yield gettext("No new mail waits for them here.")
    else:
        yield gettext("New mail is held, and none has come for them so far.")
    if row.is_at_senders:
        yield gettext(
            "Senders are told to come again, and do so by themselves within minutes or hours. How much mail waits "
            "there nobody can count."
        )
    if row.counted_at < now - timedelta(seconds=STALE_SECONDS):
        yield gettext("This was counted %(at)s, and not since.") % {"at": at}


def _released(row: AccountHeld, now: datetime) -> Iterator[str]:
    at = clock.told_time(row.counted_at, now)
    if row.error_code:
        yield gettext("New mail was released. Whether any is left is not known: %(at)s nobody said it.") % {"at": at}
    elif row.messages:
        form = ngettext(
            "New mail was released, and %(n)s message was still there %(at)s.",
            "New mail was released, and %(n)s messages were still there %(at)s.",
            row.messages,
        )
        yield form % {"n": f"{row.messages:,}", "at": at}
    else:
        yield gettext("New mail was released; none of what was held was left %(at)s.") % {"at": at}
    if row.is_at_senders:
        yield gettext("Senders who were told to come again bring their mail by themselves, within minutes or hours.")


def _aside(row: AccountHeld) -> str:
    if not row.aside:
        return ""
    form = ngettext(
        "%(n)s more was put on hold by a person or a filter of the mail server: only they release it.",
        "%(n)s more were put on hold by a person or a filter of the mail server: only they release them.",
        row.aside,
    )
    return form % {"n": f"{row.aside:,}"}
