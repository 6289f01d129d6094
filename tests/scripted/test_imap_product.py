"""A server that gives a wrong name, or stands behind a proxy that does, is treated as what an operator says it is."""

from __future__ import annotations

import pytest

from migrator.errors import Side
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_target import ImapTarget
from migrator.stores.profiles import COURIER, DOVECOT, ZIMBRA, choose
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Peer

PROXY = "* OK [CAPABILITY IMAP4rev1 ID] Dovecot ready."


def test_the_product_that_an_operator_names_beats_greeting_and_id() -> None:
    with Peer(greeting=PROXY, capabilities="IMAP4rev1 ID") as peer:
        session = ImapSession(peer.endpoint(product="courier"), Side.SOURCE, QUICK)
        session.introduce({"name": "Cyrus IMAPD"})
        assert session.profile is COURIER
        session.drop()
        session = ImapSession(peer.endpoint(), Side.SOURCE, QUICK)
        assert session.profile is DOVECOT
        session.drop()


def test_what_is_told_of_the_product_leads_back_to_the_profile_that_was_named() -> None:
    with Peer(greeting=PROXY) as peer, ImapTarget(peer.endpoint(product="Zimbra"), QUICK) as target:
        assert choose(target.features.product, {}, frozenset()) is ZIMBRA


@pytest.mark.req("D-91")
def test_a_zimbra_is_left_before_its_fifth_error() -> None:
    greeting = "* OK [CAPABILITY IMAP4rev1] host Zimbra IMAP4rev1 server ready"
    with Peer({"EXAMINE": "$ BAD parse error"}, greeting=greeting) as peer:
        session = ImapSession(peer.endpoint(), Side.SOURCE, QUICK)
        worn = []
        for _ in range(4):
            session.refusal(session.ask((b'EXAMINE "x"\r\n',)), "EXAMINE")
            worn.append(session.is_worn)
        assert worn == [False, False, False, True]
        session.drop()
