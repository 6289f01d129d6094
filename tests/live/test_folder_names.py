"""Names made for a server are names that server takes: hostile folder names, created on the real ones."""

from __future__ import annotations

import imaplib
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from migrator.mail import Folder, FolderPath
from migrator.stores.profiles import COURIER, CYRUS, DOVECOT, PYMAP, Profile
from migrator.transfer.folders import FolderMap, FolderRules, map_folders
from migrator.transfer.names import CAUTIOUS
from tests.rigs.base import Server
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import Dovecot
from tests.rigs.pymap import Pymap

USER = {"u1": "pw"}
LETTERS = "abcXYZ019 _-~!\"#$%&'()*+,./:;<=>?@[\\]^`{|}~äéñßжбい漢\N{GRINNING FACE}\t\x01"
ODD = (
    *("NIL", "~home", "a~", ".", "..", ".hidden", "a.b", "a/b", 'a"b', "a\\b", "a%b*c", "A & B", "&", "&AOk-", "+"),
    *(" lead", "trail ", "a  b", "dbox-Mails", "cur", "new", "tmp", "inbox", "Inbox", "{5}", "(x)", "100%", "a\tb"),
    *("é", "e\u0301", "Entwürfe", "日本語", "\N{GRINNING FACE}", "x" * 300, "y" * 300, "漢" * 120, "-", "--", "#mh"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of server, and how it names folders."""

    server: Callable[[], Server]
    profile: Profile
    prefix: str = ""
    separator: str = "."


PLACES = {
    "dovecot maildir": Place(lambda: Dovecot(USER), DOVECOT),
    "dovecot prefix": Place(lambda: Dovecot(USER, prefix="INBOX."), DOVECOT, "INBOX."),
    "dovecot mdbox": Place(lambda: Dovecot(USER, layout="mdbox", separator="/"), DOVECOT, separator="/"),
    "cyrus": Place(lambda: Cyrus(USER), CYRUS, "INBOX."),
    "cyrus alternative": Place(lambda: Cyrus(USER, alternative=True), CYRUS, separator="/"),
    "courier": Place(lambda: Courier(USER), COURIER, "INBOX."),
    "pymap": Place(lambda: Pymap(USER), PYMAP, separator="/"),
}


def odd_folders(seed: int) -> list[Folder]:
    """Odd names on their own, inside one another and below INBOX, and random ones."""
    dice = random.Random(seed)
    names = [(name,) for name in ODD] + [("deep", *["level"] * depth, "end") for depth in range(2, 60, 9)]
    names += [(dice.choice(ODD), dice.choice(ODD)) for _ in range(20)] + [("INBOX", name) for name in ODD[:6]]
    names += [tuple("".join(dice.choices(LETTERS, k=dice.randrange(1, 12))) for _ in range(2)) for _ in range(40)]
    paths = {FolderPath.of(segments, "\v") for segments in names}
    return [Folder(FolderPath(path.raw, "\v")) for path in paths]


def mapped(source: Sequence[Folder], place: Place, rules: FolderRules) -> FolderMap:
    return map_folders(
        source,
        [],
        source_prefix="",
        source_separator="\v",
        target_prefix=place.prefix,
        target_separator=place.separator,
        profile=place.profile,
        rules=rules,
        known={},
    )


def create(server: Server, mapping: FolderMap) -> dict[bytes, bytes]:
    """Create every target folder; return what was refused, with the server's words."""
    refused = {}
    with imaplib.IMAP4("127.0.0.1", server.imap) as session:
        session.login("u1", "pw")
        for pair in mapping.pairs:
            if pair.target.is_inbox:
                continue
            name = pair.target.raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').decode("ascii")
            status, words = session.create(f'"{name}"')
            if status != "OK":
                refused[pair.target.raw] = words[0]
    return refused


@pytest.mark.req("D-7", "D-12", "D-13", "D-15")
@pytest.mark.parametrize("kind", PLACES)
def test_every_name_made_for_a_server_is_taken_by_it(kind: str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    place = PLACES[kind]
    mapping = mapped(odd_folders(seed), place, FolderRules())
    assert len(mapping.pairs) > 80
    with place.server() as server:
        assert create(server, mapping) == {}


@pytest.mark.req("D-3", "D-13")
def test_a_letter_only_the_server_knows_to_refuse_is_replaced_at_the_second_try() -> None:
    """Dovecot keeps a Maildir with the separator "/" and still refuses ".", which no answer but CREATE's tells."""
    place = Place(lambda: Dovecot(USER, separator="/"), DOVECOT, separator="/")
    source = [folder for folder in odd_folders(1) if b"&" not in folder.path.raw]
    with place.server() as server:
        refused = create(server, mapped(source, place, FolderRules()))
        assert refused
        assert all(b"." in name and b"'.'" in words for name, words in refused.items())
        again = mapped(source, place, FolderRules(also_forbidden=CAUTIOUS))
        assert all(words.startswith(b"[ALREADYEXISTS]") for words in create(server, again).values())
