"""Tokens are earned, shared, renewed in time, and what an endpoint refuses is told for what it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.secret import Secret
from migrator.stores import token_endpoint
from migrator.stores.oauth import ClientCredentials, Grant, ServiceAccount, Tokens, shared
from migrator.stores.token_endpoint import BadEndpoint
from tests.rigs.token_endpoint import Answer, TokenEndpoint

SECRET = "a~secret of the app"
ROBOT = "robot@project.example.test"


class Hands:
    """A clock that tests turn; it tells the right time until then."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        import time

        return time.time()

    def monotonic(self) -> float:
        return self.ahead

    def wait(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as started:
        started.clients["app"] = SECRET
        yield started


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, *form).decode()


def app(endpoint: TokenEndpoint, secret: str = SECRET) -> ClientCredentials:
    return ClientCredentials(endpoint.url, "app", Secret(secret))


def robot(endpoint: TokenEndpoint, key: str) -> ServiceAccount:
    return ServiceAccount(endpoint.url, ROBOT, Secret(key))


def refusal(grant: Grant, user: str = "anna@example.test") -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        Tokens(grant).take(user, Side.SOURCE)
    return caught.value


def test_an_applications_token_serves_all_mailboxes(endpoint: TokenEndpoint) -> None:
    tokens = Tokens(app(endpoint))
    first, is_fresh = tokens.take("anna@example.test")
    second, is_second_fresh = tokens.take("bert@example.test")
    assert first is second
    assert (is_fresh, is_second_fresh) == (True, False)
    assert endpoint.tokens == {first.value.reveal(): None}
    assert [asked["scope"] for asked in endpoint.asked] == ["https://outlook.office365.com/.default"]


def test_a_service_accounts_token_is_one_users(endpoint: TokenEndpoint, key: rsa.RSAPrivateKey) -> None:
    endpoint.accounts[ROBOT] = key.public_key()
    tokens = Tokens(robot(endpoint, pem(key)))
    anna, bert = (tokens.take(user)[0] for user in ("anna@example.test", "bert@example.test"))
    assert endpoint.tokens == {anna.value.reveal(): "anna@example.test", bert.value.reveal(): "bert@example.test"}
    assert tokens.take("anna@example.test") == (anna, False)


@pytest.mark.parametrize("form", ["file", "file_in_one_line", "pem_in_one_line"])
def test_a_service_accounts_key_is_taken_as_people_paste_it(
    endpoint: TokenEndpoint, key: rsa.RSAPrivateKey, form: str
) -> None:
    endpoint.accounts[ROBOT] = key.public_key()
    file = json.dumps({"type": "service_account", "private_key": pem(key), "private_key_id": "k1"}, indent=2)
    pasted = {
        "file": file,
        "file_in_one_line": file.replace("\n", ""),
        "pem_in_one_line": pem(key).replace("\n", ""),
    }[form]
    assert Tokens(robot(endpoint, pasted)).take("anna@example.test")[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hunter2", "There is no private key"),
        ("{", "damaged"),
        ('{"type": "authorized_user"}', "damaged"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
    ],
)
def test_what_is_no_key_is_said_so_without_showing_it(endpoint: TokenEndpoint, text: str, words: str) -> None:
    error = refusal(robot(endpoint, text))
    assert (error.code, error.radius, error.patience) == ("token.bad_key", Radius.CONFIG, Patience.NEVER)
    assert words in error.reply
    assert text not in error.reply
    assert endpoint.asked == []


def test_a_token_is_renewed_when_four_fifths_of_its_life_are_over(endpoint: TokenEndpoint) -> None:
    endpoint.life = 1000
    clock = Hands()
    tokens = Tokens(app(endpoint), clock)
    first, _ = tokens.take("anna")
    clock.ahead = 799
    assert not tokens.is_spent(first)
    assert tokens.take("anna") == (first, False)
    clock.ahead = 800
    assert tokens.is_spent(first)
    second, is_fresh = tokens.take("anna")
    assert is_fresh
    assert second is not first


@pytest.mark.parametrize("life", ["1", 0, -5, "NaN", "soon", None])
def test_an_endpoint_that_promises_no_life_is_not_asked_at_every_breath(endpoint: TokenEndpoint, life: object) -> None:
    body = json.dumps({"access_token": "t", "token_type": "bearer", "expires_in": life}).encode()
    endpoint.answers = [Answer(200, body)]
    clock = Hands()
    tokens = Tokens(app(endpoint), clock)
    token, _ = tokens.take("anna")
    clock.ahead = 40
    assert tokens.take("anna") == (token, False)


def test_a_token_that_was_refused_is_not_given_out_again(endpoint: TokenEndpoint) -> None:
    tokens = Tokens(app(endpoint))
    first, _ = tokens.take("anna")
    tokens.reject("anna", first)
    second, is_fresh = tokens.take("anna")
    assert is_fresh
    tokens.reject("anna", first)  # somebody else, late: what came after it stays
    assert tokens.take("anna") == (second, False)


