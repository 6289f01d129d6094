"""Which folder of the source goes into which role folder of the target (sent mail, drafts, trash, junk, archive).

Roles are told by the servers (SPECIAL-USE, RFC 6154). Only where a source tells none at all are they read off names,
and only to find a target folder that has the role under another name: a wrong guess must not rename anything else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from migrator.mail import Folder

# Usual names in lower case, the likeliest first: English, German, French, Spanish, Italian, Portuguese, Dutch, Nordic,
# Polish, Czech, Russian, Turkish.
ROLE_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "\\Sent": (
        "sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete elemente", "gesendete objekte",
        "gesendete nachrichten", "postausgang", "envoyés", "éléments envoyés", "messages envoyés", "courrier envoyé",
        "enviados", "elementos enviados", "mensajes enviados", "posta inviata", "inviata", "elementi inviati",
        "itens enviados", "mensagens enviadas", "verzonden", "verzonden items", "verzonden berichten", "skickat",
        "skickade objekt", "sendt", "sendte elementer", "sendt post", "lähetetyt", "wysłane", "elementy wysłane",
        "odeslané", "odeslaná pošta", "отправленные", "gönderilmiş öğeler", "gönderilenler",
    ),
    "\\Drafts": (
        "drafts", "draft", "entwürfe", "brouillons", "borradores", "bozze", "rascunhos", "concepten", "utkast",
        "kladder", "luonnokset", "kopie robocze", "wersje robocze", "koncepty", "rozepsané", "черновики", "taslaklar",
    ),
    "\\Trash": (
        "trash", "deleted items", "deleted messages", "deleted", "bin", "papierkorb", "gelöscht", "gelöschte elemente",
        "gelöschte objekte", "corbeille", "éléments supprimés", "papelera", "elementos eliminados", "cestino",
        "posta eliminata", "elementi eliminati", "lixeira", "lixo", "itens excluídos", "prullenbak",
        "verwijderde items", "papperskorgen", "borttaget", "papirkurv", "slettede elementer", "roskakori",
        "poistetut", "kosz", "elementy usunięte", "koš", "odstraněná pošta", "корзина", "удаленные",
        "silinmiş öğeler", "çöp kutusu",
    ),
    "\\Junk": (
        "junk", "spam", "junk e-mail", "junk email", "junk mail", "bulk mail", "spamverdacht", "unerwünscht",
        "junk-e-mail", "courrier indésirable", "indésirables", "pourriel", "correo no deseado", "posta indesiderata",
        "lixo eletrônico", "correio eletrônico não solicitado", "ongewenste e-mail", "ongewenst", "skräppost",
        "søppelpost", "uønsket mail", "roskaposti", "wiadomości-śmieci", "nevyžádaná pošta", "спам", "istenmeyen",
    ),
    "\\Archive": (
        "archive", "archives", "archiv", "archivo", "archivio", "arquivo", "archief", "arkiv", "arkisto", "archiwum",
        "archivovat", "архив", "arşiv",
    ),
}  # fmt: skip


# Folders of calendars, contacts and the like, as groupware shows them by IMAP, in lower case: English, German, French,
# Spanish, Italian, Dutch.
GROUPWARE_NAMES: Final = frozenset((
    "calendar", "kalender", "calendrier", "calendario", "agenda", "contacts", "kontakte", "contactos", "contatti",
    "contactpersonen", "emailed contacts", "suggested contacts", "tasks", "aufgaben", "tâches", "tareas", "attività",
    "taken", "journal", "diario", "dagboek", "notes", "notizen", "notas", "note", "notities", "birthdays",
))  # fmt: skip


class Candidate(NamedTuple):
    """A source folder and its name below the prefix, one string per level."""

    folder: Folder
    segments: tuple[str, ...]


def claims(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    """Return who has each role in the source: of two folders with one role, the one with the likelier name."""
    claimed: dict[str, Candidate] = {}
    for role in ROLE_NAMES:
        told = [candidate for candidate in candidates if candidate.folder.special_use == role]
        if told:
            claimed[role] = min(told, key=lambda candidate: _likelihood(role, candidate))
    return claimed


def guesses(candidates: Sequence[Candidate], target_names: Mapping[str, str]) -> dict[str, Candidate]:
    """Return who may have each role in a source that tells no roles: by usual names of the first level.

    ``target_names`` are the roles of the target and the last level of their folders' names. A role whose target folder
    has a namesake in the source is not guessed: these two belong together.
    """
    if any(candidate.folder.special_use for candidate in candidates):
        return {}
    names = {candidate.segments[-1].casefold() for candidate in candidates if len(candidate.segments) == 1}
    guessed = {}
    for role, target_name in target_names.items():
        likely = [candidate for candidate in candidates if _is_usual(role, candidate)]
        if likely and target_name.casefold() not in names:
            guessed[role] = min(likely, key=lambda candidate: _likelihood(role, candidate))
    return guessed


def folders_by_role(target: Collection[Folder]) -> dict[str, Folder]:
    """Return the target's role folders; the first one listed when two claim a role."""
    found: dict[str, Folder] = {}
    for folder in target:
        role = folder.special_use
        if role is not None and role in ROLE_NAMES and folder.selectable:
            found.setdefault(role, folder)
    return found


def _is_usual(role: str, candidate: Candidate) -> bool:
    return len(candidate.segments) == 1 and candidate.segments[0].casefold() in ROLE_NAMES[role]


def _likelihood(role: str, candidate: Candidate) -> tuple[int, int, bytes]:
    names = ROLE_NAMES[role]
    name = candidate.segments[-1].casefold()
    return names.index(name) if name in names else len(names), len(candidate.segments), candidate.folder.path.raw
