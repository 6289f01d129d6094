"""Events as sentences: what happened, in the words of pages. Total: an event that is not known here still reads.

Names are stored with codes and numbers; this is the one place that words them, for the pages of one account and for
the log. No protocol word, no number of a message, nothing that a server said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, ngettext

from campaigns.models import Event
from campaigns.selectors import copying, words
from campaigns.services import acceptance, copy_options, folder_trials, returns, void_goes
from campaigns.states import AccountState
from migrator.errors import CATALOGUE
from migrator.journal import StepKind

Data = Mapping[str, Any]
Words = str | Promise
Teller = Callable[[Data], str]

# Actors that are no person: parts of Mailferry. Workers are named by process and machine.
_PARTS: Final = frozenset({"ticker", "worker", "mailferry", "watchdog", ""})


def story(event: Event) -> str:
    """Return what happened as a sentence."""
    known = _told_by(event.name)
    if known is None:
        return _spelled(event.name)
    return known(event.data) if callable(known) else str(known)


def actor(event: Event) -> str:
    """Return who did it: the name of a person, or Mailferry. Needs ``event.actor`` where there is one."""
    if event.actor is not None:
        return event.actor.get_full_name() or event.actor.get_username()
    is_part = event.actor_name in _PARTS or "@" in event.actor_name
    return gettext("Mailferry") if is_part else event.actor_name


def is_known(name: str) -> bool:
    """True when events of this name have a sentence of their own."""
    return _told_by(name) is not None


def _told_by(name: str) -> Words | Teller | None:
    if name.startswith(_STEP):
        kind, _, how = name.removeprefix(_STEP).partition(".")
        return (lambda data: _step(kind, how, data)) if kind in words.STEPS and how in _STEPS else None
    return _STORIES.get(name)


def _spelled(name: str) -> str:
    subject, _, rest = name.partition(".")
    return f"{subject} {rest}".replace(".", " ").replace("_", " ").strip().capitalize() + "."


# What happened to an account's state


_STATES: Final[dict[AccountState, Words]] = {
    AccountState.NEW: gettext_lazy("Taken back in."),
    AccountState.CHECKING: gettext_lazy("Check before copying began."),
    AccountState.STAGING: gettext_lazy("Copying ahead began."),
    AccountState.READY: gettext_lazy("Copied ahead."),
    AccountState.CUTTING_OVER: gettext_lazy("The move began."),
    AccountState.DONE: gettext_lazy("Moved: works on the new server."),
    AccountState.ROLLING_BACK: gettext_lazy("The way back to the old server began."),
    AccountState.HELD: gettext_lazy("Stays locked, new mail waits: a person must act."),
    AccountState.FAILED: gettext_lazy("Not moved; works on the old server as before."),
    AccountState.ATTENTION: gettext_lazy("Stopped and asked for a decision."),
    AccountState.EXCLUDED: gettext_lazy("Left out of the move."),
}
# Where the state that it comes from makes another sentence
_ROADS: Final[dict[tuple[str, AccountState], Words]] = {
    ("ready", AccountState.STAGING): gettext_lazy("Copying the changes since began."),
    ("failed", AccountState.STAGING): gettext_lazy("Tried again: copying ahead goes on."),
    ("failed", AccountState.CHECKING): gettext_lazy("Tried again: checked once more."),
    ("failed", AccountState.READY): gettext_lazy("Tried again: waits for its window once more."),
    ("held", AccountState.CUTTING_OVER): gettext_lazy("The move goes on."),
    ("attention", AccountState.CUTTING_OVER): gettext_lazy("The move goes on."),
    ("done", AccountState.ROLLING_BACK): gettext_lazy("Is taken back to the old server."),
    ("rolling_back", AccountState.DONE): gettext_lazy("Was not taken back: works on the new server as before."),
    ("rolling_back", AccountState.READY): gettext_lazy("Back on the old server, as before; still copied ahead."),
    ("rolling_back", AccountState.FAILED): gettext_lazy("Back on the old server, as before. Not moved."),
    ("rolling_back", AccountState.EXCLUDED): gettext_lazy("Back on the old server, as before. Left out of the move."),
}
# Reasons that the sentence says already
_SAID: Final = frozenset({"", "retry", "asked", "rolled_back"})
_REASONS: Final[dict[str, Words]] = {
    "taken_back": gettext_lazy("What had come to the new server since is there, too."),
    "stopped": gettext_lazy("Somebody had asked to stop."),
    "failures": gettext_lazy("Too many accounts did not move."),
}


def _state_teller(state: AccountState) -> Teller:
    def tell(data: Data) -> str:
        road = _ROADS.get((str(data.get("start", "")), state), _STATES[state])
        return _with_reason(str(road), str(data.get("reason", "")))

    return tell


def _with_reason(sentence: str, reason: str) -> str:
    if reason in _SAID:
        return sentence
    if reason in CATALOGUE:
        return f"{sentence} {words.cause(reason)}"
    return f"{sentence} {_REASONS.get(reason) or gettext('Reason: %(reason)s') % {'reason': reason}}"


# Steps of a cutover

_STEP: Final = "account.cutover."
_STEPS: Final[dict[str, Words]] = {
    "begun": gettext_lazy("%(step)s: begun."),
    "done": gettext_lazy("%(step)s: done."),
    "undone": gettext_lazy("%(step)s: undone."),
    "failed": gettext_lazy("%(step)s: did not work."),
}


def _step(kind: str, how: str, data: Data) -> str:
    side = dict(data.get("step") or {}).get("side", "")
    sentence = str(_STEPS[how]) % {"step": words.step(StepKind(kind), side)}
    return f"{sentence} {_cause(data)}".strip()


def _cause(data: Data) -> str:
    """Return the words for the error of an event, which holds it whole or in parts."""
    error = data.get("error") or data
    code = error.get("code", "")
    return words.cause(code, error.get("side") or "") if code else ""


# What the engine tells


def _planned(data: Data) -> str:
    messages, folders = int(data.get("messages", 0)), int(data.get("folders", 0))
    if not messages:
        changes = int(data.get("flag_changes", 0))
        form = ngettext("No new message; %(n)s mark changed.", "No new message; %(n)s marks changed.", changes)
        return form % {"n": f"{changes:,}"}
    form = ngettext(
        "Looked at both sides: %(n)s message to copy",
        "Looked at both sides: %(n)s messages to copy",
        messages,
    )
    inside = ngettext("in %(n)s folder.", "in %(n)s folders.", folders)
    return f"{form % {'n': f'{messages:,}'}} {inside % {'n': f'{folders:,}'}}"


def folder_reason(code: str) -> str:
    """Return why a folder gets another name, or is left out; the code where no words are known."""
    return str(_RENAMED.get(code) or _LEFT_OUT.get(code) or code)


def _folder_renamed(data: Data) -> str:
    reason = _RENAMED.get(str(data.get("reason")), "")
    names = {"folder": words.folder(data.get("folder", "")), "target": words.folder(data.get("target", ""))}
    sentence = gettext("The folder %(folder)s is called %(target)s on the new server") % names
    return f"{sentence}: {reason}." if reason else f"{sentence}."


def _folder_left_out(data: Data) -> str:
    reason = _LEFT_OUT.get(str(data.get("reason")), "")
    sentence = gettext("The folder %(folder)s is left out") % {"folder": words.folder(data.get("folder", ""))}
    return f"{sentence}: {reason}." if reason else f"{sentence}."


def _left_behind(data: Data) -> str:
    sentence = gettext("A message in %(folder)s stays behind.") % {"folder": words.folder(data.get("folder", ""))}
    cause = _cause(data) if data.get("error") else words.outcome(str(data.get("outcome", "")))
    return f"{sentence} {cause}".strip()


def _altered(data: Data) -> str:
    form = {
        "flags": gettext("A message in %(folder)s was copied; not all its marks could be kept."),
        "date": gettext("A message in %(folder)s was copied; its date could not be kept."),
    }.get(str(data.get("what")), gettext("A message in %(folder)s was copied with a small change."))
    return form % {"folder": words.folder(data.get("folder", ""))}


def _repaired(data: Data) -> str:
    names = str(data.get("repairs", "")).split("+")
    done = ", ".join(str(_REPAIRS.get(name, name)) for name in names)
    form = gettext("A message in %(folder)s was copied after a repair: %(done)s.")
    return f"{form % {'folder': words.folder(data.get('folder', '')), 'done': done}} {_cause(data)}".strip()


def _flags_lost(data: Data) -> str:
    messages = int(data.get("messages", 0))
    form = ngettext(
        "In %(folder)s the mark %(flag)s of %(n)s message is not kept by the new server.",
        "In %(folder)s the mark %(flag)s of %(n)s messages is not kept by the new server.",
        messages,
    )
    mark = str(data.get("flag", "")).lstrip("\\")
    return form % {"folder": words.folder(data.get("folder", "")), "flag": mark, "n": f"{messages:,}"}


def _flags_renamed(data: Data) -> str:
    messages = int(data.get("messages", 0))
    form = ngettext(
        "In %(folder)s the mark %(flag)s of %(n)s message is called %(name)s on the new server.",
        "In %(folder)s the mark %(flag)s of %(n)s messages is called %(name)s on the new server.",
        messages,
    )
    names = {"flag": str(data.get("flag", "")).lstrip("\\"), "name": data.get("target", "")}
    return form % {"folder": words.folder(data.get("folder", "")), "n": f"{messages:,}", **names}


def _dates_from_headers(data: Data) -> str:
    form = gettext(
        "%(folder)s: the source keeps no dates of arrival. Taken instead: the last Received line (%(received)s), "
        "the Date line (%(date)s), the time of the copy (%(now)s)."
    )
    numbers = {name: f"{int(data.get(name, 0)):,}" for name in ("received", "date", "now")}
    return form % {"folder": words.folder(data.get("folder", "")), **numbers}


def _recent_copied(data: Data) -> str:
    form = gettext("The mail of the last %(days)s days is on the new server (%(n)s messages); older mail follows.")
    return form % {"days": f"{int(data.get('days', 0)):,}", "n": f"{int(data.get('messages', 0)):,}"}


def _dates_not_kept(data: Data) -> str:
    form = gettext(
        "The new server keeps another date for messages than they came with, as seen in %(folder)s. Programs that "
        "sort by arrival show them as new."
    )
    return form % {"folder": words.folder(data.get("folder", ""))}


def _mail_removed(data: Data) -> str:
    messages = int(data.get("messages", 0))
    form = ngettext(
        "%(n)s message was removed from %(folder)s of the old mailbox.",
        "%(n)s messages were removed from %(folder)s of the old mailbox.",
        messages,
    )
    return form % {"folder": words.folder(data.get("folder", "")), "n": f"{messages:,}"}


def _labels_unseen(data: Data) -> str:
    messages = int(data.get("messages", 0))
    form = ngettext(
        "The old server shows no folder for the label %(label)s: %(n)s message under it is copied as an archived one.",
        "The old server shows no folder for the label %(label)s: %(n)s messages under it are copied as archived ones.",
        messages,
    )
    return form % {"label": data.get("label", ""), "n": f"{messages:,}"}


def _labels_hidden(data: Data) -> str:
    if messages := int(data.get("messages", 0)):
        form = gettext(
            "The biggest folder shows exactly %(n)s messages: the owner's settings seem to limit folders by IMAP. "
            "What is beyond is not seen."
        )
        return form % {"n": f"{messages:,}"}
    return gettext(
        "The old server does not show the folder of all mail: archived mail without a label is not seen. Its owner "
        "can choose Show in IMAP in the settings of labels."
    )


def _uidl_format(data: Data) -> str:
    if not data.get("form"):
        return gettext("The user's programs that read by POP3 will fetch all mail again from the new server.")
    form = gettext("Programs that read by POP3 fetch all mail again unless the new server names it as %(form)s.")
    return form % {"form": data["form"]}


def _fields_missing(data: Data) -> str:
    messages = int(data.get("messages", 0))
    form = ngettext(
        "In %(folder)s nothing says of %(n)s message whether it was read: it counts as unread.",
        "In %(folder)s nothing says of %(n)s messages whether they were read: they count as unread.",
        messages,
    )
    return form % {"folder": words.folder(data.get("folder", "")), "n": f"{messages:,}"}


def _store_exposed(data: Data) -> str:
    if data.get("is_writable"):
        form = gettext("Everybody on that machine may read and change the mail in %(path)s.")
    else:
        form = gettext("Everybody on that machine may read the mail in %(path)s.")
    return form % {"path": data.get("path", "")}


def _file_skipped(data: Data) -> str:
    sentence = gettext("%(path)s is left out.") % {"path": data.get("path", "")}
    return f"{sentence} {_cause(data)}".strip()


def _counts_differ(data: Data) -> str:
    form = gettext("In %(folder)s the old server counts %(counted)s messages and shows %(listed)s. Those were copied.")
    numbers = {name: f"{int(data.get(name, 0)):,}" for name in ("counted", "listed")}
    return form % {"folder": words.folder(data.get("folder", "")), **numbers}


def _order_mixed(data: Data) -> str:
    form = gettext(
        "In %(folder)s %(count)s messages came to the new server before the old mail. In order of arrival they stand "
        "before it; by date everything is in its place."
    )
    return form % {"folder": words.folder(data.get("folder", "")), "count": f"{int(data.get('messages', 0)):,}"}


def _room_short(data: Data) -> str:
    needed, free = int(data.get("needed", 0)), int(data.get("free", 0))
    if data.get("resource") == "MESSAGE":
        form = gettext("The new mailbox may become full: %(needed)s messages wait, and %(free)s more may come in.")
        return form % {"needed": f"{needed:,}", "free": f"{free:,}"}
    form = gettext("The new mailbox may become full: %(needed)s are needed, and %(free)s are free.")
    return form % {"needed": filesizeformat(needed), "free": filesizeformat(free)}


def _folder_failed(data: Data) -> str:
    sentence = gettext("The folder %(folder)s is not finished.") % {"folder": words.folder(data.get("folder", ""))}
    return f"{sentence} {_cause(data)}".strip()


def _grant_lost(data: Data) -> str:
    names = {"folder": words.folder(data.get("folder", "")), "who": data.get("who", "")}
    if not names["who"]:
        return gettext("The folder %(folder)s was open to others; the old server does not tell to whom.") % names
    if data.get("is_denial"):
        return gettext("The folder %(folder)s was closed to %(who)s; on the new server that is not so.") % names
    return gettext("The folder %(folder)s was open to %(who)s; on the new server it is not.") % names


def _pop_readers(data: Data) -> str:
    numbers = {name: f"{int(data.get(name, 0)):,}" for name in ("again", "messages", "mixed")}
    told = gettext("Programs that read by POP3 fetch %(again)s of %(messages)s messages again.") % numbers
    if int(data.get("mixed", 0)):
        told += (
            " " + gettext("They take %(mixed)s messages for others that they have, and do not fetch them.") % numbers
        )
    return told


def _pop_readers_unknown(data: Data) -> str:
    told = gettext("Whether programs that read by POP3 will fetch mail again is not known.")
    return f"{told} {_cause(data)}".strip()


def _note_lost(data: Data) -> str:
    names = {"folder": words.folder(data.get("folder", "")), "entry": data.get("entry", "")}
    if not names["entry"]:
        return gettext("The old server does not tell what is noted on the folder %(folder)s.") % names
    if data.get("is_taken"):
        return gettext("The folder %(folder)s has another note %(entry)s on the new server, which stays.") % names
    return gettext("The note %(entry)s on the folder %(folder)s is not set on the new server.") % names


def _classes_copied(data: Data) -> str:
    folders, copied = int(data.get("folders", 0)), int(data.get("copied", 0))
    form = ngettext(
        "%(n)s folder has a class, as a calendar has; %(copied)s was set on the new server.",
        "%(n)s folders have a class, as a calendar has; %(copied)s were set on the new server.",
        folders,
    )
    return form % {"n": f"{folders:,}", "copied": f"{copied:,}"}


def _classes_absent(data: Data) -> str:
    return f"{gettext('No classes of folders are copied.')} {_cause(data)}".strip()


def _class_left_behind(data: Data) -> str:
    form = gettext("The class %(kind)s of the folder %(folder)s: %(reason)s.")
    reason = _CLASS_ENDS.get(data.get("reason", ""), data.get("reason", ""))
    if data.get("there"):
        reason = f"{reason} ({data['there']})"
    names = {"kind": data.get("kind", ""), "folder": words.folder(data.get("folder", "")), "reason": reason}
    return f"{form % names} {_cause(data)}".strip()


def _scripts_copied(data: Data) -> str:
    scripts = int(data.get("scripts", 0))
    form = ngettext("%(n)s Sieve script is looked through.", "%(n)s Sieve scripts are looked through.", scripts)
    sentence = form % {"n": f"{scripts:,}"}
    if data.get("active"):
        sentence += " " + gettext("Active is %(script)s, as on the old server.") % {"script": data["active"]}
    return sentence


def _scripts_absent(data: Data) -> str:
    return f"{gettext('No Sieve scripts are copied.')} {_cause(data)}".strip()


def _script_left_behind(data: Data) -> str:
    form = gettext("The Sieve script %(script)s: %(reason)s.")
    reason = _SCRIPT_ENDS.get(data.get("reason", ""), data.get("reason", ""))
    sentence = form % {"script": data.get("script", ""), "reason": reason}
    if data.get("missing"):
        sentence += " " + gettext("It needs what is not offered there: %(missing)s.") % {"missing": data["missing"]}
    is_said = (data.get("error") or {}).get("code") in _SAID_BY_ENDS
    return sentence if is_said else f"{sentence} {_cause(data)}".strip()


def _script_renamed(data: Data) -> str:
    form = gettext("The Sieve script %(script)s is called %(target)s on the new server.")
    return form % {"script": data.get("script", ""), "target": data.get("target", "")}


def _script_folder_renamed(data: Data) -> str:
    form = gettext(
        "The Sieve script %(script)s files into %(folder)s, which is called %(target)s on the new server: its owner "
        "must change it."
    )
    return form % {name: data.get(name, "") for name in ("script", "folder", "target")}


def _survey_stopped(data: Data) -> str:
    return f"{gettext('The check before copying ended early.')} {_cause(data)}".strip()


def _reconnecting(data: Data) -> str:
    return f"{_cause(data)} {gettext('Connecting again.')}".strip()


_RENAMED: Final[dict[str, Words]] = {
    "separator": gettext_lazy("its name holds the character that parts folders there"),
    "forbidden": gettext_lazy("its name holds characters that are not allowed there"),
    "blank": gettext_lazy("its name begins or ends with a blank"),
    "too_long": gettext_lazy("its name is too long or too deep"),
    "flattened": gettext_lazy("folders cannot stand inside that folder there"),
    "reserved": gettext_lazy("its name is reserved there"),
    "renamed_since": gettext_lazy("it got another name on the old server after it was copied"),
    "case": gettext_lazy("another folder differs only in capitals"),
    "collision": gettext_lazy("another folder has that name there"),
    "parent": gettext_lazy("the folder around it is renamed"),
    "rule": gettext_lazy("a rule says so"),
    "guessed_prefix": gettext_lazy("the prefix that all folders share is left off"),
}
_CLASS_ENDS: Final[dict[str, Words]] = {
    "other_there": gettext_lazy("the folder has another class on the new server, which stays"),
    "not_copied": gettext_lazy(
        "the folder itself is not on the new server; it was left out, or the old server does not show it by IMAP"
    ),
    "hidden": gettext_lazy(
        "the new server would hide the folder from IMAP; have IMAP show all folders of the account there "
        "(IMAPSeesNonMail), and it is set with the next pass"
    ),
    "refused": gettext_lazy("the new server does not take it"),
}
_SCRIPT_ENDS: Final[dict[str, Words]] = {
    "refused": gettext_lazy("the new server does not take it"),
    "unreadable": gettext_lazy("the old server does not hand it out"),
    "other_there": gettext_lazy("the new mailbox has another of this name, which stays"),
    "removed_there": gettext_lazy("it was removed from the new mailbox, and stays so"),
    "not_active": gettext_lazy("it is there, and not active"),
    "switched_there": gettext_lazy("it is there; its owner switched it off, or another on"),
}
_SAID_BY_ENDS: Final = ("sieve.refused", "sieve.unreadable")
_REPAIRS: Final[dict[str, Words]] = {
    "pop-name": gettext_lazy("the name by which POP3 programs know it put in"),
    "nul": gettext_lazy("NUL characters replaced"),
    "line-ends": gettext_lazy("line ends made whole"),
    "mbox-line": gettext_lazy("the line of an old mail file taken off its beginning"),
    "separator": gettext_lazy("the missing blank line between header and text put in"),
    "header-line": gettext_lazy("a broken header line joined to the one before"),
    "header-8bit": gettext_lazy("the letters of its header encoded"),
    "long-lines": gettext_lazy("long lines encoded anew"),
    "long-lines-signed": gettext_lazy("long lines encoded anew, which breaks its signature"),
    "read-receipt": gettext_lazy("its request for a read receipt disarmed"),
}
_LEFT_OUT: Final[dict[str, Words]] = {
    "unspeakable_name": gettext_lazy("its name holds characters that no mail program can name"),
    "virtual": gettext_lazy("it only shows messages of other folders"),
    "skipped": gettext_lazy("a rule says so"),
    "groupware": gettext_lazy("it holds no mail but calendars, contacts or the like"),
    "not_subscribed": gettext_lazy("only subscribed folders are copied"),
    "listed_twice": gettext_lazy("the old server lists it under another name, too"),
}


# What people and the panel do


def _caused(words_: Words) -> Teller:
    """Return a teller of a sentence after which the cause follows."""
    return lambda data: f"{words_} {_cause(data)}".strip()


def _reasoned(words_: Words) -> Teller:
    """Return a teller of a sentence after which its reason follows."""
    return lambda data: _with_reason(str(words_), str(data.get("reason", "")))


def _said_go(data: Data) -> str:
    told = gettext("Said go: accounts move from now on, within their window.")
    if not data.get("despite"):
        return told
    return _with_reason(f"{told} {gettext('Something that is needed was not well.')}", str(data["despite"]))


def _noted(words_: Words) -> Teller:
    """Return a teller of a sentence after which the words of helpdesk follow."""
    return lambda data: f"{words_} {data.get('note', '')}".strip()


def _about(words_: Words, *names: str) -> Teller:
    """Return a teller that fills in the facts named; what an event did not bring leaves its place empty."""
    return lambda data: str(words_) % {name: data.get(name, "") for name in names}


def _resolved(data: Data) -> str:
    decided = {
        "forward": gettext("Decided: finish the move."),
        "back": gettext("Decided: let the user back to the old server."),
        "on_source": gettext("Decided by hand: the user is on the old server."),
        "on_target": gettext("Decided by hand: the user is on the new server."),
    }.get(str(data.get("verdict")), gettext("Decided."))
    return _with_reason(decided, str(data.get("reason", "")))


def _password_changed(data: Data) -> str:
    is_old = str(data.get("field", "")).startswith("source")
    if data.get("is_there", True):
        return gettext("New password for the old server.") if is_old else gettext("New password for the new server.")
    return gettext("Password of the old server removed.") if is_old else gettext("Password of the new server removed.")


def _rule_set(data: Data) -> str:
    names = {"folder": words.folder(data.get("folder", "")), "target": words.folder(data.get("target", ""))}
    if data.get("action") == "rename":
        return gettext("Rule: the folder %(folder)s is called %(target)s on the new server.") % names
    return gettext("Rule: the folder %(folder)s is left out.") % names


def _rule_cleared(data: Data) -> str:
    return gettext("The rule for the folder %(folder)s is gone.") % {"folder": words.folder(data.get("folder", ""))}


def _copying_changed(data: Data) -> str:
    told = {"fields": copying.changed_fields(data), "n": data.get("version", 1)}
    return gettext("How mail is copied was changed (version %(n)s): %(fields)s.") % told


def _folders_tried(data: Data) -> str:
    told = {"accounts": ", ".join(map(str, data.get("accounts", ())))}
    return gettext("The folders of %(accounts)s were listed, to try rules on them.") % told


def _batch_step(data: Data) -> str:
    step, accounts = str(data.get("step", "")), int(data.get("accounts", 0))
    form = ngettext(
        "%(n)s account takes the next step: %(step)s.", "%(n)s accounts take the next step: %(step)s.", accounts
    )
    return form % {"n": f"{accounts:,}", "step": words.STEPS.get(step, step)}


def _filled(data: Data) -> str:
    accounts = int(data.get("accounts", 0))
    return ngettext("%(n)s account came in.", "%(n)s accounts came in.", accounts) % {"n": f"{accounts:,}"}


def _imported(data: Data) -> str:
    kinds = (
        ("added", gettext("%(n)s new")),
        ("changed", gettext("%(n)s changed")),
        ("refused", gettext("%(n)s refused")),
        ("gone", gettext("%(n)s no longer on it")),
    )
    parts = [form % {"n": f"{int(data[kind]):,}"} for kind, form in kinds if data.get(kind)]
    return gettext("A list was taken in: %(parts)s.") % {"parts": ", ".join(parts) or gettext("nothing new")}


def _acceptance_passed(data: Data) -> str:
    form = gettext("Signed in as the user, to see whether all is well: %(n)s messages are there.")
    return form % {"n": f"{int(data.get('messages', 0)):,}"}


def _alarm_raised(data: Data) -> str:
    accounts = int(data.get("accounts", 0))
    if data.get("kind") == "held":
        form = ngettext(
            "Alarm: mail of %(n)s user is held longer than allowed.",
            "Alarm: mail of %(n)s users is held longer than allowed.",
            accounts,
        )
    else:
        form = ngettext(
            "Alarm: %(n)s user is locked out longer than allowed.",
            "Alarm: %(n)s users are locked out longer than allowed.",
            accounts,
        )
    return form % {"n": f"{accounts:,}"}


def _looked_since(data: Data) -> str:
    messages = int(data.get("messages", 0))
    form = ngettext(
        "Looked what would go back: %(n)s message came to the new server since.",
        "Looked what would go back: %(n)s messages came to the new server since.",
        messages,
    )
    return form % {"n": f"{messages:,}"}


def _source_mail_removed(data: Data) -> str:
    removed, kept = int(data.get("removed", 0)), sum(map(int, (data.get("kept") or {}).values()))
    form = ngettext(
        "%(n)s message was removed from the old server after its copy was read again; %(kept)s were kept.",
        "%(n)s messages were removed from the old server after their copies were read again; %(kept)s were kept.",
        removed,
    )
    return form % {"n": f"{removed:,}", "kept": f"{kept:,}"}


_STORIES: Final[dict[str, Words | Teller]] = {
    **{f"account.state.{state}": _state_teller(state) for state in AccountState},
    "account.owner.source": gettext_lazy("The mailbox is live on the old server."),
    "account.owner.target": gettext_lazy("The mailbox is live on the new server."),
    "account.owner.unknown": gettext_lazy(
        "The switch began: which server is live is not proved until it is confirmed."
    ),
    "account.retried": gettext_lazy("Asked to try again at once."),
    "account.stop_requested": gettext_lazy("Asked to stop."),
    "account.vouched": gettext_lazy("Somebody said that both mailboxes belong to one person."),
    "account.resumed": gettext_lazy("Asked to go on."),
    "account.resolved": _resolved,
    "account.password.changed": _password_changed,
    "account.changed": gettext_lazy("Changed by a list."),
    "account.call.noted": _noted(gettext_lazy("A call was noted.")),
    "account.operator.told": _noted(gettext_lazy("Told the operator.")),
    "account.operator.looked": gettext_lazy("The operator has looked."),
    "account.changed_late": gettext_lazy("A change may have come too late. Look at this account in the directory."),
    "account.check.failed": _caused(gettext_lazy("The check before copying found a fault.")),
    "account.catch_up.failed": _caused(gettext_lazy("Late mail could not be looked for.")),
    "account.lease.expired": gettext_lazy("The worker was lost; another one goes on from the last safe place."),
    "account.folder_rule.set": _rule_set,
    "account.folder_rule.cleared": _rule_cleared,
    "account.pass.planned": _planned,
    "account.pass.reconnecting": _reconnecting,
    "account.folder.renamed": _folder_renamed,
    "account.folder.left_out": _folder_left_out,
    "account.folder.failed": _folder_failed,
    "account.folder.counts_differ": _counts_differ,
    "account.folder.order_mixed": _order_mixed,
    "account.message.left_behind": _left_behind,
    "account.message.altered": _altered,
    "account.message.repaired": _repaired,
    "account.flags.lost": _flags_lost,
    "account.target.room_short": _room_short,
    "account.flags.renamed": _flags_renamed,
    "account.dates.from_headers": _dates_from_headers,
    "account.pass.recent_copied": _recent_copied,
    "account.target.dates_not_kept": _dates_not_kept,
    "account.mail.removed": _mail_removed,
    "account.labels.unseen": _labels_unseen,
    "account.labels.hidden": _labels_hidden,
    "account.source.uidl_format": _uidl_format,
    "account.folder.fields_missing": _fields_missing,
    "account.store.exposed": _store_exposed,
    "account.file.skipped": _file_skipped,
    "account.grant.lost": _grant_lost,
    "account.pop.readers": _pop_readers,
    "account.pop.readers_unknown": _pop_readers_unknown,
    "account.note.lost": _note_lost,
    "account.classes.copied": _classes_copied,
    "account.classes.absent": _classes_absent,
    "account.classes.failed": _caused(gettext_lazy("The classes of folders did not come to their end.")),
    "account.class.left_behind": _class_left_behind,
    "account.scripts.copied": _scripts_copied,
    "account.scripts.absent": _scripts_absent,
    "account.scripts.failed": _caused(gettext_lazy("The Sieve scripts did not come to their end.")),
    "account.script.left_behind": _script_left_behind,
    "account.script.renamed": _script_renamed,
    "account.script.folder_renamed": _script_folder_renamed,
    returns.LOOKED: _looked_since,
    returns.LOOKED_AT_MANY: _looked_since,
    "account.source_mail.removed": _source_mail_removed,
    "batch.retirement.asked": _reasoned(gettext_lazy("Asked that the mail be removed from the old server.")),
    "batch.retirement.approved": gettext_lazy("Approved that the mail be removed from the old server."),
    "batch.retirement.withdrawn": gettext_lazy("Withdrew it: nothing more is removed from the old server."),
    "batch.created": gettext_lazy("Batch made."),
    "batch.filled": _filled,
    "batch.split": gettext_lazy("Cut the batch into smaller ones."),
    "batch.planned": gettext_lazy("Times or limits of the batch set."),
    "batch.started": gettext_lazy("Started the batch: checks and copying ahead."),
    "batch.go": _said_go,
    "batch.go_withdrawn": gettext_lazy("Withdrew the go: no more moves begin."),
    void_goes.VOID: gettext_lazy("The go counts no more: the method, a server or a connection was changed meanwhile."),
    "batch.canary_passed": gettext_lazy("Approved the first few: the others follow."),
    acceptance.PASSED: _acceptance_passed,
    acceptance.FAILED: _caused(gettext_lazy("Signed in as the user, to see whether all is well: it is not.")),
    "batch.alarm.raised": _alarm_raised,
    "batch.alarm.ended": gettext_lazy("The alarm is over: nobody waits longer than allowed any more."),
    "batch.alarm.acknowledged": gettext_lazy("Said that the alarm was seen."),
    "alarm.test.sent": _about(gettext_lazy("Sent a test alarm by %(called)s."), "called"),
    "alarm.test.acknowledged": _about(gettext_lazy("Read the test alarm that came by %(called)s."), "called"),
    "alarm.channel.created": _about(gettext_lazy("Way out for alarms %(called)s added."), "called"),
    "alarm.channel.changed": _about(gettext_lazy("Way out for alarms %(called)s changed."), "called"),
    "alarm.channel.removed": _about(gettext_lazy("Way out for alarms %(called)s taken away."), "called"),
    "batch.step": _batch_step,
    "batch.paused": _reasoned(gettext_lazy("Paused the batch.")),
    "batch.resumed": gettext_lazy("Resumed the batch."),
    "batch.proof.taken": gettext_lazy("Took the signed proof of the batch."),
    "account.proof.taken": gettext_lazy("Took the signed proof of the account."),
    "proof.key_made": gettext_lazy("The key that signs proofs was made."),
    "batch.survey.asked": gettext_lazy("Asked for a check of the batch before it is copied."),
    "batch.survey.ended": gettext_lazy("The check before copying is through."),
    "batch.survey.stopped": _survey_stopped,
    "batch.by_hand.looked": gettext_lazy("Looked whether a step that a person does was done: not yet."),
    "batch.by_hand.confirmed": gettext_lazy("Looked whether a step that a person does was done: it was."),
    "batch.by_hand.recorded": _reasoned(gettext_lazy("Recorded a step as done by hand.")),
    "batch.by_hand.withdrawn": gettext_lazy("Took back that a step was done."),
    "campaign.places.changed": gettext_lazy("Names and ports of the campaign changed."),
    "campaign.programs.looked": gettext_lazy("Looked what mail programs will notice."),
    "campaign.programs.failed": gettext_lazy("Looked what mail programs will notice: it could not be seen."),
    "campaign.clients.read": gettext_lazy("A log of the old server was read: who still uses it."),
    "campaign.clients.forgotten": gettext_lazy("Forgot who was seen to use the old server."),
    "batch.queue.seen": gettext_lazy("Looked at the queue of the old server."),
    "batch.ended": gettext_lazy("The batch has ended: nothing more happens without a person."),
    "campaign.created": gettext_lazy("Campaign made."),
    copy_options.OF_CAMPAIGN: _copying_changed,
    copy_options.OF_ACCOUNT: _copying_changed,
    folder_trials.TRIED: _folders_tried,
    "campaign.configured": gettext_lazy("Name, method or options of the campaign changed."),
    "campaign.list_imported": _imported,
    "list.refused_exported": gettext_lazy("The refused rows of a list were downloaded, to be mended."),
    "campaign.paused": _reasoned(gettext_lazy("Paused the campaign.")),
    "campaign.resumed": gettext_lazy("Resumed the campaign."),
    "campaign.closed": gettext_lazy("Closed the campaign."),
    "campaign.recipe.accepted": gettext_lazy("The method was proved on a test account."),
    "campaign.recipe.refused": gettext_lazy("The method was tried on a test account and not accepted."),
    "server.created": _about(gettext_lazy("Server %(called)s added."), "called"),
    "server.certificate.accepted": _about(
        gettext_lazy("Exactly one certificate is accepted for %(called)s: %(fingerprint)s."), "called", "fingerprint"
    ),
    "server.certificate.dropped": _about(
        gettext_lazy("The accepted certificate of %(called)s is accepted no more: %(fingerprint)s."),
        "called",
        "fingerprint",
    ),
    "server.probe.sent": _about(
        gettext_lazy("%(account)s is to send a test message to itself on %(called)s."), "account", "called"
    ),
    "server.probe.ended": _about(
        gettext_lazy("The try to send a test message from %(account)s to itself on %(called)s is over."),
        "account",
        "called",
    ),
    "server.room.seen": _about(
        gettext_lazy("Somebody looked at the disks of %(called)s: %(words)s"), "called", "words"
    ),
    "server.password.changed": gettext_lazy("The administrator's password of a server changed."),
    "server.breaker.opened": _caused(gettext_lazy("A server is at fault: nobody new is sent there for a while.")),
    "server.breaker.closed": gettext_lazy("A server works again: accounts go on."),
    "connector.created": _about(gettext_lazy("Connection %(called)s added."), "called"),
    "connector.password.changed": gettext_lazy("The password of a connection changed."),
    "address.allowed": _about(gettext_lazy("Address %(host)s allowed."), "host"),
    "staff.link.made": _about(gettext_lazy("A link to choose a password was made for %(user)s."), "user"),
    "staff.created": _about(gettext_lazy("A staff login was made for %(user)s."), "user"),
    "demo.room.made": gettext_lazy("Made room in the new mailbox (the demo can)."),
    "staff.password.chosen": gettext_lazy("Chose a password."),
    "address.removed": _about(gettext_lazy("Address %(host)s is allowed no more."), "host"),
    "connector.changed": _about(gettext_lazy("Connection %(called)s changed."), "called"),
    "server.changed": _about(gettext_lazy("Server %(called)s changed."), "called"),
    "staff.opened": _about(gettext_lazy("Staff login %(user)s opened again."), "user"),
    "staff.closed": _about(gettext_lazy("Staff login %(user)s closed."), "user"),
    "staff.password.changed": gettext_lazy("Changed their own password."),
    "staff.roles.changed": _about(gettext_lazy("Roles of %(user)s changed."), "user"),
    "installation.restored": gettext_lazy("Mailferry was brought back from a backup; every campaign is paused."),
}