def test_lanes_that_need_a_token_at_once_ask_once(endpoint: TokenEndpoint) -> None:
    tokens, start = Tokens(app(endpoint)), threading.Barrier(8)
    found: list[object] = []

    def take() -> None:
        start.wait(10)
        found.append(tokens.take("anna")[0])

    lanes = [threading.Thread(target=take) for _ in range(8)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join(10)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert len(endpoint.asked) == 1


def test_all_accounts_of_a_server_share_its_tokens_until_the_secret_changes(endpoint: TokenEndpoint) -> None:
    assert shared(app(endpoint)) is shared(app(endpoint))
    assert shared(app(endpoint)) is not shared(app(endpoint, "another"))


@pytest.mark.req("C-6")
def test_a_permission_that_was_taken_away_concerns_all_and_one_that_a_user_lacks_only_them(
    endpoint: TokenEndpoint, key: rsa.RSAPrivateKey
) -> None:
    endpoint.accounts[ROBOT] = key.public_key()
    endpoint.users = {"bert@example.test"}
    error = refusal(robot(endpoint, pem(key)))
    assert (error.code, error.radius, error.patience) == (
        "sign_in.permission_ended",
        Radius.ACCOUNT,
        Patience.NEVER,
    )
    assert error.reply == "400 invalid_grant Invalid email or User ID"
    assert "IMAP.AccessAsUser.All" in error.hint
    assert "https://mail.google.com/" in error.hint
    endpoint.account_scopes = set()
    error = refusal(robot(endpoint, pem(key)), "bert@example.test")
    assert (error.code, error.radius) == ("sign_in.permission_ended", Radius.CONFIG)
    assert error.reply.startswith("400 unauthorized_client")


def test_a_secret_that_is_wrong_pauses_the_configuration(endpoint: TokenEndpoint) -> None:
    error = refusal(app(endpoint, "wrong"))
    assert (error.code, error.radius, error.patience) == ("token.refused", Radius.CONFIG, Patience.NEVER)
    assert "AADSTS7000215" in error.reply


def test_an_endpoint_that_repeats_the_secret_gives_nothing_away(endpoint: TokenEndpoint) -> None:
    body = json.dumps({"error": "invalid_client", "error_description": f"no such secret: {SECRET}"}).encode()
    endpoint.answers = [Answer(401, body)]
    error = refusal(app(endpoint))
    assert error.reply == "401 invalid_client no such secret: ***"
    assert SECRET not in f"{error!r} {app(endpoint)!r} {Tokens(app(endpoint))!r}"


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer(503, b"<html>"), None),
        (Answer(429, b"", {"Retry-After": "17"}), 17),
        (Answer(400, b'{"error":"temporarily_unavailable"}', {"Retry-After": "99999999"}), 3600),
    ],
)
def test_an_endpoint_that_is_busy_is_asked_later(endpoint: TokenEndpoint, answer: Answer, wait: float | None) -> None:
    endpoint.answers = [answer]
    error = refusal(app(endpoint))
    assert (error.code, error.radius, error.patience) == ("token.unavailable", Radius.SERVER, Patience.LATER)
    assert error.retry_after == wait


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": 7}',
        b'{"access_token": "a\\r\\nb"}',
        b'{"access_token": "a b"}',
        b'{"access_token": "t", "token_type": "mac"}',
        b'{"access_token": "' + b"x" * 70_000 + b'"}',
        b"[" * 60_000,
    ],
)
def test_what_gives_out_no_tokens_is_no_token_endpoint(endpoint: TokenEndpoint, body: bytes) -> None:
    endpoint.answers = [Answer(200, body)]
    assert refusal(app(endpoint)).code == "token.nonsense"


def test_nobody_is_followed_to_another_address(endpoint: TokenEndpoint) -> None:
    with TokenEndpoint() as other:
        for status in (301, 302, 303, 307, 308):
            endpoint.answers = [Answer(status, b"", {"Location": other.url})]
            assert refusal(app(endpoint)).code == "token.refused"
        assert other.asked == []


def test_nobody_at_the_endpoint_is_said_so() -> None:
    with TokenEndpoint() as endpoint:
        gone = app(endpoint)
    error = refusal(gone)
    assert (error.code, error.radius, error.patience) == ("token.unreachable", Radius.SERVER, Patience.LATER)


@pytest.mark.parametrize(
    "address",
    [
        "http://login.example.test/token",
        "http://127.0.0.1.example.test/token",
        "file:///etc/passwd",
        "ftp://127.0.0.1/token",
        "https:///token",
        "https://user:pw@login.example.test/token",
        "https://login.example.test:port/token",
        "login.example.test",
        "",
    ],
)
def test_secrets_go_nowhere_but_to_https_or_this_machine(address: str) -> None:
    with pytest.raises(BadEndpoint):
        token_endpoint.check(address)
    assert refusal(ClientCredentials(address, "app", Secret("x"))).code == "token.address"


def test_the_host_of_an_endpoint_is_told() -> None:
    assert token_endpoint.check("https://login.example.test/tenant/token") == "login.example.test"
    assert token_endpoint.check("http://[::1]:8080/token") == "::1"
