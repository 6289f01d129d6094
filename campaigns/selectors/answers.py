"""What helpdesk says to somebody on the telephone: from where a mailbox is to sentences. Pure.

A *situation* is what the state of an account means to its user. Each has its script: what is going on, what the user
notices, what to say, what not to promise. A line stands for itself and is left out when a fact that it names is not
known or does not hold; so no script has branches. ``{name:.0}`` asks for a fact without reading it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from string import Formatter
from typing import Final

from django.utils.translation import gettext_lazy as _

from campaigns.states import AccountState, Owner

_S = AccountState


class Cause(StrEnum):
    """What keeps an account back, as far as it matters to what its user is told."""

    NONE = "none"
    PASSWORD = "password"  # only the user can mend it
    ROOM = "room"
    OTHER = "other"


class Situation(StrEnum):
    """What the state of an account means to its user."""

    PLANNED = "planned"
    COPYING = "copying"
    COPIED = "copied"
    MOVING = "moving"
    LOCKED = "locked"
    ARRIVING = "arriving"
    MOVED = "moved"
    RETURNING = "returning"
    TAKEN_BACK = "taken_back"
    HELD = "held"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"
    NEEDS_PASSWORD = "needs_password"
    NEEDS_ROOM = "needs_room"
    NOT_MOVED = "not_moved"
    LEFT_OUT = "left_out"
    NEW_MAIL_ONLY = "new_mail_only"  # on the new server, before their old mail is
    OLD_MAIL_COMES = "old_mail_comes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a script may name, as it is read out; "" where it is not known, or not so."""

    since: str = ""  # when the state began
    window: str = ""  # when the move is planned
    copied: str = ""  # messages on the new server, so far
    messages: str = ""  # all there are
    complete: str = ""  # all there are, when none was left behind
    left: str = ""  # messages left behind
    locked: str = ""  # sign-in refused since
    lockout: str = ""  # how long it was refused
    lockable: str = ""  # something, when the move locks its user out for a while
    settings: str = ""  # something, when programs need other settings on the new server
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is on the page, from top to bottom."""

    situation: Situation
    sentence: str
    notices: tuple[str, ...]
    say: tuple[str, ...]
    not_promised: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Script:
    sentence: tuple[object, ...]
    notices: tuple[object, ...]
    say: tuple[object, ...]
    not_promised: tuple[object, ...]


def situation(
    state: AccountState, owner: Owner, cause: Cause, *, is_locked: bool, arrives_first: bool = False
) -> Situation:
    """Return what an account in ``state`` means to its user. Total: every combination has one.

    ``arrives_first``: they come to the new server before their old mail does.
    """
    if owner is Owner.UNKNOWN:
        return Situation.UNKNOWN
    if arrives_first and owner is Owner.TARGET and state in _BEFORE_OLD_MAIL:
        return Situation.OLD_MAIL_COMES if state is _S.CUTTING_OVER and is_locked else Situation.NEW_MAIL_ONLY
    if state is _S.FAILED:
        return _NOT_MOVED.get(cause, Situation.NOT_MOVED)
    if state is _S.CUTTING_OVER:
        return Situation.ARRIVING if owner is Owner.TARGET else Situation.LOCKED if is_locked else Situation.MOVING
    if state is _S.ROLLING_BACK:
        return Situation.TAKEN_BACK if owner is Owner.TARGET else Situation.RETURNING
    return _PLAIN[state]


_BEFORE_OLD_MAIL: Final = frozenset(_S) - {_S.DONE, _S.HELD, _S.ATTENTION}
_NOT_MOVED: Final = {Cause.PASSWORD: Situation.NEEDS_PASSWORD, Cause.ROOM: Situation.NEEDS_ROOM}
_PLAIN: Final = {
    _S.NEW: Situation.PLANNED,
    _S.CHECKING: Situation.COPYING,
    _S.STAGING: Situation.COPYING,
    _S.READY: Situation.COPIED,
    _S.DONE: Situation.MOVED,
    _S.HELD: Situation.HELD,
    _S.ATTENTION: Situation.UNDECIDED,
    _S.EXCLUDED: Situation.LEFT_OUT,
}


def answer(what: Situation, facts: Facts) -> Answer:
    """Return the script of a situation with its facts filled in."""
    known = {field.name: getattr(facts, field.name) for field in fields(facts)}
    script = SCRIPTS[what]
    lines = [_told(part, known) for part in (script.sentence, script.notices, script.say, script.not_promised)]
    return Answer(what, " ".join(lines[0]), *(tuple(part) for part in lines[1:]))


def _told(lines: tuple[object, ...], known: Mapping[str, str]) -> list[str]:
    texts = [str(line) for line in lines]
    return [text.format(**known) for text in texts if all(known[name] for name in _named(text))]


def _named(text: str) -> list[str]:
    return [name for _text, name, _spec, _conversion in Formatter().parse(text) if name]


_NO_HOUR: Final = _("The exact minute of the move: it depends on the mailboxes before this one.")
_NO_OLD_SETTINGS: Final = _("That phones and mail programs go on without the settings of the new server.")
_NO_WAY_BACK: Final = _("That there is a way back to the old server. Only an operator knows.")
_NO_TIME: Final = _("A time by which it is settled. Tell the operator that somebody waits.")
_NO_DELETED: Final = _("That mail deleted before the move can be found again.")
_AS_ALWAYS: Final = _("Nothing. Mail comes and goes as always.")
_SAFE: Final = _("Mail sent to the person meanwhile is not lost.")

SCRIPTS: Final[dict[Situation, _Script]] = {
    Situation.PLANNED: _Script(
        (
            _("The mailbox has not moved yet: it is on the old server and works as always."),
            _("Its move is planned for {window}."),
        ),
        (_AS_ALWAYS,),
        (
            _("Your mailbox has not moved yet, and you can work as always."),
            _("Its move is planned for {window}. You need not do anything before that."),
        ),
        (_NO_HOUR, _NO_OLD_SETTINGS),
    ),
    Situation.COPYING: _Script(
        (
            _("The mailbox is on the old server and works as always while its mail is copied ahead."),
            _("{copied} of {messages} messages are copied so far."),
        ),
        (
            _AS_ALWAYS,
            _("Reading, deleting and moving mail is fine: the copy follows."),
        ),
        (
            _("Your mail is being copied to the new server while you work. You need not do anything."),
            _("The move itself is planned for {window}."),
        ),
        (_NO_HOUR, _NO_OLD_SETTINGS),
    ),
    Situation.COPIED: _Script(
        (
            _("The mail is copied ahead; the mailbox is still on the old server and works as always."),
            _("Its move is planned for {window}."),
        ),
        (_AS_ALWAYS,),
        (
            _("Everything is prepared, and your mailbox still works as always."),
            _("The move is planned for {window}."),
            _("During it{lockable:.0} you cannot sign in for a few minutes; nothing is lost."),
        ),
        (_NO_HOUR, _NO_OLD_SETTINGS),
    ),
    Situation.MOVING: _Script(
        (_("The mailbox is being moved to the new server just now, since {since}."),),
        (
            _("Sign-in may be refused{lockable:.0} for a few minutes, on the old and on the new server."),
            _SAFE,
        ),
        (
            _("Your mailbox is being moved at this moment. That takes a few minutes."),
            _("Please wait a little, then try again. Mail that is sent to you meanwhile is not lost."),
        ),
        (_NO_OLD_SETTINGS, _("The minute at which it is over.")),
    ),
    Situation.LOCKED: _Script(
        (_("The mailbox is being moved just now: sign-in has been refused since {locked}."),),
        (
            _("No sign-in works, neither old nor new; programs may ask for the password again and again."),
            _("The password is not wrong. It must not be changed now."),
            _SAFE,
        ),
        (
            _("Your mailbox is being moved at this moment, and nobody can sign in to it for a few minutes."),
            _("Your password is not wrong: please do not change it. Close your mail program and try again in a while."),
            _("Mail that is sent to you meanwhile is not lost."),
        ),
        (_NO_OLD_SETTINGS, _("The minute at which it is over.")),
    ),
    Situation.ARRIVING: _Script(
        (
            _("The mailbox belongs to the new server since a moment ago; its doors are being opened."),
            _("Sign-in has been refused since {locked}."),
        ),
        (
            _("The old server accepts no sign-in any more; the new one does in a moment."),
            _SAFE,
        ),
        (
            _("Your mail has been moved to the new server, which opens for you in a moment."),
            _("Please try again in a few minutes."),
            _("Then{settings:.0} your phone and your mail program need new settings; I can read them to you."),
        ),
        (_NO_OLD_SETTINGS, _NO_WAY_BACK),
    ),
    Situation.MOVED: _Script(
        (
            _("The mailbox has been on the new server since {since}."),
            _("All {complete} messages are there."),
            _("{left} messages stayed behind; an operator sees which and why."),
        ),
        (
            _("Mail old and new is on the new server; nothing more arrives on the old one."),
            _("A phone or program with the old settings{settings:.0} asks for the password again and again."),
            _("The lock-out lasted {lockout}."),
        ),
        (
            _("Your mail has moved to the new server."),
            _("All {complete} messages are there."),
            _(
                "On your phone and in your mail program{settings:.0} the old settings do not work any more. "
                "I can read you the new ones; it takes two minutes."
            ),
        ),
        (_NO_OLD_SETTINGS, _NO_WAY_BACK, _NO_DELETED),
    ),
    Situation.RETURNING: _Script(
        (
            _("The move was broken off; the mailbox is being opened on the old server again."),
            _("Sign-in has been refused since {locked}."),
        ),
        (
            _("Sign-in may be refused for some minutes more; then the old server works as before."),
            _SAFE,
        ),
        (
            _("The move of your mailbox was put off. In a few minutes everything is as it was before."),
            _("Please leave your settings and your password as they are, and try again in a while."),
        ),
        (_("A new date for the move."), _("The minute at which it is over.")),
    ),
    Situation.TAKEN_BACK: _Script(
        (_("The mailbox is being taken back from the new server to the old one, since {since}."),),
        (
            _("Sign-in may be refused for some minutes; then the old server works again."),
            _("What arrived on the new server is copied back; it is not lost."),
        ),
        (
            _("Your mailbox goes back to the old server, with everything that has arrived since."),
            _("Please wait a little before you try again, with your old settings."),
        ),
        (_("The minute at which it is over."), _("A new date for the move.")),
    ),
    Situation.HELD: _Script(
        (
            _("The move stopped halfway, and the mailbox stays locked until an operator has looked."),
            _("Sign-in has been refused since {locked}."),
        ),
        (
            _("No sign-in works, neither old nor new."),
            _("New mail waits and is delivered afterwards."),
            _("The password is not wrong. It must not be changed now."),
        ),
        (
            _("The move of your mailbox takes longer than planned, and somebody is looking into it."),
            _("Your mail is safe. Mail that is sent to you meanwhile waits and is delivered afterwards."),
            _("Your password is not wrong: please do not change it."),
        ),
        (_NO_TIME, _("On which server the mailbox will be.")),
    ),
    Situation.UNDECIDED: _Script(
        (
            _("The move did not go as planned, and an operator must decide. The mail is safe."),
            _("Sign-in has been refused since {locked}."),
        ),
        (
            _("Sign-in may fail until an operator has decided."),
            _("Programs may ask for the password again and again; it is not wrong."),
        ),
        (
            _("The move of your mailbox needs a look by our staff. Your mail is safe."),
            _("I pass it on that you are waiting. Please leave your password and your settings as they are."),
        ),
        (_NO_TIME, _NO_WAY_BACK),
    ),
    Situation.UNKNOWN: _Script(
        (
            _("It is not certain on which server the mailbox is just now; an operator must see. The mail is safe."),
            _("Sign-in has been refused since {locked}."),
        ),
        (
            _("Sign-in may fail on both servers."),
            _("Programs may ask for the password again and again; it is not wrong."),
            _SAFE,
        ),
        (
            _("Your mailbox is on its way between the two servers, and our staff look after it. Your mail is safe."),
            _("Please do not change your password or your settings now. I pass it on that you are waiting."),
        ),
        (_NO_TIME, _("On which server the mailbox will be."), _("That either the old or the new settings work now.")),
    ),
    Situation.NEEDS_PASSWORD: _Script(
        (_("The mailbox was not moved and works on the old server as before: the password we have is not accepted."),),
        (_AS_ALWAYS, _("Other people of the same group may be on the new server already.")),
        (
            _("Your mailbox has not been moved yet, because the password that we have for it is not accepted."),
            _("You can work as always. Our staff get in touch with you about it."),
            _("Please do not tell your password to anybody on the telephone, not even to me."),
        ),
        (_("That the move happens at once: the password is tried first."), _NO_OLD_SETTINGS),
    ),
    Situation.NEEDS_ROOM: _Script(
        (
            _("The mailbox was not moved and works on the old server as before: the new mailbox is full."),
            _("{copied} of {messages} messages are copied so far, and they are safe."),
        ),
        (_AS_ALWAYS,),
        (
            _("Your mailbox has not been moved yet: it needs more room on the new server than it has there."),
            _("You can work as always. Our staff make room, or ask you what may go."),
        ),
        (_("More room: only an operator can give it."), _("A new date for the move.")),
    ),
    Situation.NOT_MOVED: _Script(
        (
            _("The mailbox was not moved; it works on the old server as before."),
            _("The cause: {cause}"),
        ),
        (_AS_ALWAYS, _("Other people of the same group may be on the new server already.")),
        (
            _("Your mailbox has not been moved yet, and everything works as before."),
            _("Our staff know about it. You need not do anything."),
        ),
        (_("A new date for the move."), _NO_OLD_SETTINGS),
    ),
    Situation.NEW_MAIL_ONLY: _Script(
        (
            _("New mail only: the mailbox is on the new server, and the old mail has not come yet."),
            _("It is planned to come {window}."),
        ),
        (
            _("Mail can be read and sent on the new server; only what arrived since then is there."),
            _("Old mail is safe on the old server, and comes by itself."),
        ),
        (
            _("You work on the new server already. Your old mail is safe, and comes to you there by itself."),
            _("That is planned for {window}."),
            _("While it comes you cannot sign in for a while; mail that is sent to you meanwhile is not lost."),
        ),
        (_NO_HOUR, _("That a single old message can be had before.")),
    ),
    Situation.OLD_MAIL_COMES: _Script(
        (
            _("The old mail is being brought to the new server just now."),
            _("Sign-in has been refused since {locked}."),
        ),
        (
            _("No sign-in works until all of it is there; programs may ask for the password again and again."),
            _("The password is not wrong. It must not be changed now."),
            _SAFE,
        ),
        (
            _("Your old mail is coming to you at this moment, and nobody can sign in until it is all there."),
            _("Your password is not wrong: please do not change it. Try again in a while."),
            _("Mail that is sent to you meanwhile is not lost. It may stand before the old mail in your list."),
        ),
        (_("The minute at which it is over."),),
    ),
    Situation.LEFT_OUT: _Script(
        (_("This mailbox is left out of the move and stays on the old server as it is."),),
        (_AS_ALWAYS,),
        (_("Your mailbox is not part of this move. It stays where it is, and you need not do anything."),),
        (_("That it will be moved later, or never. Only an operator knows."),),
    ),
}


class Act(StrEnum):
    """A button of the page: none of them can lose mail or lock anybody out."""

    RETRY = "retry"
    RESUME = "resume"
    STOP = "stop"
    PASSWORD = "password"
    TELL = "tell"


# While the move itself is under way nothing is safe but to tell somebody.
_HANDS_OFF: Final = frozenset({_S.CUTTING_OVER, _S.ROLLING_BACK, _S.HELD, _S.ATTENTION})
_STOPPABLE: Final = frozenset({_S.NEW, _S.CHECKING, _S.STAGING, _S.READY})


def acts(
    state: AccountState, owner: Owner, cause: Cause, *, is_stopped: bool, is_paused: bool, is_told: bool
) -> tuple[Act, ...]:
    """Return the safe acts for an account. ``is_paused``: it waits a while before it tries again by itself.

    ``is_told``: the operator was told already, and has not looked yet.
    """
    told = () if is_told else (Act.TELL,)
    if state in _HANDS_OFF or owner is Owner.UNKNOWN:
        return told
    wanted = (
        (Act.PASSWORD, cause is Cause.PASSWORD),
        (Act.RETRY, state is _S.FAILED or (is_paused and state in _STOPPABLE and not is_stopped)),
        (Act.RESUME, is_stopped),
        (Act.STOP, state in _STOPPABLE and not is_stopped),
    )
    return (*(act for act, is_so in wanted if is_so), *told)


_ALPHABET: Final = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec "
        "Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu".split(),
        strict=True,
    )
)
_SIGNS: Final = {".": _("dot"), "@": _("at sign"), "-": _("hyphen"), "_": _("underscore"), "+": _("plus sign")}


@dataclass(frozen=True, slots=True)
class Spelled:
    """A piece of an address as it is read out: ``said`` stands out, ``like`` follows it."""

    said: str
    like: str = ""
    is_sign: bool = False


def spelled(address: str) -> list[Spelled]:
    """Return an address as it is spelled on the telephone: letters up to the at sign, then whole words."""
    local, at, domain = address.partition("@")
    pieces = [piece for part in _parts(local) for piece in _letters(part)]
    if at:
        pieces += [_sign(at), *(_sign(part) if part in _SIGNS else Spelled(part) for part in _parts(domain))]
    return pieces


def _parts(text: str) -> list[str]:
    parts = [""]
    for character in text:
        if character in _SIGNS:
            parts += [character, ""]
        else:
            parts[-1] += character
    return [part for part in parts if part]


def _letters(part: str) -> list[Spelled]:
    if part in _SIGNS:
        return [_sign(part)]
    if len(part) == 1:
        return [Spelled(part.upper(), _ALPHABET.get(part.upper(), ""))]
    return [Spelled(" ".join(part.upper()))]


def _sign(character: str) -> Spelled:
    return Spelled(str(_SIGNS[character]), is_sign=True)
