"""A server is known by what it says of itself, and by nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from migrator.stores import profiles
from migrator.stores.profiles import (
    COMMUNIGATE,
    COURIER,
    CYRUS,
    DAVMAIL,
    DOMINO,
    DOVECOT,
    EXCHANGE,
    GENERIC,
    GMAIL,
    PROFILES,
    PROTON,
    PYMAP,
    UW,
    YAHOO,
    ZIMBRA,
    Profile,
    choose,
)

NOTHING: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("greeting", "profile"),
    [
        ("* OK [CAPABILITY IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+] Dovecot (Debian) ready.", DOVECOT),
        ("* OK [CAPABILITY IMAP4rev1 LITERAL+ ID] host Cyrus IMAP 3.6.1-Debian-3.6.1-4+deb12u5 server ready", CYRUS),
        ("* OK [CAPABILITY IMAP4rev1 UIDPLUS] Courier-IMAP ready. Copyright 1998-2019", COURIER),
        ("* OK Gimap ready for requests from 192.0.2.1 a1mb1", GMAIL),
        ("* OK The Microsoft Exchange IMAP4 service is ready. [TQBB]", EXCHANGE),
        ("* OK mail.example.test Zimbra IMAP4rev1 server ready", ZIMBRA),
        ("* OK [CAPABILITY IMAP4REV1 STARTTLS] host IMAP4rev1 2007f.404 at Sat, 28 Nov 2026 09:00:00 +0000", UW),
        ("* OK Domino IMAP4 Server Release 10.0.1FP3 ready Wed, 30 Oct 2019 09:28:06 +0100", DOMINO),
        ("* OK [CAPABILITY IMAP4rev1 ID] IMAP4rev1 imapgate-1.8.1_01.20166 imap1015.mail.ir2.yahoo.com", YAHOO),
        ("* OK [CAPABILITY ID IDLE IMAP4rev1] Proton Mail Bridge 03.08.01 - gluon session ID 3", PROTON),
        ("* OK [CAPABILITY IMAP4REV1 AUTH=LOGIN] IMAP4rev1 DavMail server ready", DAVMAIL),
        ("* OK CommuniGate Pro IMAP Server 6.0 at example.org ready", COMMUNIGATE),
        ("* OK IMAP4 ready", GENERIC),
        ("", GENERIC),
    ],
)
def test_a_server_is_known_by_its_greeting(greeting: str, profile: Profile) -> None:
    assert choose(greeting, {}, NOTHING) is profile


@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ({"name": "Dovecot"}, DOVECOT),
        ({"NAME": "Cyrus IMAPD", "version": "3.6.1", "vendor": "Project Cyrus"}, CYRUS),
        ({"name": "Microsoft.Exchange.Imap4.Imap4Server", "version": "15.20"}, EXCHANGE),
        ({"NAME": "Zimbra", "VERSION": "8.8.15"}, ZIMBRA),
        ({"environment": "dovecot"}, GENERIC),
    ],
)
def test_a_server_is_known_by_its_id(fields: dict[str, str], profile: Profile) -> None:
    assert choose("* OK ready", fields, NOTHING) is profile


def test_the_id_counts_more_than_the_greeting_of_a_proxy() -> None:
    assert choose("* OK Dovecot ready.", {"name": "Cyrus IMAPD"}, NOTHING) is CYRUS


def test_gmail_is_known_by_its_capability_whatever_greets() -> None:
    assert choose("* OK Dovecot ready.", {}, frozenset(("IMAP4REV1", "X-GM-EXT-1"))) is GMAIL


def test_yahoo_is_known_by_its_capability() -> None:
    assert choose("* OK ready", {}, frozenset(("IMAP4REV1", "XYMHIGHESTMODSEQ"))) is YAHOO


def test_the_name_of_a_profile_is_enough_to_choose_it() -> None:
    assert [choose(profile.name, {}, NOTHING) for profile in PROFILES.values()] == list(PROFILES.values())


def test_no_fact_stands_here_that_nothing_reads() -> None:
    rooms = Path(profiles.__file__).parents[1]
    files = [file for file in rooms.rglob("*.py") if file != Path(profiles.__file__)]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert [fact.name for fact in fields(Profile) if not re.search(rf"\.{fact.name}\b", code)] == []


def test_pymap_names_itself_nowhere_and_is_still_known() -> None:
    greeting = "* OK [CAPABILITY IMAP4rev1 LITERAL+ ID AUTH=PLAIN AUTH=LOGIN] Server ready localhost"
    assert choose(greeting, {}, frozenset(("APPENDLIMIT=1000000000",))) is PYMAP
    assert choose(greeting, {}, frozenset(("APPENDLIMIT=35651584",))) is GENERIC


@pytest.mark.parametrize(
    ("product", "profile"),
    [
        ("Dovecot", DOVECOT),
        ("Cyrus IMAPD 3.6.1", CYRUS),
        ("Courier-IMAP ready.", COURIER),
        ("GImap", GMAIL),
        ("Microsoft.Exchange.Imap4.Imap4Server 15.20", EXCHANGE),
        ("in memory", GENERIC),
    ],
)
def test_what_a_store_tells_of_its_product_is_enough(product: str, profile: Profile) -> None:
    assert choose(product, {}, NOTHING) is profile


def test_only_courier_forgets_uidvalidity_after_examine() -> None:
    assert [p.name for p in (GENERIC, DOVECOT, CYRUS, COURIER, PYMAP) if p.examine_loses_uidvalidity] == ["Courier"]
