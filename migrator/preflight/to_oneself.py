"""An account sends a message to itself and sees it arrive: sign in, send, receive, remove.

For accounts that somebody chose for that. The message bears a mark of its own (``MARK``), by which it alone is known
again: what is removed has that mark, and is removed by its number (UIDPLUS), never with what somebody else marked. One
that came too late is removed by the next try, which is told the marks of those before. Everything else in the mailbox
is left alone; only small messages are read that came since, or lately, and nothing of them but the mark is kept.
"""

from __future__ import annotations

import re
import secrets
import smtplib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, NamedTuple, cast

from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.limits import Clock, Limits, SystemClock
from migrator.mail import Folder, FolderPath, Message, MessageMeta, NewFolder
from migrator.preflight import ports
from migrator.preflight.ports import Port
from migrator.preflight.probe import PATIENCE, Finding, Look, Outcome, bad, room_of
from migrator.stores import smtp_replies
from migrator.stores.base import QuotaStore, ReadRequest, Removing, RemovingSource, ScanRequest, TargetStore
from migrator.transfer.digest import digest_whole

MARK: Final = "X-Mailferry-Probe"
SUBJECT: Final = "Mailferry test message"
WAIT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.5  # between two looks for the message
_SMALL_BYTES: Final = 32_768  # servers on the way add lines; ours has a few hundred octets
_LATELY: Final = 200  # newest messages of a folder among which those of earlier tries are looked for
_A_MONTH: Final = 30 * 86_400  # by which the date of what is stored is older than now
_MOST_NAMES: Final = 20
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_FIELD: Final = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)
_ADDRESS: Final = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
_TOKEN: Final = re.compile(rb"^" + MARK.encode() + rb":[ \t]*([0-9a-f]{32})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Probe:
    """Whom to try. ``open`` opens the mailbox; ``door`` takes mail from it; ``token`` marks this try's message."""

    open: Callable[[], RemovingSource]
    door: Port
    address: str
    token: str
    open_to_store: Callable[[], TargetStore] | None = None  # as a move does
    earlier: Collection[str] = ()  # tokens of tries before whose message was not seen to go


def new_token() -> str:
    """Return a mark that no other message has."""
    return secrets.token_hex(16)


def try_to_oneself(
    probe: Probe, limits: Limits = PATIENCE, *, clock: Clock | None = None, seconds: float = WAIT_SECONDS
) -> Iterator[Finding]:
    """Yield how each step went: USER, ROOM, SUBMISSION, ARRIVAL, REMOVAL, STORED; the first bad one ends it.

    May be repeated. Raises nothing that a mail server causes.
    """
    clock = clock or SystemClock()
    if not _ADDRESS.fullmatch(probe.address):
        yield bad(Look.SUBMISSION, MigratorError("address.bad"))
        return
    look = Look.USER  # what an error is about that the mailbox gives
    try:
        with probe.open() as store:
            folders = store.folders()
            messages = sum(folder.messages or 0 for folder in folders)
            yield Finding(Look.USER, Outcome.GOOD, "messages", facts={"messages": messages})
            if store.features.has_quota:
                yield room_of(cast(QuotaStore, store).quotas(), None)
            if store.features.removing is not Removing.AT_ONCE:  # then nothing is sent that would stay
                yield bad(Look.REMOVAL, MigratorError("probe.not_removable"))
                return
            if probe.earlier:
                _remove(store, _marked(store, folders, set(probe.earlier)))
                store.drop()  # of a folder that is open, some servers tell no news
            is_unclear = _send(probe, limits, clock)
            if is_unclear:
                yield Finding(Look.SUBMISSION, Outcome.WARNING, "unclear")
            else:
                yield Finding(Look.SUBMISSION, Outcome.GOOD, "sent")
            look = Look.ARRIVAL
            found = _wait(store, folders, probe.token, clock, seconds)
            is_gone = False
            for finding in _ended(store, found, is_unclear=is_unclear, token=probe.token):
                yield finding
                is_gone = finding.look is Look.REMOVAL and finding.outcome is Outcome.GOOD
            if is_gone and probe.open_to_store is not None:
                look = Look.STORED
                store.drop()
                yield try_storing(store, probe.open_to_store, probe.token, clock)
    except _Failed as failed:
        yield bad(failed.look, failed.error)
    except MigratorError as error:
        yield bad(look, error)


def try_storing(
    store: RemovingSource, open_to_store: Callable[[], TargetStore], token: str, clock: Clock | None = None
) -> Finding:
    """Store a message in INBOX as a move does, look what became of it, and remove it again.

    Some servers file, answer or rewrite what is stored. Raises ``MigratorError`` of ``store``, with the message left.
    """
    now = (clock or SystemClock()).now()
    body = _message("mailferry@mailferry.invalid", token, now)
    folders = store.folders()
    inbox = next((folder.path for folder in folders if folder.path.is_inbox), FolderPath(b"INBOX"))
    message = Message(inbox, 1, len(body), body, None, inbox, frozenset(("\\Seen",)), int(now) - _A_MONTH)
    try:
        with open_to_store() as target:
            target.ensure_folders([NewFolder(inbox, create=False, subscribe=False, special_use=None)])
            errors = [receipt.error for receipt in target.append([message])]
    except MigratorError as error:
        errors = [error]
    found = _marked(store, store.folders(), {token})
    _remove(store, found)
    if errors[0] is not None:
        return bad(Look.STORED, errors[0])
    return _as_stored(found, body)


def _as_stored(found: Sequence[_Found], body: bytes) -> Finding:
    """Say what became of a message that was stored in INBOX."""
    there = [one for one in found if not one.is_deleted]  # some filters leave the original, marked so
    kept = [one for one in there if one.path.is_inbox]
    if not kept or len(there) > 1:
        names: list[Json] = [one.path.display for one in there]
        return replace(bad(Look.STORED, MigratorError("probe.filed_elsewhere")), facts={"folders": names})
    if digest_whole(kept[0].body).canonical == digest_whole(body).canonical:
        return Finding(Look.STORED, Outcome.GOOD, "kept")
    before = set(_names(body))
    added: list[Json] = [name for name in dict.fromkeys(_names(kept[0].body)) if name not in before]
    return Finding(Look.STORED, Outcome.WARNING, "rewritten", facts={"added": added[:_MOST_NAMES]})


def _names(body: bytes) -> list[str]:
    header = _HEADER_END.split(body, maxsplit=1)[0]
    return [found.decode("ascii").casefold() for found in _FIELD.findall(header)]


class _Failed(Exception):
    """A step that is not about the mailbox failed."""

    def __init__(self, look: Look, error: MigratorError) -> None:
        super().__init__(error.code)
        self.look, self.error = look, error


@dataclass(frozen=True, slots=True)
class _Found:
    """A message of ours."""

    path: FolderPath
    uidvalidity: int
    uid: int
    token: str
    body: bytes
    is_deleted: bool


def _ended(store: RemovingSource, found: list[_Found], *, is_unclear: bool, token: str) -> Iterator[Finding]:
    if not found:
        yield bad(Look.ARRIVAL, MigratorError("probe.unclear" if is_unclear else "probe.not_arrived"))
        return
    facts = {"folder": found[0].path.display}
    yield Finding(Look.ARRIVAL, Outcome.GOOD if found[0].path.is_inbox else Outcome.WARNING, "arrived", facts=facts)
    try:
        _remove(store, found)
        if left := _marked(store, store.folders(), {token}):  # a copy that a filter made came a moment later
            _remove(store, left)
            left = _marked(store, store.folders(), {token})
    except MigratorError as error:
        yield bad(Look.REMOVAL, MigratorError("probe.stays", reply=f"{error.code} {error.reply}".strip()))
        return
    yield bad(Look.REMOVAL, MigratorError("probe.stays")) if left else Finding(Look.REMOVAL, Outcome.GOOD, "gone")


def _message(address: str, token: str, now: float) -> bytes:
    message = EmailMessage()
    message["From"] = message["To"] = address
    message["Subject"] = SUBJECT
    message["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    message["Message-ID"] = f"<{token}@mailferry.invalid>"
    message["Auto-Submitted"] = "auto-generated"  # nobody answers it by itself (RFC 3834)
    message[MARK] = token
    message.set_content(
        "Mailferry sent this message to see whether mail arrives. It removes the message by itself.\n"
        "If you still see it, remove it: nothing else depends on it.\n"
    )
    return message.as_bytes().replace(b"\n", b"\r\n")


def _send(probe: Probe, limits: Limits, clock: Clock) -> bool:
    """Hand the message over; return True when nobody knows whether it was taken. Raises ``_Failed``."""
    body = _message(probe.address, probe.token, clock.now())
    answer: _Answer | None = None
    is_begun = False
    try:
        with ports.submission(probe.door.endpoint, limits) as session:
            answer = _addressed(session, probe.address)
            if answer is None:
                is_begun = True
                answer = _handed_over(session, body)
    except MigratorError as error:  # of the goodbye, too: then the answer counts
        if answer is None and not is_begun:
            raise _Failed(Look.SUBMISSION, error) from None
    if answer is not None and (answer.code >= 400 or not is_begun):
        words = answer.words.decode("utf-8", "replace")
        raise _Failed(Look.SUBMISSION, smtp_replies.refusal(answer.code, words, answer.stage))
    return answer is None or not answer.is_good


class _Answer(NamedTuple):
    """What a server says at a stage of handing over."""

    code: int  # -1 for what is no answer
    words: bytes
    stage: str

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 300


def _addressed(session: smtplib.SMTP, address: str) -> _Answer | None:
    """Return the refusal of sender or recipient; None when both are taken."""
    for stage, ask in (("MAIL", session.mail), ("RCPT", session.rcpt)):
        answer = _Answer(*ask(address), stage)
        if not answer.is_good:
            return answer
    return None


def _handed_over(session: smtplib.SMTP, body: bytes) -> _Answer:
    """Return the answer to the whole message, or the refusal of the wish to send one."""
    try:
        return _Answer(*session.data(body), "BODY")
    except smtplib.SMTPDataError as refused:
        words = refused.smtp_error
        return _Answer(refused.smtp_code, words if isinstance(words, bytes) else words.encode(), "DATA")


def _wait(store: RemovingSource, before: Iterable[Folder], token: str, clock: Clock, seconds: float) -> list[_Found]:
    """Look until the message is there, or the time is up."""
    known = {folder.path.raw: folder.uidnext for folder in before}
    until = clock.monotonic() + seconds
    while True:
        folders = store.folders()
        grown = [folder for folder in folders if folder.uidnext is None or folder.uidnext != known.get(folder.path.raw)]
        found = _marked(store, grown, {token})
        if found or clock.monotonic() >= until:
            return found
        if grown:
            known |= {folder.path.raw: folder.uidnext for folder in grown}
            store.drop()
        clock.wait(LOOK_SECONDS)


def _marked(store: RemovingSource, folders: Iterable[Folder], tokens: set[str]) -> list[_Found]:
    """Return the messages with one of ``tokens`` among the newest of each folder."""
    found: list[_Found] = []
    if not tokens:
        return found
    for folder in folders:
        if not folder.selectable or not folder.messages or folder.uidvalidity is None:
            continue
        after = max(0, (folder.uidnext or 1) - _LATELY - 1)
        metas = [
            meta for meta in store.scan([ScanRequest(folder.path, after_uid=after)]) if isinstance(meta, MessageMeta)
        ]
        uids = [meta.uid for meta in metas[-_LATELY:] if meta.size_bytes <= _SMALL_BYTES]
        deleted = {meta.uid for meta in metas if "\\Deleted" in meta.flags}
        for message in store.read([ReadRequest(folder.path, uids)]) if uids else ():
            if not isinstance(message, Message):
                continue
            body = message.whole if message.stream is None else b"".join(message.stream)
            if (token := _token(body or b"")) in tokens:
                is_deleted = message.uid in deleted
                found.append(_Found(folder.path, folder.uidvalidity, message.uid, token, body or b"", is_deleted))
    return found


def _token(body: bytes) -> str:
    match = _TOKEN.search(_HEADER_END.split(body, maxsplit=1)[0])
    return match[1].decode().lower() if match else ""


def _remove(store: RemovingSource, found: Iterable[_Found]) -> None:
    """Remove messages that have our mark. Raises ``MigratorError``; whether they went, a look shows."""
    for one in found:
        store.mark(one.path, [one.uid], one.uidvalidity)
        store.remove_marked(one.path, [one.uid], one.uidvalidity)
