"""Sieve scripts between real servers: Dovecot with Pigeonhole, and Cyrus with timsieved."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores import trust
from migrator.stores.endpoint import Endpoint
from migrator.stores.scripts import ScriptName
from migrator.stores.sieve import SieveScripts, endpoint_beside
from tests.live.test_commands import Shell
from tests.rigs import cyrus as cyrus_rig
from tests.rigs import dovecot as dovecot_rig
from tests.rigs.base import HOST, users
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

SCRIPT: Final = b'require ["fileinto"];\r\n# \xff as it is\nif true { fileinto "Work"; }'


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(users(20), sieve=True, tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def cyrus() -> Iterator[Cyrus]:
    with Cyrus(users(20)) as server:
        for user in users(20):
            with Dialogue(server.account(user)):
                pass  # the first sign-in makes the mailbox; without one there are no scripts
        yield server


def endpoint(server: Dovecot | Cyrus, user: str, *, as_admin: bool = True) -> Endpoint:
    rig = dovecot_rig if isinstance(server, Dovecot) else cyrus_rig
    name, password = (rig.ADMIN, rig.ADMIN_PASSWORD) if as_admin else (user, "pw")
    mail = Endpoint(HOST, server.imap, "plain", name, Secret(password), authzid=user if as_admin else None)
    return endpoint_beside(mail, port=server.sieve)


def scripts(server: Dovecot | Cyrus, user: str, side: Side = Side.TARGET) -> SieveScripts:
    return SieveScripts(endpoint(server, user), Limits(), side)


@pytest.mark.parametrize("kind", ["dovecot", "cyrus"])
def test_a_real_server_keeps_scripts_as_they_are_and_says_what_it_refuses(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue(kind)
    with scripts(server, "u0000") as store:
        assert {"fileinto", "vacation"} <= store.extensions
        assert store.scripts() == []
        assert store.put("a b", SCRIPT) is None
        assert store.put("second", b"keep;") is None
        assert store.read(["a b", "second"]) == [SCRIPT, b"keep;"]
        assert store.activate("second") is None
        assert sorted(store.scripts()) == [ScriptName("a b"), ScriptName("second", True)]
        refused = store.put("bad", b'require ["vnd.none.such"]; keep "')
        assert refused is not None
        assert refused.code == "sieve.refused"
        assert "line 1" in refused.reply
        assert store.check("bad", b'keep "') is not None
        assert store.check("good", SCRIPT) is None
        full = store.put("endless", b"#" + b"x" * 2_000_000)
        assert full is not None
        assert full.code == "sieve.full"
        (gone,) = store.read(["none"])
        assert isinstance(gone, MigratorError)
        assert "NONEXISTENT" in gone.reply
        refused = store.activate("none")
        assert refused is not None
        assert refused.code == "sieve.not_activated"
        assert store.activate("") is None
        assert not any(script.is_active for script in store.scripts())
    with SieveScripts(endpoint(server, "u0000", as_admin=False), Limits(), Side.SOURCE) as own:
        assert [name for name, _ in sorted(own.scripts())] == ["a b", "second"]


def test_the_line_is_encrypted_and_the_certificate_is_the_pinned_one(dovecot: Dovecot) -> None:
    plain = endpoint(dovecot, "u0001")
    assert dovecot.certificate is not None
    shown = trust.fingerprint(_der(dovecot.certificate.read_text()))
    encrypted = replace(plain, security="starttls")
    with SieveScripts(replace(encrypted, fingerprint=shown), Limits(), Side.TARGET) as store:
        assert store.scripts() == []
    with pytest.raises(MigratorError, match=r"server\.certificate_changed"):
        SieveScripts(replace(encrypted, fingerprint="0" * 64), Limits(), Side.TARGET).scripts()
    with pytest.raises(MigratorError, match=r"server\.certificate"):
        SieveScripts(encrypted, Limits(), Side.TARGET).scripts()


def _der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)


# As an operator runs it

VACATION: Final = b'require ["vacation"];\r\nvacation :days 1 "away";\r\n'
FILING: Final = b'require ["fileinto"];\nfileinto "INBOX.Work";\n'
NEWER: Final = b'require ["vnd.dovecot.pipe", "vacation-seconds"];\nkeep;\n'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def held(server: Dovecot | Cyrus, user: str) -> tuple[dict[str, bytes], str]:
    """Return what a user has, and what is active, seen by the user."""
    with SieveScripts(endpoint(server, user, as_admin=False), Limits(), Side.TARGET) as store:
        listed = store.scripts()
        bodies = store.read([name for name, _ in listed])
    assert all(isinstance(body, bytes) for body in bodies)
    return {name: body for (name, _), body in zip(listed, bodies, strict=True) if isinstance(body, bytes)}, next(
        (name for name, is_active in listed if is_active), ""
    )


def give(server: Dovecot | Cyrus, user: str, active: str = "", **bodies: bytes) -> None:
    with SieveScripts(endpoint(server, user, as_admin=False), Limits(), Side.SOURCE) as store:
        for name, body in bodies.items():
            assert store.put(name, body) is None
        assert store.activate(active) is None


def words(source: Dovecot | Cyrus, target: Dovecot | Cyrus, user: str, shell: Shell) -> list[str]:
    places = ["--source-sieve", f":{source.sieve}", "--target-sieve", f":{target.sieve}"]
    return ["copy", source.account(user).url, target.account(user).url, *shell.passwords("pw", "pw"), *places]


@pytest.mark.parametrize(("source", "target"), [("dovecot", "cyrus"), ("cyrus", "dovecot")])
def test_scripts_cross_with_the_mail_and_follow_what_changes(
    source: str, target: str, request: pytest.FixtureRequest, shell: Shell
) -> None:
    one, other = request.getfixturevalue(source), request.getfixturevalue(target)
    user = f"u000{2 if source == 'dovecot' else 3}"
    give(one, user, "Ferien", Ferien=VACATION, filing=FILING)
    with Dialogue(one.account(user)) as talk:
        talk.command(b"CREATE INBOX.Work" if source == "cyrus" else b"CREATE Work")
    first = json.loads(shell.run(*words(one, other, user, shell), "--json"))
    assert sorted((it["script"], it["fate"]) for it in first["sieve"]["scripts"]) == [
        ("Ferien", "copied"),
        ("filing", "copied"),
    ]
    assert held(other, user) == ({"Ferien": VACATION, "filing": FILING}, "Ferien")
    give(one, user, "filing", Ferien=VACATION.replace(b"away", b"back"))
    again = shell.run(*words(one, other, user, shell))
    assert held(other, user) == ({"Ferien": VACATION.replace(b"away", b"back"), "filing": FILING}, "filing")
    assert "Done" in again
    third = json.loads(shell.run(*words(one, other, user, shell), "--json"))
    assert {it["fate"] for it in third["sieve"]["scripts"]} == {"there"}


def test_a_script_for_another_server_is_named_with_what_is_missing_and_its_folders_are_told(
    cyrus: Cyrus, dovecot: Dovecot, shell: Shell
) -> None:
    give(cyrus, "u0004", "newer", newer=NEWER.replace(b'"vnd.dovecot.pipe", ', b""), filing=FILING)
    with Dialogue(cyrus.account("u0004")) as talk:
        talk.command(b"CREATE INBOX.Work")
    running = shell.start(*words(cyrus, dovecot, "u0004", shell))
    out, err = running.communicate(timeout=60)
    assert running.returncode == 1, out + err
    assert "Sieve script newer (the active one): the new server does not take it." in err
    assert "It needs what is not offered there: vacation-seconds." in err
    assert "unknown Sieve capability" in err
    assert "Sieve script filing files into INBOX.Work, which is called Work on the new server." in err
    assert "Done, but Sieve scripts were left behind" in out
    assert held(dovecot, "u0004") == ({"filing": FILING}, "")


def test_a_list_of_accounts_goes_by_administrators(cyrus: Cyrus, dovecot: Dovecot, shell: Shell) -> None:
    names = ["u0005", "u0006", "u0007"]
    for user in names:
        give(dovecot, user, "a", a=VACATION)
    listed = shell.file("list", "Name\n" + "".join(f"{name}\n" for name in names))
    for side, password in (("source", dovecot_rig.ADMIN_PASSWORD), ("target", cyrus_rig.ADMIN_PASSWORD)):
        shell.file(f"{side}-password", password)
    urls = [f"imap://{HOST}:{dovecot.imap}", f"imap://{HOST}:{cyrus.imap}"]
    admins = ["--source-admin", dovecot_rig.ADMIN, "--target-admin", cyrus_rig.ADMIN]
    admins += ["--source-password-file", shell.home / "source-password"]
    admins += ["--target-password-file", shell.home / "target-password"]
    places = ["--source-sieve", f":{dovecot.sieve}", "--target-sieve", f":{cyrus.sieve}"]
    done = json.loads(shell.run("move-accounts", listed, *urls, *admins, *places, "--json"))
    assert [one["sieve"]["scripts"][0]["fate"] for one in done["accounts"]] == ["copied"] * 3
    assert [held(cyrus, name) for name in names] == [({"a": VACATION}, "a")] * 3


def test_a_side_without_manage_sieve_is_told_and_the_mail_goes(cyrus: Cyrus, dovecot: Dovecot, shell: Shell) -> None:
    urls = [cyrus.account("u0008").url, dovecot.account("u0008").url]
    running = shell.start("copy", *urls, *shell.passwords("pw", "pw"), "--sieve")
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, out + err
    assert "No Sieve scripts are copied. The old server: The server cannot be reached." in err
    named = ["--source-sieve", f":{cyrus.imap}"]
    out = shell.run("copy", *urls, *shell.passwords("pw", "pw"), *named, "--json", exit_code=4)
    assert json.loads(out)["sieve"]["error"]["code"] == "server.not_sieve"
    assert json.loads(out)["balanced"]
