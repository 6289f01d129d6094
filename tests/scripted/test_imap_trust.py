"""Servers whose certificate nobody vouches for, and the one that somebody accepted."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.stores import trust
from migrator.stores.imap_session import ImapSession
from tests.rigs.base import own_certificate
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answers, Command, Conversation, Peer


class Own(NamedTuple):
    context: ssl.SSLContext
    fingerprint: str


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    return make(tmp_path_factory.mktemp("tls"))


def make(folder: Path) -> Own:
    certificate, key = own_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return Own(context, trust.fingerprint(ssl.PEM_cert_to_DER_cert(certificate.read_text())))


def sign_in(peer: Peer, security: str, fingerprint: str) -> ImapSession:
    return ImapSession(peer.endpoint(security=security, fingerprint=fingerprint), Side.TARGET, QUICK)  # type: ignore[arg-type]


def start_tls(context: ssl.SSLContext) -> Answers:
    def answer(conversation: Conversation, command: Command) -> None:
        conversation.say("$ OK go ahead", command)
        conversation.start_tls(context)

    return {"STARTTLS": answer}


@pytest.mark.req("D-97")
def test_the_certificate_that_was_accepted_opens_the_line(own: Own) -> None:
    with Peer(tls=own.context) as peer:
        session = sign_in(peer, "tls", own.fingerprint)
        assert session.wire.is_encrypted
        session.drop()


@pytest.mark.req("D-97")
def test_the_certificate_that_was_accepted_holds_for_starttls_too(own: Own) -> None:
    with Peer(start_tls(own.context), capabilities="IMAP4rev1 STARTTLS") as peer:
        sign_in(peer, "starttls", own.fingerprint).drop()
        assert peer.verbs() == ["STARTTLS", "CAPABILITY", "LOGIN"]


@pytest.mark.req("D-97")
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_another_certificate_is_refused_before_a_word_is_said_and_both_are_shown(
    own: Own, tmp_path: Path, security: str
) -> None:
    other = make(tmp_path)
    capabilities = "IMAP4rev1 STARTTLS"
    is_tls = security == "tls"
    script: Answers = {} if is_tls else start_tls(other.context)
    with Peer(script, tls=other.context if is_tls else None, capabilities=capabilities) as peer:
        with pytest.raises(MigratorError) as caught:
            sign_in(peer, security, own.fingerprint)
        error = caught.value
        assert (error.code, error.radius, error.patience, error.side) == (
            "server.certificate_changed",
            Radius.CONFIG,
            Patience.NEVER,
            Side.TARGET,
        )
        accepted, shown = trust.readable(own.fingerprint), trust.readable(other.fingerprint)
        assert error.reply == f"accepted: {accepted}; shown now: {shown}"
        assert error.params == {"accepted": accepted, "shown": shown}
        assert not set(peer.verbs()) & {"LOGIN", "CAPABILITY"}


@pytest.mark.req("D-97")
def test_an_exception_is_not_for_lines_without_encryption(own: Own) -> None:
    with Peer(capabilities="IMAP4rev1") as peer:
        with pytest.raises(MigratorError) as caught:
            sign_in(peer, "starttls", own.fingerprint)
        assert caught.value.code == "tls.not_offered"
        assert peer.commands == []
