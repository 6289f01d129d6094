"""What the last test of a server or connector found, in the words of pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy, ngettext

from campaigns.models import Event
from campaigns.selectors import words
from campaigns.states import Family
from migrator.stores import trust

_MOST_EVENTS: Final = 2000
_SOON_DAYS: Final = 30
_TESTED: Final = ("server.tested", "connector.tested")
# What makes an earlier test say nothing of today.
_CHANGED: Final = (
    "server.changed",
    "server.password.changed",
    "server.certificate.accepted",
    "server.certificate.dropped",
    "connector.changed",
    "connector.password.changed",
)
_LOOKS: Final = {
    "reach": gettext_lazy("Reachable"),
    "encryption": gettext_lazy("Encrypted"),
    "product": gettext_lazy("Product"),
    "abilities": gettext_lazy("Abilities"),
    "admin": gettext_lazy("Administrator's access"),
    "user": gettext_lazy("Sign-in"),
    "limits": gettext_lazy("Limits"),
    "room": gettext_lazy("Room"),
    "submission": gettext_lazy("Sending"),
    "arrival": gettext_lazy("Arrival"),
    "removal": gettext_lazy("Taken away"),
    "stored": gettext_lazy("Storing"),
    "sign_in": gettext_lazy("Our own sign-in"),
    "found": gettext_lazy("The account"),
    "time": gettext_lazy("Time"),
}
_FAMILIES: Final = {
    "good": Family.DONE,
    "warning": Family.ATTENTION,
    "bad": Family.FAILED,
    "none": Family.WAITING,
}
_WORST_FIRST: Final = (Family.FAILED, Family.ATTENTION, Family.WAITING, Family.DONE)
_LACKS: Final = {
    "changes": gettext_lazy("It does not tell what changed since the last look, so each pass reads all flags anew."),
    "names": gettext_lazy("It gives messages no lasting names, so each pass reads the whole mailbox anew."),
    "places": gettext_lazy("It does not tell where it stored a message; Mailferry looks for it instead."),
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server showed that was not taken: for people to compare, and perhaps to accept."""

    sha256: str
    fingerprint: str
    accepted: str  # the one that was accepted before, if any
    names: str
    issuer: str
    begins: str
    ends: str


@dataclass(frozen=True, slots=True)
class Line:
    """One look: its name, how it went, and what to do when it went badly."""

    family: Family
    label: str
    sentence: str
    cure: str = ""
    reply: str = ""
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """The last test. ``is_stale``: what was tested has been changed since."""

    at: datetime
    actor: str
    account: str
    lines: tuple[Line, ...]
    is_stale: bool = False

    @property
    def family(self) -> Family:
        """The worst of its lines."""
        there = {line.family for line in self.lines}
        return next((family for family in _WORST_FIRST if family in there), Family.WAITING)

    @property
    def summary(self) -> str:
        """What came of it, in one sentence."""
        bad = next((line for line in self.lines if line.family is Family.FAILED), None)
        if bad is not None:
            return bad.sentence
        note = next((line for line in self.lines if line.family is Family.ATTENTION), None)
        if note is not None:
            return gettext("It works. %(note)s") % {"note": note.sentence}
        if any(line.family is Family.WAITING for line in self.lines):
            return gettext("It answers; nobody's mailbox was opened yet.")
        return gettext("It works.")


def last_trials(kind: str) -> dict[int, Trial]:
    """Return the last test of each server or connector (``kind``) by its key, those that were tested lately."""
    names = [name for name in (*_TESTED, *_CHANGED) if name.startswith(f"{kind}.")]
    # Without a campaign the index begins with the events of no account, which are few.
    events = Event.objects.filter(account=None, name__in=names).order_by("-pk")[:_MOST_EVENTS]
    changed: set[int] = set()
    found: dict[int, Trial] = {}
    for event in events:
        row = event.data.get("row")
        if event.name in _CHANGED:
            changed.add(row)
        elif row not in found:
            found[row] = trial_of(event, is_stale=row in changed)
    return found


def last_trial(kind: str, row_id: int) -> Trial | None:
    """Return the last test of one server or connector."""
    rows = Event.objects.filter(account=None, data__row=row_id).order_by("-pk")
    event = rows.filter(name=f"{kind}.tested").first()
    if event is None:
        return None
    names = [name for name in _CHANGED if name.startswith(f"{kind}.")]
    return trial_of(event, is_stale=rows.filter(name__in=names, pk__gt=event.pk).exists())


def last_message(row_id: int) -> Trial | None:
    """Return how the last message went that an account of a server sent to itself."""
    rows = Event.objects.filter(account=None, data__row=row_id).order_by("-pk")
    event = rows.filter(name="server.probe.ended").first()
    return None if event is None else trial_of(event)


def last_room(row_id: int) -> Event | None:
    """Return what somebody saw last of a server's disks: ``data["words"]``."""
    return Event.objects.filter(account=None, data__row=row_id, name="server.room.seen").order_by("-pk").first()


