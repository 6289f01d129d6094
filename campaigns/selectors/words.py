"""The words of pages: for states, families, steps, what is waited for, causes. Codes are stored, words are shown.

Pages say old and new server where the code says source and target, and no word of a protocol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext, gettext_lazy, ngettext

from campaigns.services.refusals import SENTENCES
from campaigns.states import FAMILY, AccountState, Family
from migrator.errors import CATALOGUE, Side
from migrator.journal import StepKind
from migrator.mail import Outcome

_S = AccountState
STATES: Final = {
    _S.NEW: gettext_lazy("Waiting"),
    _S.CHECKING: gettext_lazy("Checking"),
    _S.STAGING: gettext_lazy("Copying ahead"),
    _S.READY: gettext_lazy("Copied ahead"),
    _S.CUTTING_OVER: gettext_lazy("Moving now"),
    _S.DONE: gettext_lazy("Done"),
    _S.ROLLING_BACK: gettext_lazy("Going back"),
    _S.HELD: gettext_lazy("Locked, mail held"),
    _S.FAILED: gettext_lazy("Not moved"),
    _S.ATTENTION: gettext_lazy("Needs a decision"),
    _S.EXCLUDED: gettext_lazy("Left out"),
}
STATES_EXPLAINED: Final = {
    _S.NEW: gettext_lazy("On the list; nothing has been read yet."),
    _S.EXCLUDED: gettext_lazy("Somebody left this person out of the move. The mailbox stays as it is."),
    _S.CHECKING: gettext_lazy("Sign-in, space and names are looked at. Nothing is written."),
    _S.STAGING: gettext_lazy("Mail is copied while the person works on the old server."),
    _S.READY: gettext_lazy("All is copied but the last changes; waits for its window."),
    _S.CUTTING_OVER: gettext_lazy("Locked out for a short while, on the way to the new server."),
    _S.ROLLING_BACK: gettext_lazy("On the way back to the old server."),
    _S.DONE: gettext_lazy("Works on the new server."),
    _S.ATTENTION: gettext_lazy("Mailferry does not decide this alone. The mail is safe."),
    _S.HELD: gettext_lazy("Locked on the old server, new mail waits; a person must act."),
    _S.FAILED: gettext_lazy("Not moved; works on the old server as before."),
}
# The glyphs of img/glyphs.svg
GLYPHS: Final = {
    _S.NEW: "new",
    _S.EXCLUDED: "excluded",
    _S.CHECKING: "checking",
    _S.STAGING: "checking",
    _S.READY: "ready",
    _S.CUTTING_OVER: "cutover",
    _S.ROLLING_BACK: "rollback",
    _S.DONE: "done",
    _S.ATTENTION: "attention",
    _S.HELD: "attention",
    _S.FAILED: "failed",
}
# Bars and legends go in this order.
FAMILY_ORDER: Final = (
    Family.DONE,
    Family.WORKING,
    Family.READY,
    Family.WAITING,
    Family.ATTENTION,
    Family.FAILED,
)
FAMILY_GLYPHS: Final = {
    Family.DONE: "done",
    Family.WORKING: "cutover",
    Family.READY: "ready",
    Family.WAITING: "new",
    Family.ATTENTION: "attention",
    Family.FAILED: "failed",
}
STEPS: Final = {
    "hold": gettext_lazy("Hold new mail"),
    "disable": gettext_lazy("Lock the old mailbox"),
    "delta": gettext_lazy("Copy once more"),
    "verify": gettext_lazy("Compare both sides"),
    "switch": gettext_lazy("Switch"),
    "enable": gettext_lazy("Open the new mailbox"),
    "release": gettext_lazy("Deliver the held mail"),
    "person": gettext_lazy("Wait for a person"),
    "populate": gettext_lazy("Make the new mailbox"),
    "publish": gettext_lazy("Publish the change"),
}
WAITS_FOR: Final = {
    "": "",
    "person": gettext_lazy("waits for a person"),
    "pause": gettext_lazy("waits a while before the next try"),
    "breaker": gettext_lazy("waits until the server answers again"),
    "room": gettext_lazy("waits for room on the new server"),
    "start": gettext_lazy("waits for the start of its batch"),
    "resume": gettext_lazy("waits: its batch is paused"),
    "go": gettext_lazy("waits for somebody to say go"),
    "window": gettext_lazy("waits for its window"),
    "canary": gettext_lazy("waits until the first few are approved"),
    "slot": gettext_lazy("waits for its turn"),
    "step": gettext_lazy("waits for a word before the next step"),
    "others": gettext_lazy("waits until all have taken this step"),
}
# What proves a step that only a person can do.
CHECKS: Final = {
    "both_listen": gettext_lazy("both servers answer"),
    "port_closed": gettext_lazy("the old server is stopped"),
    "no_new_mail": gettext_lazy("nothing arrives on the old server"),
    "ports_open": gettext_lazy("the new server has the usual ports"),
    "queue_empty": gettext_lazy("the old server has sent everything"),
    "dns": gettext_lazy("the names are changed"),
}
# Which side a step is about makes another word of it.
_STEPS_OF_SIDE: Final[dict[tuple[str, str], object]] = {
    (StepKind.DISABLE, "target"): gettext_lazy("Lock the new mailbox"),
    (StepKind.ENABLE, "source"): gettext_lazy("Open the old mailbox"),
}
# Why a message is not on the new server.
OUTCOMES: Final = {
    Outcome.COPIED: gettext_lazy("Copied."),
    Outcome.ALREADY_THERE: gettext_lazy("It was on the new server already."),
    Outcome.EMPTY: gettext_lazy("It is empty: there is nothing to copy."),
    Outcome.TOO_BIG: gettext_lazy("It is bigger than the new server allows."),
    Outcome.REFUSED: gettext_lazy("The new server refused it."),
    Outcome.UNREADABLE: gettext_lazy("The old server cannot hand it out."),
    Outcome.VANISHED: gettext_lazy("It was removed from the old mailbox while it was copied."),
    Outcome.MARKED_DELETED: gettext_lazy("It is marked as deleted in the old mailbox."),
    Outcome.REPAIRED: gettext_lazy("Copied, repaired: the new server had refused it as it was."),
    Outcome.FILTERED: gettext_lazy("It is outside the dates and sizes that were asked for."),
    Outcome.BY_LABEL: gettext_lazy("It is the same message as one in another folder, and counted there."),
    Outcome.DUPLICATE: gettext_lazy("It is equal to another one of the same folder, which is stored once."),
    Outcome.UNCONFIRMED: gettext_lazy("It was sent, and the answer was lost. Nobody knows here whether it arrived."),
}
SIDES: Final = {"source": gettext_lazy("old server"), "target": gettext_lazy("new server")}
OWNERS: Final = {**SIDES, "unknown": gettext_lazy("not known")}


# Refusals that speak of states in words which are not those of pages.
_REFUSALS: Final = {
    "account.cannot_exclude": gettext_lazy(
        "Only accounts that wait, are copied ahead or did not move can be left out."
    ),
    "account.not_excluded": gettext_lazy("This account is not left out."),
    "account.nothing_to_undo": gettext_lazy("This account is not being moved: there is nothing to go back from."),
}


def state(code: str) -> str:
    """Return the word for a state."""
    return str(STATES[AccountState(code)])


def family_of(code: str) -> Family:
    """Return the family of a state."""
    return FAMILY[AccountState(code)]


def family_word(family: Family) -> str:
    """Return the word for a family where it stands alone."""
    words = {
        Family.DONE: gettext("Done"),
        Family.WORKING: gettext("Working"),
        Family.READY: gettext("Copied ahead"),
        Family.WAITING: gettext("Waiting or left out"),
        Family.ATTENTION: gettext("Needs a decision"),
        Family.FAILED: gettext("Not moved"),
    }
    return words[family]


def counted_needs(accounts: int) -> str:
    """Return how many accounts need the reader: "3 need you"."""
    return ngettext("%(n)s needs you", "%(n)s need you", accounts) % {"n": f"{accounts:,}"}


def family_counted(family: Family, accounts: int) -> str:
    """Return what stands after a number of accounts of one family, in a legend."""
    forms = {
        Family.DONE: gettext("done"),
        Family.WORKING: gettext("working"),
        Family.READY: gettext("copied ahead"),
        Family.WAITING: gettext("waiting or left out"),
        Family.ATTENTION: ngettext("needs a decision", "need a decision", accounts),
        Family.FAILED: gettext("not moved"),
    }
    return forms[family]


def person_step(check: str) -> str:
    """Return the name of a step that waits for a person, with what proves it."""
    if check not in CHECKS:
        return str(STEPS["person"])
    return gettext("Wait for a person: %(check)s") % {"check": CHECKS[check]}


def step(kind: str, side: str = "") -> str:
    """Return the name of a step of a move. ``kind``: a StepKind."""
    return str(_STEPS_OF_SIDE.get((kind, side)) or STEPS[kind])


def refusal(code: str) -> str:
    """Return the sentence for what was asked and is not done, in the words of pages."""
    return str(_REFUSALS.get(code) or _sided(gettext(SENTENCES[code])))


def folder(name: str) -> str:
    """Return the name of a folder, its levels apart by ``/``, as mail programs show it."""
    first, slash, rest = name.partition("/")
    shown = gettext("Inbox") if first.upper() == "INBOX" else first
    return f"{shown}{slash}{rest}".replace("/", " / ")


def outcome(code: str | int) -> str:
    """Return why a message is where it is; "" for what is not known. Codes are the names or numbers of outcomes."""
    try:
        return str(OUTCOMES[Outcome(code) if isinstance(code, int) else Outcome[code.upper()]])
    except (KeyError, ValueError):
        return ""


def cause(code: str, side: str = "", facts: Mapping[str, object] | None = None) -> str:
    """Return the plain sentence for an error, with the server it speaks of named as pages do."""
    return _worded(CATALOGUE.get(code, CATALOGUE["unknown"]).sentence, side, facts)


def cure(code: str, side: str = "", facts: Mapping[str, object] | None = None) -> str:
    """Return what to do about an error."""
    return _worded(CATALOGUE.get(code, CATALOGUE["unknown"]).next_step, side, facts)


def of_server(message: str, side: str) -> str:
    """Return the engine's sentence ``message`` with the server it speaks of named as pages do."""
    return _worded(message, side, None)


