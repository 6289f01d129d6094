"""Who is meant: accounts by any words that somebody on the telephone says of a person.

Every word must be the beginning of a name, an address, a login, a department or a phone number of the same account, or
a phone number's end. The rarest word is looked up. When it finds few, the others are asked of each of those; when all
are common, what each of them finds is put together, for a look at tens of thousands one by one would take a second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.models import Account, AccountName
from campaigns.services import names

MOST: Final = 50  # people shown; more need another word
_MOST_WORDS: Final = 6
_RARE: Final = 1000  # a word of fewer names is one to begin with; names are counted no further
_NAMES_OF_ONE: Final = 8  # that begin alike, of nearly everybody
_LOOK: Final = 300  # names of a common word that are looked at one by one
_TOGETHER: Final = 2  # sets that are put together with the first
_LEAST_DIGITS: Final = 3  # of the end of a phone number
_SHOWN: Final = ("display_name", "source_login", "department", "phone", "state")
_PHONE: Final = re.compile(r"[\d\s()+./-]*\d[\d\s()+./-]*")


@dataclass(frozen=True, slots=True)
class Found:
    """The people that fit, by name. ``is_more``: there are others."""

    query: str
    people: list[Account]
    is_more: bool = False

    @property
    def only(self) -> Account | None:
        """The one person there is."""
        return self.people[0] if len(self.people) == 1 and not self.is_more else None


def find(query: str, most: int = MOST) -> Found:
    """Return the accounts that ``query`` fits. A whole address or login finds its own account alone."""
    query = " ".join(query.split())
    words = _words(query)
    if not words:
        return Found(query, [])
    exact = _exact(query)
    keys = [exact] if exact else _keys(words, most + 1)
    rows = Account.objects.filter(pk__in=keys[:most]).only(*_SHOWN)
    people = sorted(rows, key=lambda one: (one.display_name, one.source_login))
    return Found(query, people, is_more=len(keys) > most)


def _exact(query: str) -> int | None:
    """Return the account of which ``query`` is a whole login or address, when it is of one alone."""
    value = names.normalised(names.LOGIN, query)
    rows = AccountName.objects.filter(value=value, kind__in=(names.LOGIN, names.ADDRESS))
    found = {*rows.values_list("account_id", flat=True)[:3]}
    return found.pop() if len(found) == 1 else None


def _words(query: str) -> list[Q]:
    """Return what each word asks of the names of one account."""
    if _PHONE.fullmatch(query):
        return [_named(query.replace(" ", ""))]
    return [_named(word) for word in query.split()[:_MOST_WORDS] if re.search(r"\w", word)]


def _named(word: str) -> Q:
    spellings = {names.normalised(names.LOGIN, word), "".join(re.findall(r"[^\W_]", names.plain(word)))}
    wanted = Q()
    if _PHONE.fullmatch(word):
        digits = names.normalised(names.PHONE, word)
        spellings.add(digits)
        end = digits.lstrip("0")[::-1]  # 030 is +49 30 from elsewhere
        if len(end) >= _LEAST_DIGITS:
            wanted = Q(kind=names.TAIL) & _begins(end)
    for spelling in sorted(spellings - {""}):
        wanted |= ~Q(kind=names.TAIL) & _begins(spelling)
    return wanted


def _begins(text: str) -> Q:
    if connection.vendor == "postgresql":
        return Q(value__startswith=text)  # LIKE, by the operator class of the index
    return Q(value__gte=text, value__lt=text + "\U0010ffff")  # SQLite compares octets: of UTF-8, in order of characters


def _keys(words: list[Q], most: int) -> list[int]:
    """Return accounts of which every word is true: at most so many.

    DISTINCT and LIMIT together would have PostgreSQL go through the names of all accounts in their order.
    """
    if len(words) == 1:
        return _of_one_word(words[0], most)
    counted = sorted((_frequency(word), place) for place, word in enumerate(words))
    first, *others = (words[place] for _count, place in counted)
    found = _accounts(first)
    if counted[0][0] >= _RARE:
        return _of_common_words(found, others, most)
    return _that_fit(found, others)[:most]


def _of_common_words(found: QuerySet[AccountName, int], others: list[Q], most: int) -> list[int]:
    """Return accounts of words that are all common.

    Mostly the first some hundred show enough already. Else sets are put together, of few words: more would make them
    slower and not smaller.
    """
    near = _that_fit(found[:_LOOK], others)
    if len(near) >= most:
        return near[:most]
    last = others[_TOGETHER:]
    some = list(found.intersection(*map(_accounts, others[:_TOGETHER]))[: _RARE if last else most])
    if not last or len(some) < _RARE:
        return _that_fit(some, last)[:most]
    return list(found.intersection(*map(_accounts, others))[:most])


def _that_fit(keys: Iterable[int], words: list[Q]) -> list[int]:
    """Return those of ``keys`` of which all ``words`` are true, each once."""
    rows = Account.objects.filter(pk__in=keys if isinstance(keys, QuerySet) else list(dict.fromkeys(keys)))
    for word in words:
        rows = rows.filter(Exists(AccountName.objects.filter(word, account=OuterRef("pk"))))
    return list(rows.values_list("pk", flat=True))


def _of_one_word(word: Q, most: int) -> list[int]:
    rows = list(_accounts(word)[: most * _NAMES_OF_ONE])
    found = list(dict.fromkeys(rows))
    if len(found) < most and len(rows) == most * _NAMES_OF_ONE:  # somebody has a great many names
        return list(_accounts(word).distinct()[:most])
    return found[:most]


def _accounts(word: Q) -> QuerySet[AccountName, int]:
    """Return the accounts of which a word is true, once for each name that it begins."""
    return AccountName.objects.filter(word).values_list("account_id", flat=True)


def _frequency(word: Q) -> int:
    return AccountName.objects.filter(word).values("pk")[:_RARE].count()
