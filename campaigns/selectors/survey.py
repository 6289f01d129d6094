"""The survey of a batch as its page shows it: who will not move and why, what stays behind, and how long it takes.

Three queries, however many accounts: the survey, its rows, and the last runs between the same servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from campaigns.bridge import copying
from campaigns.models import Batch, BatchSurvey, Run, SurveyedAccount
from campaigns.selectors import stories, words
from migrator.entries import Json
from migrator.preflight.foreseen import AccountSurvey, Foreseen, Severity
from migrator.preflight.not_moved import NotMoved, SideFacts, not_moved
from migrator.preflight.pace import Basis, Bottleneck, Done, Forecast, forecast
from migrator.stores.profiles import choose

SHOWN: Final = 20  # accounts with the same finding
_RUNS: Final = 300
HEADINGS: Final[dict[Severity, Promise]] = {
    Severity.STOPS: _("Will not be moved"),
    Severity.LOSES: _("Moved, but something stays behind"),
    Severity.CHANGES: _("Moved, and looks different"),
    Severity.NOTES: _("To know"),
}
FAMILIES: Final = {
    Severity.STOPS: "failed",
    Severity.LOSES: "attention",
    Severity.CHANGES: "working",
    Severity.NOTES: "waiting",
}
_BOTTLENECKS: Final[dict[Bottleneck, Promise]] = {
    Bottleneck.READING: _("the old server: it hands out mail no faster"),
    Bottleneck.STORING: _("the new server: it stores mail no faster"),
    Bottleneck.OPENING: _("signing in and listing: many small mailboxes, or a long way to the servers"),
    Bottleneck.ONE_ACCOUNT: _("one big mailbox, which takes longer than all others side by side"),
    Bottleneck.DAILY_LIMIT: _("what the old server hands out of a mailbox in a day"),
    Bottleneck.UNKNOWN: _("not known: how fast the new server stores cannot be measured without writing"),
}


@dataclass(frozen=True, slots=True)
class Met:
    """One account with a finding, and what makes it that of this account."""

    account_id: int
    login: str
    told: str


@dataclass(frozen=True, slots=True)
class Group:
    """Accounts that share a finding."""

    code: str
    side: str  # which server it is about, in words
    sentence: str
    cure: str
    accounts: int
    first: list[Met]

    @property
    def more(self) -> int:
        """Accounts that are not shown."""
        return self.accounts - len(self.first)


@dataclass(frozen=True, slots=True)
class Section:
    """All groups of one severity."""

    severity: Severity
    heading: str
    family: str
    accounts: int
    groups: list[Group]


@dataclass(frozen=True, slots=True)
class Outlook:
    """How long it takes, in words."""

    forecast: Forecast
    lanes: int
    basis: str
    bottleneck: str
    account: Met | None


@dataclass(frozen=True, slots=True)
class SurveyPage:
    """A survey as it is shown. Without ``survey`` nobody has asked for one."""

    survey: BatchSurvey | None
    accounts: int = 0
    looked_at: int = 0
    stops: int = 0
    folders: int = 0
    messages: int = 0
    size_bytes: int = 0
    biggest_bytes: int = 0
    sections: tuple[Section, ...] = ()
    outlook: Outlook | None = None
    left: tuple[tuple[str, str], ...] = ()

    @property
    def is_under_way(self) -> bool:
        """True while accounts are looked at."""
        return self.survey is not None and self.survey.ended_at is None

    @property
    def unseen(self) -> int:
        """Accounts that nobody has looked at."""
        return self.accounts - self.looked_at

    @property
    def error(self) -> str:
        """Why it ended early; "" where it did not."""
        broke = self.survey if self.survey and self.survey.error_code else None
        return words.cause(broke.error_code, broke.error_side) if broke else ""

    @property
    def error_cure(self) -> str:
        """What to do about that."""
        broke = self.survey if self.survey and self.survey.error_code else None
        return words.cure(broke.error_code, broke.error_side) if broke else ""


Seen = tuple[Met, AccountSurvey]


def view(batch: Batch) -> SurveyPage:
    """Return the last survey of ``batch``."""
    survey = BatchSurvey.objects.filter(batch=batch).first()
    if survey is None:
        return SurveyPage(None)
    rows = SurveyedAccount.objects.filter(survey=survey).order_by("pk")
    told = rows.values_list("account_id", "account__source_login", "found", "taken_at")
    accounts, seen = 0, list[Seen]()
    for account_id, login, found, taken_at in told.iterator(chunk_size=500):
        accounts += 1
        if taken_at is not None:
            seen.append((Met(account_id, login, ""), AccountSurvey.from_json(found)))
    surveys = [one for _, one in seen]
    return SurveyPage(
        survey=survey,
        accounts=accounts,
        looked_at=len(seen),
        stops=sum(one.stops for one in surveys),
        folders=sum(one.folders for one in surveys),
        messages=sum(one.messages for one in surveys),
        size_bytes=sum(one.size_bytes for one in surveys),
        biggest_bytes=max((one.biggest_bytes for one in surveys), default=0),
        sections=tuple(filter(None, (_section(severity, seen) for severity in Severity))),
        outlook=_outlook(batch, seen),
        left=tuple((gettext(one.sentence), gettext(one.way)) for one in _left(batch, surveys)),
    )


def seen_so_far(batch: Batch) -> int | None:
    """Return how many accounts a survey that goes on has looked at; None where none goes on. Reads no findings."""
    if not BatchSurvey.objects.filter(batch=batch, ended_at=None).exists():
        return None
    return SurveyedAccount.objects.filter(survey=batch.pk, taken_at__isnull=False).count()


def _section(severity: Severity, seen: Sequence[Seen]) -> Section | None:
    """Return all findings of one severity, the most frequent first."""
    met: dict[tuple[str, str], dict[int, list[tuple[Met, Foreseen]]]] = {}
    for who, survey in seen:
        for found in survey.foreseen:
            if found.severity is severity:
                met.setdefault((found.code, found.side or ""), {}).setdefault(who.account_id, []).append((who, found))
    groups = [_group(code, side, by) for (code, side), by in met.items()]
    if not groups:
        return None
    accounts = len({account_id for by in met.values() for account_id in by})
    groups.sort(key=lambda one: (-one.accounts, one.code))
    return Section(severity, str(HEADINGS[severity]), FAMILIES[severity], accounts, groups)


def _group(code: str, side: str, by: dict[int, list[tuple[Met, Foreseen]]]) -> Group:
    first = next(iter(by.values()))[0][1]
    return Group(
        code=code,
        side=str(words.SIDES.get(side, "")),
        sentence=words.of_server(first.sentence, side),
        cure=words.of_server(first.next_step, side),
        accounts=len(by),
        first=[_met(one) for one in _first(by)],
    )


def _first(by: dict[int, list[tuple[Met, Foreseen]]]) -> list[list[tuple[Met, Foreseen]]]:
    return list(by.values())[:SHOWN]


def _met(pairs: list[tuple[Met, Foreseen]]) -> Met:
    who = pairs[0][0]
    return Met(who.account_id, who.login, " · ".join("; ".join(details(found)) for _, found in pairs))


def details(found: Foreseen) -> Iterator[str]:
    """Yield what makes a finding that of one account: figures, names of folders and flags, the server's words."""
    facts = found.facts
    if "needed" in facts:
        told = octets if facts["resource"] == "STORAGE" else _messages
        yield gettext("%(needed)s wait, %(free)s are free") % {
            "needed": told(_number(facts["needed"])), "free": told(_number(facts["free"]))
        }  # fmt: skip
    if "biggest" in facts:
        yield gettext("%(messages)s over %(limit)s, up to %(biggest)s") % {
            "messages": _messages(found.count), "limit": octets(_number(facts["limit"])),
            "biggest": octets(_number(facts["biggest"])),
        }  # fmt: skip
    elif "days" in facts:
        days = _number(facts["days"])
        yield ngettext("%(n)s day", "%(n)s days", days) % {"n": f"{days:,}"}
    elif "counted" in facts:
        yield gettext("counts %(counted)s, lists %(listed)s") % facts
    elif found.code in ("message.marked_deleted", "target.holds_mail"):
        yield _messages(found.count)
    elif found.code in ("flags.too_many", "flags.many"):
        crowded = {"folder": facts["folder"], "n": found.count, "limit": facts["limit"]}
        yield gettext("folder %(folder)s: %(n)s, kept are %(limit)s; used least:") % crowded
    if found.examples:
        yield ", ".join(found.examples) + (" …" if _is_cut(found) else "")
    if reason := str(facts.get("reason", "")):
        yield _reason(reason)
    if found.reply:
        yield found.reply


