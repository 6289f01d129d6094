"""What stands at the end of a survey: for people in lines, for programs as an object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from migrator.cli.survey import Outlook, Surveyed, exit_of
from migrator.cli.terminal import counted, duration, printable, size
from migrator.cli.watch import LEFT_OUT, RENAMINGS, title
from migrator.entries import Json
from migrator.errors import Side
from migrator.preflight.foreseen import AccountSurvey, Foreseen, Severity
from migrator.preflight.pace import Basis, Bottleneck, Forecast

ACCOUNTS_NAMED: Final = 20
HEADINGS: Final = {
    Severity.STOPS: "Will not be moved",
    Severity.LOSES: "Will be moved, but something stays behind",
    Severity.CHANGES: "Will be moved, and look different",
    Severity.NOTES: "To know",
}
_BOTTLENECKS: Final = {
    Bottleneck.READING: "the old server: it hands out mail no faster",
    Bottleneck.STORING: "the new server: it stores mail no faster",
    Bottleneck.OPENING: "signing in and listing: the way to the servers, and many small mailboxes",
    Bottleneck.ONE_ACCOUNT: "one big mailbox, which takes longer than all others side by side",
    Bottleneck.DAILY_LIMIT: "what the old server hands out of a mailbox in a day",
    Bottleneck.UNKNOWN: "not known: how fast the new server stores cannot be measured without writing",
}


def lines(outlook: Outlook, *, is_list: bool) -> list[str]:
    """Return the survey for people."""
    told = [*_sums(outlook, is_list=is_list)]
    for severity in Severity:
        told += _section(outlook, severity, is_list=is_list)
    told += ["", *_forecast(outlook)]
    if outlook.left:
        told += ["", "Not moved between these two servers:"]
        told += [f"  {one.sentence} {one.way}" for one in outlook.left]
    told += ["", _last_word(outlook)]
    return [printable(line) for line in told]


def _sums(outlook: Outlook, *, is_list: bool) -> Iterator[str]:
    surveys = [one.survey for one in outlook.surveyed]
    messages, octets = sum(one.messages for one in surveys), sum(one.size_bytes for one in surveys)
    there = (
        f"{counted(messages, 'message')} ({size(octets)}) in {counted(sum(one.folders for one in surveys), 'folder')}; "
        f"the biggest has {size(max((one.biggest_bytes for one in surveys), default=0))}."
    )
    yield "Nothing was written."
    yield f"{counted(len(surveys), 'account')}: {there}" if is_list else there
    if not is_list and any(surveys[0].products):
        yield f"The old server: {surveys[0].products[0]}. The new server: {surveys[0].products[1]}."


def _section(outlook: Outlook, severity: Severity, *, is_list: bool) -> Iterator[str]:
    """Yield all that was found of one severity, each code once with the accounts it meets."""
    met: dict[tuple[str, Side | None], list[tuple[Surveyed, Foreseen]]] = {}
    for one in outlook.surveyed:
        for found in one.survey.foreseen:
            if found.severity is severity:
                met.setdefault((found.code, found.side), []).append((one, found))
    if not met:
        return
    yield ""
    accounts = len({id(one) for pairs in met.values() for one, _ in pairs})
    yield HEADINGS[severity] + (f": {counted(accounts, 'account')}" if is_list else "")
    for pairs in sorted(met.values(), key=len, reverse=True):
        yield from _one_code(pairs, is_list=is_list)


def _one_code(pairs: Sequence[tuple[Surveyed, Foreseen]], *, is_list: bool) -> Iterator[str]:
    first = pairs[0][1]
    side = {Side.SOURCE: "The old server: ", Side.TARGET: "The new server: "}[first.side] if first.side else ""
    accounts = len({id(one) for one, _ in pairs})
    yield f"  {side}{first.sentence}" + (f" ({counted(accounts, 'account')})" if is_list else "")
    yield f"    What to do: {first.next_step}"
    for one, found in pairs[:ACCOUNTS_NAMED]:
        name = f"{title(one.account)}: " if is_list else ""
        if words := "; ".join(details(found)):
            yield f"    {name}{words}"
        elif is_list:
            yield f"    {title(one.account)}"
    if len(pairs) > ACCOUNTS_NAMED:
        yield f"    and {len(pairs) - ACCOUNTS_NAMED:,} more"


def details(found: Foreseen) -> Iterator[str]:
    """Yield what makes a finding that of this account: figures, names, the server's words."""
    facts = found.facts
    if "needed" in facts:
        told = size if facts["resource"] == "STORAGE" else "{:,} messages".format
        yield f"{told(_number(facts['needed']))} wait, {told(_number(facts['free']))} are free"
    if "biggest" in facts:
        limit, biggest = size(_number(facts["limit"])), size(_number(facts["biggest"]))
        yield f"{counted(found.count, 'message')} over {limit}, up to {biggest}"
    elif "days" in facts:
        yield f"{counted(_number(facts['days']), 'day')} at {size(_number(facts['bytes_a_day']))} a day"
    elif "counted" in facts:
        yield f"counts {_number(facts['counted']):,}, lists {_number(facts['listed']):,}"
    elif found.code in ("message.marked_deleted", "target.holds_mail"):
        yield counted(found.count, "message")
    elif found.code in ("flags.too_many", "flags.many"):
        yield f"folder {facts['folder']}: {found.count:,}, kept are {facts['limit']}; used least"
    if found.examples:
        more = f" and {found.count - len(found.examples):,} more" if found.code in _NAMED_ONE_BY_ONE else ""
        yield ", ".join(found.examples) + (more if found.count > len(found.examples) else "")
    if reason := str(facts.get("reason", "")):
        yield RENAMINGS.get(reason) or LEFT_OUT.get(reason) or _ROLES.get(reason, reason)
    if found.reply:
        yield found.reply


