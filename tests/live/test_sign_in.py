"""Ways in to real Dovecots: tokens that the server checks itself, names of both, and one accepted certificate."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores import trust
from migrator.stores.imap_session import Endpoint, ImapSession
from migrator.stores.oauth import ServiceAccount, Tokens
from tests.live.test_commands import Shell, deliver, messages
from tests.rigs import check
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot
from tests.rigs.relay import Relay
from tests.rigs.token_endpoint import TokenEndpoint

ROBOT = "robot@project.example.test"
HOST = "127.0.0.1"
LIMITS = Limits(connect_seconds=10, io_seconds=20)
_OAUTH2 = """\
introspection_mode = auth
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
"""
_BY_TOKEN = """\
auth_mechanisms = plain login {mechanisms}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {file}
}}
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


@pytest.fixture
def endpoint(key: rsa.RSAPrivateKey) -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as started:
        started.accounts[ROBOT] = key.public_key()
        yield started


@pytest.fixture(params=["xoauth2", "xoauth2 oauthbearer"])
def by_token(request: pytest.FixtureRequest, endpoint: TokenEndpoint, tmp_path: Path) -> Iterator[Dovecot]:
    """A Dovecot that asks the endpoint about every token that it is shown."""
    file = tmp_path / "oauth2.conf"
    file.write_text(_OAUTH2.format(url=endpoint.introspection))
    extra = _BY_TOKEN.format(mechanisms=request.param, file=file)
    with Dovecot({"anna": "pw", "bert": "pw"}, extra=extra) as server:
        yield server


def at(server: Dovecot, tokens: Tokens, user: str) -> Endpoint:
    return Endpoint(HOST, server.imap, "plain", user, Secret(""), tokens=tokens)


def test_a_server_that_checks_tokens_itself_lets_in_whom_they_are_for(
    by_token: Dovecot, endpoint: TokenEndpoint, pem: str
) -> None:
    tokens = Tokens(ServiceAccount(endpoint.url, ROBOT, Secret(pem)))
    for user in ("anna", "bert"):
        session = ImapSession(at(by_token, tokens, user), Side.SOURCE, LIMITS)
        assert session.has("UIDPLUS")
        session.close()
    assert sorted(map(str, endpoint.tokens.values())) == ["anna", "bert"]


@pytest.mark.req("C-6")
def test_a_token_that_was_taken_back_is_made_anew_and_one_that_no_server_knows_ends_it(
    by_token: Dovecot, endpoint: TokenEndpoint, pem: str
) -> None:
    tokens = Tokens(ServiceAccount(endpoint.url, ROBOT, Secret(pem)))
    ImapSession(at(by_token, tokens, "anna"), Side.SOURCE, LIMITS).close()
    endpoint.tokens.clear()
    ImapSession(at(by_token, tokens, "anna"), Side.SOURCE, LIMITS).close()
    assert len(endpoint.tokens) == 1
    with TokenEndpoint() as stranger:
        stranger.accounts = endpoint.accounts
        foreign = Tokens(ServiceAccount(stranger.url, ROBOT, Secret(pem)))
        with pytest.raises(MigratorError) as caught:
            ImapSession(at(by_token, foreign, "bert"), Side.SOURCE, LIMITS)
        assert caught.value.code == "sign_in.permission_ended"
        assert not any(token in f"{caught.value} {caught.value.args}" for token in stranger.tokens)


def test_a_mailbox_is_copied_with_the_key_file_of_a_service_account(
    shell: Shell, by_token: Dovecot, endpoint: TokenEndpoint, pem: str
) -> None:
    deliver(by_token, "anna", 3)
    fields = {"type": "service_account", "client_email": ROBOT, "private_key": pem, "token_uri": endpoint.url}
    file = shell.file("key.json", json.dumps(fields))
    with Dovecot({"anna": "other"}, separator="/") as target:
        password = shell.file("password", "other")
        urls = [f"imap://anna@{HOST}:{server.imap}" for server in (by_token, target)]
        shell.run("copy", *urls, "--source-token-file", file, "--target-password-file", password)
        assert messages(target, "anna") == 3


def test_a_list_is_moved_by_administrators_who_get_in_under_names_of_both(shell: Shell) -> None:
    listed = shell.file("list", "Name\nanna\nbert\n")
    people = {"anna": "pw", "bert": "pw"}
    with Dovecot(people) as source, Dovecot(people, separator="/") as target:
        deliver(source, "anna", 2)
        deliver(source, "bert", 1)
        words: list[object] = ["move-accounts", listed]
        words += [f"imap://{HOST}:{server.imap}" for server in (source, target)]
        for side in Side:
            words += [f"--{side}-admin", ADMIN, f"--{side}-access", "{user}*{admin}"]
        shell.run(*words, *shell.passwords(ADMIN_PASSWORD, ADMIN_PASSWORD))
        assert [messages(target, user) for user in people] == [2, 1]


@pytest.mark.req("D-94")
def test_a_mailbox_crosses_over_compressed_lines(shell: Shell) -> None:
    with Dovecot({"u1": "pw"}) as source, Dovecot({"u1": "pw"}, separator="/") as target, Relay(source.imap) as relay:
        fill(source.account("u1"), lifelike(5, messages=300))
        urls = [f"imap://u1@{HOST}:{port}" for port in (relay.port, target.imap)]
        options = ["--source-compress", "--target-compress", "--copy-deleted", "--verify", "digest", "--json"]
        done = json.loads(shell.run("copy", *urls, *shell.passwords("pw", "pw"), *options))
        assert (done["appended"], done["verify"]["clean"]) == (300, True)
        assert check.compare(check.read(source.account("u1")), check.read(target.account("u1")), check.Terms()) == []
        assert 2 * relay.counts().down_bytes < octets_of_mail(source)  # this side alone


def octets_of_mail(server: Dovecot) -> int:
    """How many octets all mail of u1 has."""
    told = server.doveadm("fetch", "-u", "u1", "size.physical", "all")
    return sum(int(line.partition(":")[2]) for line in told.splitlines() if line.startswith("size.physical:"))


@pytest.mark.req("D-97")
@pytest.mark.parametrize("scheme", ["imaps", "imap+starttls"])
def test_exactly_one_certificate_is_accepted_by_its_fingerprint(shell: Shell, scheme: str) -> None:
    with Dovecot({"u1": "pw"}, tls=True) as source, Dovecot({"u1": "pw"}) as target:
        deliver(source, "u1", 2)
        assert source.certificate is not None
        shown = trust.fingerprint(ssl.PEM_cert_to_DER_cert(source.certificate.read_text()))
        port = source.imaps if scheme == "imaps" else source.imap
        words = ["copy", f"{scheme}://u1@{HOST}:{port}", f"imap://u1@{HOST}:{target.imap}"]
        words += shell.passwords("pw", "pw")
        said = shell.run(*words, "--source-fingerprint", "ab" * 32, exit_code=4)
        assert trust.readable("ab" * 32) in said
        assert trust.readable(shown) in said
        assert messages(target, "u1") == 0
        shell.run(*words, "--source-fingerprint", trust.readable(shown))
        assert messages(target, "u1") == 2
