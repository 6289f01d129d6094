"""Administrators who open somebody's mailbox, on servers that want it each in its own way."""

from __future__ import annotations

import base64

import pytest

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.stores.imap_access import Access
from migrator.stores.imap_session import ImapSession
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Peer

SASL = "IMAP4rev1 SASL-IR AUTH=PLAIN"


def sign_in(peer: Peer, access: str, **more: object) -> ImapSession:
    endpoint = peer.endpoint(user="boss", authzid="anna@example.test", access=Access.of(access), **more)
    return ImapSession(endpoint, Side.SOURCE, QUICK)


def refusal(peer: Peer, access: str) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        sign_in(peer, access)
    return caught.value


def test_a_name_of_both_signs_in_by_sasl_without_an_identity_beside_it() -> None:
    with Peer(capabilities=SASL) as peer:
        sign_in(peer, "{user}*{admin}").drop()
        (words,) = peer.said("AUTHENTICATE")
        assert base64.b64decode(words.split()[2]) == b"\0anna@example.test*boss\0pw"


def test_a_name_of_both_signs_in_by_login_where_there_is_nothing_else() -> None:
    with Peer() as peer:
        sign_in(peer, "{domain}\\{admin}\\{name}").drop()
        assert peer.said("LOGIN") == [b'LOGIN "example.test\\\\boss\\\\anna" "pw"']


def test_by_proxyauth_the_administrator_becomes_the_user_after_the_sign_in() -> None:
    answers = {"PROXYAUTH": "* CAPABILITY IMAP4rev1 QUOTA\n$ OK Completed"}
    with Peer(answers) as peer:
        session = sign_in(peer, "proxyauth")
        assert peer.verbs() == ["LOGIN", "PROXYAUTH"]
        assert peer.said("LOGIN") == [b'LOGIN "boss" "pw"']
        assert peer.said("PROXYAUTH") == [b'PROXYAUTH "anna@example.test"']
        assert session.has("QUOTA")
        session.drop()


def test_what_was_told_at_the_sign_in_holds_where_proxyauth_tells_nothing() -> None:
    with Peer({"PROXYAUTH": "$ OK Completed"}, capabilities="IMAP4rev1 UIDPLUS") as peer:
        session = sign_in(peer, "proxyauth")
        assert session.has("UIDPLUS")
        assert peer.verbs() == ["LOGIN", "PROXYAUTH"]
        session.drop()


def test_who_may_not_become_the_user_is_told_apart_from_a_server_that_knows_no_such_thing() -> None:
    with Peer({"PROXYAUTH": "$ NO Access denied"}) as peer:
        error = refusal(peer, "proxyauth")
        assert (error.code, error.radius, error.reply) == ("sign_in.admin_refused", Radius.ACCOUNT, "Access denied")
    with Peer({"PROXYAUTH": "$ BAD Unknown command"}) as peer:
        error = refusal(peer, "proxyauth")
        assert (error.code, error.radius, error.patience) == ("sign_in.no_proxyauth", Radius.CONFIG, Patience.NEVER)


def test_where_folders_show_whose_they_are_the_administrator_just_signs_in() -> None:
    with Peer() as peer:
        sign_in(peer, "~{user}/").drop()
        assert peer.said("LOGIN") == [b'LOGIN "boss" "pw"']
        endpoint = peer.endpoint(user="boss", authzid="anna", access=Access.of("~{user}/"))
        assert (endpoint.folder_root, endpoint.mailbox) == ("~anna/", "anna")


def test_a_user_whose_name_holds_a_line_end_is_never_proxied() -> None:
    with Peer({"PROXYAUTH": "$ OK"}) as peer:
        endpoint = peer.endpoint(user="boss", authzid="a\r\nx DELETE INBOX", access=Access.of("proxyauth"))
        with pytest.raises(MigratorError) as caught:
            ImapSession(endpoint, Side.SOURCE, QUICK)
        assert caught.value.code == "sign_in.malformed"
        assert peer.commands == []