_NAMED_ONE_BY_ONE: Final = frozenset(
    ("folder.renamed", "folder.left_out", "folder.of_others", "folder.bad_name", "folder.groupware")
)
_ROLES: Final = {"special_use": "the new server has a folder for that"}


def _number(fact: Json) -> int:
    return int(fact) if isinstance(fact, int | float) else 0


def _forecast(outlook: Outlook) -> Iterator[str]:
    told = outlook.forecast
    if told is None:
        yield "How long it takes cannot be told: nothing was measured."
        return
    likely, lowest, highest = map(_time, (told.seconds, told.lowest, told.highest))
    lanes = counted(outlook.lanes, "account")
    yield f"It will take about {likely}, {lowest} at least, {highest} at most, with {lanes} at once."
    yield f"  {basis_words(told)}"
    yield f"  What holds it up: {_BOTTLENECKS[told.bottleneck]}" + _of_account(outlook, told)


def basis_words(told: Forecast) -> str:
    """Return what a forecast was taken from, in a sentence."""
    if told.basis is Basis.PASSES:
        return f"Taken from {counted(told.measured, 'copy', 'copies')} between these servers."
    return (
        f"Taken from {counted(told.measured, 'message')} that were read; nothing was written. "
        "Copy a few accounts first, and give what that told by --measured: the range becomes narrow."
    )


def _of_account(outlook: Outlook, told: Forecast) -> str:
    if told.account is None:
        return "."
    started = [one for one in outlook.surveyed if one.is_started]
    return f" ({title(started[told.account].account)})."


def _time(seconds: float) -> str:
    if seconds < 72 * 3600:
        return duration(seconds)
    return counted(timedelta(seconds=seconds).days, "day")


def _last_word(outlook: Outlook) -> str:
    stops = sum(one.survey.stops for one in outlook.surveyed)
    waiting = sum(not one.is_started for one in outlook.surveyed)
    if waiting:
        return f"The survey did not reach {counted(waiting, 'account')}."
    if not stops:
        return "Nobody is seen to fail."
    return f"{counted(stops, 'account')} will fail unless somebody does something."


# For programs


def as_object(outlook: Outlook) -> dict[str, Any]:
    """Return the survey for programs. Codes are stable, sentences are not."""
    surveys = [one.survey for one in outlook.surveyed]
    return {
        "exit_code": int(outlook.exit_code),
        "folders": sum(one.folders for one in surveys),
        "messages": sum(one.messages for one in surveys),
        "size_bytes": sum(one.size_bytes for one in surveys),
        "biggest_bytes": max((one.biggest_bytes for one in surveys), default=0),
        "forecast": _forecast_object(outlook.forecast, outlook.lanes),
        "not_moved": [one._asdict() for one in outlook.left],
        "accounts": [_account_object(one) for one in outlook.surveyed],
    }


def _forecast_object(told: Forecast | None, lanes: int) -> dict[str, Any] | None:
    if told is None:
        return None
    return {
        "seconds": round(told.seconds, 2),
        "lowest": round(told.lowest, 2),
        "highest": round(told.highest, 2),
        "lanes": lanes,
        "basis": told.basis,
        "measured": told.measured,
        "bottleneck": told.bottleneck,
    }


def _account_object(one: Surveyed) -> dict[str, Any]:
    account, survey = one.account, one.survey
    return {
        "line": account.line or None,
        "source": account.source,
        "target": account.target,
        "exit_code": int(exit_of(one)),
        "looked_at": one.is_started,
        **_counts(survey),
        "foreseen": [_foreseen_object(found) for found in survey.foreseen],
    }


def _counts(survey: AccountSurvey) -> dict[str, Any]:
    names = ("folders", "messages", "size_bytes", "biggest_bytes", "target_messages")
    return {name: getattr(survey, name) for name in names} | {"products": list(survey.products)}


def _foreseen_object(found: Foreseen) -> dict[str, Any]:
    return {
        "code": found.code,
        "severity": found.severity,
        "side": found.side,
        "count": found.count,
        "examples": list(found.examples),
        "facts": dict(found.facts),
        "sentence": found.sentence,
        "next_step": found.next_step,
        "reply": found.reply,
    }