def trial_of(event: Event, *, is_stale: bool = False) -> Trial:
    """Word the event of a test."""
    lines = tuple(map(_line, event.data.get("found", ())))
    return Trial(event.at, event.actor_name, event.data.get("account", ""), lines, is_stale)


def refusals(failures: Iterable[tuple[str, str, str]]) -> list[Line]:
    """Word what speaks against a method: side, code, the server's words."""
    return [
        Line(Family.FAILED, str(words.SIDES.get(side, "")), words.cause(code, side), words.cure(code, side), reply)
        for side, code, reply in failures
    ]


def _line(stored: Mapping[str, Any]) -> Line:
    look, outcome, code = stored["look"], stored["outcome"], stored.get("code", "")
    label, reply = str(_LOOKS[look]), stored.get("reply", "")
    facts = stored.get("facts", {})
    if outcome == "bad":
        return Line(_FAMILIES[outcome], label, words.cause(code), words.cure(code), reply, _certificate(facts))
    family = _FAMILIES[outcome]
    if look == "encryption" and _ends_soon(facts):
        family = Family.ATTENTION
    return Line(family, label, _sentence(look, code, facts), reply=facts.get("words", ""))


def _certificate(facts: Mapping[str, Any]) -> Certificate | None:
    if not facts.get("fingerprint"):
        return None
    begins, ends = (_day(facts.get(name)) for name in ("begins_at", "ends_at"))
    return Certificate(
        sha256=facts["fingerprint"],
        fingerprint=trust.readable(facts["fingerprint"]),
        accepted=facts.get("accepted", ""),
        names=", ".join(facts.get("names", ())),
        issuer=facts.get("issuer", ""),
        begins=begins,
        ends=ends,
    )


def _day(at: float | None) -> str:
    return date_format(timezone.localtime(datetime.fromtimestamp(at, UTC)), "F j, Y") if at else ""


def _sentence(look: str, code: str, facts: Mapping[str, Any]) -> str:
    match look:
        case "reach":
            return gettext("The folder is there.") if code == "folder" else gettext("It answers.")
        case "encryption":
            return _encryption(code, facts)
        case "product":
            known = gettext("%(name)s: its manners are known.") % {"name": facts.get("profile", "")}
            return known if code == "known" else gettext("Not one that is known by name. It is treated with care.")
        case "abilities":
            lacks = [str(_LACKS[name]) for name in facts.get("lacks", ()) if name in _LACKS]
            if code == "pop3":
                return " ".join(lacks) or gettext("Each message has a lasting name: what was copied is known again.")
            return " ".join(lacks) or gettext("It tells what changed, and where it stored each message.")
        case "limits":
            return _limits(facts)
        case "sign_in":
            return gettext("Mailferry is let in.")
        case "admin" | "user":
            return _door(look, code, facts)
    rest = _OTHERS.get(look)
    return rest(look, code, facts) if rest else _found(code, facts)


def _encryption(code: str, facts: Mapping[str, Any]) -> str:
    if code == "plain":
        return gettext("Nothing is encrypted: whoever is on the way reads passwords and mail.")
    if code == "accepted":
        told = {"version": facts.get("version", ""), "day": _day(facts.get("ends_at"))}
        return gettext("%(version)s, with exactly the certificate that was accepted here.") % told
    if code == "unchecked":
        return gettext("%(version)s, but any certificate is accepted: somebody in between would not be noticed.") % {
            "version": facts.get("version", "")
        }
    told = {"version": facts.get("version", ""), "issuer": facts.get("issuer") or gettext("an unnamed authority")}
    if not facts.get("ends_at"):
        return gettext("%(version)s; the certificate by %(issuer)s is valid.") % told
    ends = datetime.fromtimestamp(facts["ends_at"], UTC)
    told["day"] = date_format(timezone.localtime(ends), "F j, Y")
    if _ends_soon(facts):
        return gettext("%(version)s; the certificate by %(issuer)s ends soon, on %(day)s.") % told
    return gettext("%(version)s; the certificate by %(issuer)s is valid until %(day)s.") % told


def _ends_soon(facts: Mapping[str, Any]) -> bool:
    ends_at = float(facts.get("ends_at") or "inf")
    return ends_at - timezone.now().timestamp() < _SOON_DAYS * 86400


def _limits(facts: Mapping[str, Any]) -> str:
    parts = []
    if facts.get("message_bytes"):
        megabytes = facts["message_bytes"] / 1_000_000
        parts.append(gettext("Messages of up to %(size)s MB.") % {"size": f"{megabytes:,.0f}"})
    if facts.get("errors"):
        parts.append(gettext("It hangs up after %(count)d errors in a row.") % {"count": facts["errors"]})
    return " ".join(parts) or gettext("It names none.")