def _is_cut(found: Foreseen) -> bool:
    return found.code.startswith("folder.") and found.count > len(found.examples)


def _reason(code: str) -> str:
    if code == "special_use":
        return gettext("the new server has a folder for that")
    return stories.folder_reason(code)


def octets(count: float) -> str:
    """Return a size as pages show it: 210 MB, 3.8 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:,.1f} {unit}" if unit == "GB" else f"{count:,.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _messages(count: int) -> str:
    return ngettext("%(n)s message", "%(n)s messages", count) % {"n": f"{count:,}"}


def _number(fact: Json) -> int:
    return int(fact) if isinstance(fact, int | float) else 0


# How long, and what stays


def _outlook(batch: Batch, seen: Sequence[Seen]) -> Outlook | None:
    campaign = batch.campaign
    lanes = max(1, min(settings.LANES, campaign.source.max_lanes, campaign.target.max_lanes))
    told = forecast([survey for _, survey in seen], lanes, _passes(batch))
    if told is None:
        return None
    return Outlook(
        forecast=told,
        lanes=lanes,
        basis=_basis(told),
        bottleneck=str(_BOTTLENECKS[told.bottleneck]),
        account=seen[told.account][0] if told.account is not None else None,
    )


def _passes(batch: Batch) -> list[Done]:
    """Return the last copies between the same two servers."""
    pair = {"account__source": batch.campaign.source_id, "account__target": batch.campaign.target_id}
    rows = Run.objects.filter(kind="stage", ended_at__isnull=False, **pair).order_by("-pk")
    told = rows.values_list("started_at", "ended_at", "figures")[:_RUNS]
    return [
        Done((ended - started).total_seconds(), figures["appended"], figures.get("bytes", 0))
        for started, ended, figures in told
        if ended is not None and figures.get("appended")
    ]


def _basis(told: Forecast) -> str:
    if told.basis is Basis.PASSES:
        form = ngettext(
            "Taken from %(n)s copy between these servers.", "Taken from %(n)s copies between these servers.",
            told.measured,
        )  # fmt: skip
    else:
        form = ngettext(
            "Taken from %(n)s message that was read; nothing was written. Once a few accounts are copied, the range "
            "becomes narrow.",
            "Taken from %(n)s messages that were read; nothing was written. Once a few accounts are copied, the range "
            "becomes narrow.",
            told.measured,
        )
    return form % {"n": f"{told.measured:,}"}


def _left(batch: Batch, surveys: Sequence[AccountSurvey]) -> list[NotMoved]:
    known = next((survey for survey in surveys if any(survey.products)), None)
    if known is None:
        return []
    scripts = copying.of_campaign(batch.campaign).copies_scripts
    sides = [
        SideFacts(choose(product, {}, frozenset()).name, acl=has_acl, scripts=scripts)
        for product, has_acl in zip(known.products, known.has_access_lists, strict=True)
    ]
    return not_moved(*sides)
