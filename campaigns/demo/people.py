"""Two hundred invented people of an invented firm, and the four of them who will not simply cross."""

from __future__ import annotations

import random
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FIRM: Final = "Kestrel Harbour"
DOMAIN: Final = "kestrel-harbour.example"
# Disabled in the directory; on it the panel proves that the administrator opens mailboxes whose user is locked out.
PROBE: Final = f"probe@{DOMAIN}"

_GIVEN: Final = (
    "Ada Ahmed Aiko Amara Andrzej Anneke Åsa Bao Beatriz Björn Camille Carlos Chidi Clara Dana Daniel Élodie Emre "
    "Esther Farid Fiona Freya Giulia Goran Hana Henrik Ines Isaac Ivana Jamal Jana João Jonas Kaito Karin Katarzyna "
    "Kofi Lars Leila Liam Lucía Łukasz Maeve Malik Marta Mei Mikael Mina Nadia Niamh Noor Olga Omar Paolo Petra "
    "Priya Quentin Rahel Ravi Rosa Ruth Samir Siobhán Sofia Søren Tamar Tereza Theo Tomás Ulrike Vera Viktor "
    "Wanjiru Xenia Yara Yusuf Zoë"
).split()
_FAMILY: Final = (
    "Abara Almeida Andersson Bakker Baumann Bianchi Byrne Calder Castellanos Dahl Demir Dubois Eriksen Falk "
    "Fernández Fitzgerald Fontaine Grünwald Haddad Hansen Horvat Ibáñez Ivanova Jansen Kaplan Keller Kim Kowalski "
    "Larsen Lindqvist Lê Marchetti Mbeki Moreau Müller Nakamura Nowak O'Hara O'Sullivan Okafor Olsen Öztürk "
    "Papadaki Pereira Petrov Quinn Rasmussen Rossi Sandoval Schäfer Sørensen Suzuki Svoboda Szabó Tanaka Thibault "
    "Tran Ueda Vaughan Vogel Walsh Weiß Winter Yilmaz Zając Zimmermann"
).split()
DEPARTMENTS: Final = (
    "Quay",
    "Pilots",
    "Customs",
    "Accounts",
    "Workshop",
    "Ferry desk",
    "Harbour master",
    "Staff office",
)
_LANGUAGES: Final = ("en", "en", "en", "de", "fr", "pl", "es")
_SPELLED: Final = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "ß": "ss", "'": "", " ": ""})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a mailbox. ``listed_password`` is what the list of accounts says, which need not be right."""

    number: int
    name: str
    login: str
    department: str
    phone: str
    language: str
    password: str
    listed_password: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody, in the order of the list; the wrong are two whose password was misspelt."""

    people: Sequence[Person]
    wrong: Sequence[Person]
    full: Person  # whose mailbox on the new server has less room than there is mail
    oddly_named: Person  # with a folder whose name the new server refuses

    @property
    def troubled(self) -> list[Person]:
        """The four who do not simply cross."""
        return [*self.wrong, self.full, self.oddly_named]


def invent(count: int, seed: int) -> Cast:
    """Return ``count`` people, the same for the same seed but for their passwords. At least eight."""
    dice = random.Random(seed)
    pairs = [(given, family) for given in _GIVEN for family in _FAMILY]
    dice.shuffle(pairs)
    by_login = {_login(*pair): pair for pair in pairs}  # two names may be spelled alike without their accents
    chosen = list(by_login.values())[:count]
    places = _places(count)
    people = [_person(number, *names, dice, is_wrong=number in places[:2]) for number, names in enumerate(chosen)]
    return Cast(people, [people[places[0]], people[places[1]]], people[places[2]], people[places[3]])


def _places(count: int) -> tuple[int, int, int, int]:
    """Return where the four stand in the list: early, so that nobody waits long for them, and in two batches."""
    pilot = pilot_size(count)
    return 1, pilot + 2, pilot + 1, 2


def pilot_size(count: int) -> int:
    """Return how many accounts the first batch has."""
    return max(4, count // 10)


def _person(number: int, given: str, family: str, dice: random.Random, *, is_wrong: bool) -> Person:
    password = secrets.token_urlsafe(9)
    return Person(
        number=number,
        name=f"{given} {family}",
        login=_login(given, family),
        department=dice.choice(DEPARTMENTS),
        phone=f"+44 1632 960{number:03d}",  # numbers that Ofcom keeps for stories
        language=dice.choice(_LANGUAGES),
        password=password,
        listed_password=_misspelt(password) if is_wrong else password,
    )


def _login(given: str, family: str) -> str:
    return f"{_plain(given)}.{_plain(family)}@{DOMAIN}"


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKD", name.translate(_SPELLED)).encode("ascii", "ignore").decode().lower()


def _misspelt(password: str) -> str:
    """Swap the two halves: what somebody types from a torn note."""
    middle = len(password) // 2
    return password[middle:] + password[:middle] + "!"