def _room(_: str, code: str, facts: Mapping[str, Any]) -> str:
    """Word how much more mail there is room for."""
    if code == "message":
        megabytes = facts["message_bytes"] / 1_000_000
        return gettext(
            "It has room for a message of %(size)s MB now. How much room its disks have it does not tell."
        ) % {"size": f"{megabytes:,.0f}"}
    parts = []
    if "storage_limit" in facts:
        told = {name: _gigabytes(facts[f"storage_{name}"]) for name in ("free", "limit")}
        parts.append(gettext("%(free)s of %(limit)s are free in this mailbox.") % told)
    if "message_limit" in facts:
        told = {name: f"{facts[f'message_{name}']:,}" for name in ("free", "limit")}
        parts.append(gettext("%(free)s of %(limit)s messages may still come.") % told)
    if code == "untold":
        parts.append(gettext("It names no limit."))
    if "held_bytes" in facts:
        parts.append(gettext("It holds %(held)s now.") % {"held": _gigabytes(facts["held_bytes"])})
    return " ".join(parts)


def _gigabytes(octets: int) -> str:
    """Return a size in the unit that people know from their disks."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000)):
        if octets >= factor:
            return f"{octets / factor:,.1f} {unit}"
    return f"{octets / 1000:,.0f} kB"


def _passage(look: str, code: str, facts: Mapping[str, Any]) -> str:
    if look == "submission":
        taken = gettext("The server took the message.")
        return (
            taken if code == "sent" else gettext("The line was lost at the end: perhaps the server took the message.")
        )
    if look == "arrival":
        return gettext("It is there, in %(folder)s.") % {"folder": facts.get("folder", "")}
    return gettext("It was removed again, and nothing else.")


def _storing(_: str, code: str, facts: Mapping[str, Any]) -> str:
    if code == "kept":
        return gettext("What is stored there as a move does stays where it is and as it is.")
    added = ", ".join(facts.get("added", ())) or gettext("nothing in the header")
    return gettext(
        "The server changes each message that is stored (it adds: %(added)s). Such messages count as different when "
        "both mailboxes are compared."
    ) % {"added": added}


_OTHERS: Final = {"room": _room, "submission": _passage, "arrival": _passage, "removal": _passage, "stored": _storing}


def _door(look: str, code: str, facts: Mapping[str, Any]) -> str:
    if code == "account":
        return gettext("Not looked at: no account was named to try it with.")
    if code == "password":
        return gettext("Not looked at: there is neither an administrator nor a password for the account.")
    counted = _counted(facts)
    if look == "admin":
        return gettext("The administrator opens the account's mailbox: %(counted)s.") % {"counted": counted}
    return gettext("The account signs in itself: %(counted)s.") % {"counted": counted}


def _counted(facts: Mapping[str, Any]) -> str:
    if "messages" in facts:
        messages = facts["messages"]
        return ngettext("%(n)d message", "%(n)d messages", messages) % {"n": messages}
    folders = facts.get("folders", 0)
    return ngettext("%(n)d folder", "%(n)d folders", folders) % {"n": folders}


def _found(code: str, facts: Mapping[str, Any]) -> str:
    if code == "account":
        return gettext("Not looked at: no account was named to try it with.")
    if code == "files":
        folders = ngettext("%(n)d folder", "%(n)d folders", facts["folders"]) % {"n": facts["folders"]}
        return gettext("Its mail can be read: %(messages)s in %(folders)s.") % {
            "messages": _counted(facts),
            "folders": folders,
        }
    held = ", ".join(f"{name} {_shown(value)}" for name, value in facts.get("values", {}).items())
    sentences = {
        "recipient": gettext("Mail for it is taken."),
        "exposed": gettext("Everybody on that machine may read this mail."),
        "exposed_to_writing": gettext("Everybody on that machine may read and change this mail."),
        "file_skipped": gettext("A file that is not read as mail is left out."),
        "open": gettext("Found, and may sign in (%(held)s)."),
        "closed": gettext("Found, and is refused at sign-in (%(held)s)."),
        "served_by_source": gettext("Found, and served by the old server (%(held)s)."),
        "served_by_target": gettext("Found, and served by the new server (%(held)s)."),
        "held": gettext("Found, and new mail waits (%(held)s)."),
        "not_held": gettext("Found, and new mail is delivered (%(held)s)."),
        "account_there": gettext("The account is there."),
        "account_absent": gettext("The account is not there yet: it would be made."),
        "published": gettext("What servers read of it is up to date."),
        "publish.behind": gettext("What servers read of it is not up to date yet."),
        "route.elsewhere": gettext("Found, but sent to neither of the two servers (%(held)s)."),
    }
    if code == "sessions":
        count = facts.get("count", 0)
        return ngettext("%(n)d session is open.", "%(n)d sessions are open.", count) % {"n": count}
    return sentences.get(code, "%(held)s") % {"held": held}


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or gettext("none")
    return gettext("none") if value is None else str(value)