def decision() -> str:
    """Return what to do where Mailferry does not decide alone. Nothing is lost by waiting, but the user waits, too."""
    return gettext("All mail is safe, and the user is locked out. Look again or go on first; else say where they are.")


def _worded(message: str, side: str, facts: Mapping[str, object] | None) -> str:
    words = {"side": SIDES.get(side, gettext("server")), **(facts or {})}
    text = gettext(message).format_map(_Blanks(words)) if message else ""
    return _named(text, side)


class _Blanks(dict[str, object]):
    """A parameter that an error did not bring leaves its place empty."""

    def __missing__(self, key: str) -> str:
        return ""


_OLD_AND_NEW: Final = {"source": "old", "target": "new"}
# The engine's sentences are about one server or the other; its own names of the two are not for pages.
_SIDES_IN_TEXT: Final = (
    (re.compile(r"\b(the|The|this|This) source\b"), r"\1 old server"),
    (re.compile(r"\b(the|The|this|This) target\b"), r"\1 new server"),
)


def _sided(text: str) -> str:
    for pattern, words in _SIDES_IN_TEXT:
        text = pattern.sub(words, text)
    return text


def _named(text: str, side: str) -> str:
    text = _sided(text)
    which = _OLD_AND_NEW.get(Side(side).value if side in list(Side) else "")
    return re.sub(r"\b([Tt]he) server\b", rf"\1 {which} server", text) if which else text
