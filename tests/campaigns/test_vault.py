"""Secrets at rest: bound to their place, unreadable without the key, and sealed anew without losing one."""

from __future__ import annotations

import stat
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.management import CommandError, call_command

from campaigns.bridge import vault
from campaigns.bridge.journal import OrmJournal
from campaigns.bridge.vault import Vault, read_keys, write_keys
from campaigns.models import Account, Connector, Event, JournalEntry, Server, User
from campaigns.services import secrets
from migrator.errors import MigratorError, Side
from migrator.journal import StepKey, StepKind
from migrator.secret import Secret
from tests.campaigns.crossings import claim, give_password, make_account, make_admin, make_batch, make_campaign

PASSWORD = 'p"w \\%d ü\udce4'


def key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "vault_keys"
    write_keys(path, [key()])
    return path


def opened(file: Path) -> Vault:
    return Vault(read_keys(file), file)


def code_of(caught: pytest.ExceptionInfo[MigratorError]) -> str:
    return caught.value.code


def test_what_is_sealed_for_a_place_opens_there_and_holds_nothing_readable(file: Path) -> None:
    sealed = opened(file).seal(PASSWORD, "account/7/source_secret")
    assert opened(file).unseal(sealed, "account/7/source_secret") == PASSWORD
    assert b'p"w' not in sealed
    assert b"account" not in sealed
    assert opened(file).seal(PASSWORD, "account/7/source_secret") != sealed


@pytest.mark.parametrize("elsewhere", ["account/8/source_secret", "account/7/target_secret", "server/7/source_secret"])
def test_a_sealed_value_that_was_copied_elsewhere_does_not_open(file: Path, elsewhere: str) -> None:
    sealed = opened(file).seal("secret", "account/7/source_secret")
    with pytest.raises(MigratorError) as caught:
        opened(file).unseal(sealed, elsewhere)
    assert code_of(caught) == "secret.unreadable"


def test_an_altered_value_does_not_open(file: Path) -> None:
    sealed = bytearray(opened(file).seal("secret", "x/1/y"))
    sealed[20] = ord("A") if sealed[20] != ord("A") else ord("B")
    with pytest.raises(MigratorError) as caught:
        opened(file).unseal(bytes(sealed), "x/1/y")
    assert code_of(caught) == "secret.unreadable"


def test_without_a_key_nothing_is_sealed_or_opened(tmp_path: Path) -> None:
    empty = Vault((), tmp_path / "none")
    for use in (lambda: empty.seal("secret", "x/1/y"), lambda: empty.unseal(b"gAAAA", "x/1/y")):
        with pytest.raises(MigratorError) as caught:
            use()
        assert code_of(caught) == "secret.no_key"
    assert not (tmp_path / "none").exists()


def test_a_line_that_is_no_key_is_told_as_a_missing_one() -> None:
    with pytest.raises(MigratorError) as caught:
        Vault(["not a key"], None).seal("secret", "x/1/y")
    assert code_of(caught) == "secret.no_key"


def test_another_key_opens_nothing_and_is_told_as_such(file: Path) -> None:
    sealed = opened(file).seal("secret", "x/1/y")
    with pytest.raises(MigratorError) as caught:
        Vault([key()], None).unseal(sealed, "x/1/y")
    assert code_of(caught) == "secret.unreadable"


def test_nobody_else_reads_the_key_file(file: Path) -> None:
    opened(file).add_key()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_program_that_runs_finds_a_key_that_came_after_its_start(file: Path) -> None:
    running = opened(file)
    before = running.seal("before", "x/1/y")
    rotating = opened(file)
    rotating.add_key()
    resealed = rotating.reseal(before)
    assert running.unseal(resealed, "x/1/y") == "before"
    assert running.unseal(before, "x/1/y") == "before"
    assert rotating.is_sealed_with_first_key(resealed)
    assert not rotating.is_sealed_with_first_key(before)


def test_a_dropped_key_opens_nothing_any_more(file: Path) -> None:
    rotating = opened(file)
    before = rotating.seal("before", "x/1/y")
    rotating.add_key()
    rotating.drop_other_keys()
    assert len(read_keys(file)) == 1
    assert not opened(file).opens(before)


def test_keys_of_the_environment_are_not_changed_here() -> None:
    with pytest.raises(MigratorError) as caught:
        Vault([key()], None).add_key()
    assert code_of(caught) == "secret.keys_elsewhere"


# In the database


@pytest.fixture
def account(transactional_db: None) -> Account:
    return make_account(make_batch(make_campaign()), password=None)


@pytest.fixture
def anna(account: Account) -> User:
    return User.objects.create(username="anna")


@pytest.fixture
def own_vault(file: Path, monkeypatch: pytest.MonkeyPatch, account: Account) -> Path:
    """Let this test have the vault of a key file of its own, and no rescue folders of others."""
    mine = opened(file)
    monkeypatch.setattr(settings, "DATA", file.parent.parent)
    monkeypatch.setattr(vault, "vault", lambda: mine)
    return file


def test_a_row_that_is_not_stored_has_no_place() -> None:
    with pytest.raises(ValueError, match="store the row first"):
        vault.seal(Secret("secret"), Server(name="x"), "admin_secret")


def test_a_password_moved_to_another_row_does_not_open(account: Account) -> None:
    second = make_account(account.batch, "berta", "of berta")
    account.source_secret = second.source_secret
    account.save()
    account.refresh_from_db()
    with pytest.raises(MigratorError) as caught:
        vault.unseal(account, "source_secret")
    assert code_of(caught) == "secret.unreadable"


def test_a_password_is_stored_sealed_and_told_without_itself(account: Account, anna: User) -> None:
    assert secrets.set_account_password(account, Side.SOURCE, Secret(PASSWORD), actor=anna)
    account.refresh_from_db()
    found = vault.unseal(account, "source_secret")
    assert found is not None
    assert found.reveal() == PASSWORD
    event = Event.objects.get()
    assert (event.name, event.actor, event.account) == ("account.password.changed", anna, account)
    assert PASSWORD not in repr(event.data)


def test_a_password_entered_again_stays_the_refused_one(account: Account, anna: User) -> None:
    secrets.set_account_password(account, Side.SOURCE, Secret("wrong"), actor=anna)
    refused = secrets.fingerprint(account.source_secret)
    assert not secrets.set_account_password(account, Side.SOURCE, Secret("wrong"), actor=anna)
    assert secrets.fingerprint(account.source_secret) == refused
    assert secrets.set_account_password(account, Side.SOURCE, Secret("right"), actor=anna)
    assert secrets.fingerprint(account.source_secret) != refused
    assert secrets.set_account_password(account, Side.SOURCE, None, actor=anna)
    assert account.source_secret is None


def test_a_list_fills_in_only_what_changed(account: Account) -> None:
    give_password(account, "same", "source")
    second = make_account(account.batch, "berta", password=None)
    rows = [
        (account, Side.SOURCE, Secret("same")),
        (second, Side.SOURCE, Secret("b")),
        (second, Side.TARGET, Secret("c")),
    ]
    assert secrets.fill_in(rows) == [second]
    assert Account.objects.exclude(source_secret=None).get() == account  # nothing was stored by it


def everything_sealed(account: Account) -> list[object]:
    """Return all secrets there are, opened."""
    server, connector = Server.objects.get(name="source"), Connector.objects.get()
    account.refresh_from_db()
    found = [vault.unseal(account, "source_secret"), vault.unseal(account, "target_secret")]
    found += [vault.unseal(server, "admin_secret"), vault.unseal(connector, "secret")]
    (entry,) = OrmJournal(claim(account), 1).entries()
    return [*(secret.reveal() for secret in found if secret), entry.saved]


def fill(account: Account) -> list[object]:
    give_password(account, "s", "source")
    give_password(account, "t", "target")
    make_admin(account.source, password="a")
    connector = Connector.objects.create(room="directory", kind="memory", name="staff")
    Connector.objects.update(secret=vault.seal(Secret("c"), connector, "secret"))
    OrmJournal(claim(account), 1).begin(StepKey(0, StepKind.DISABLE, "staff", "source"), {"before": {"status": "x"}})
    return ["s", "t", "a", "c", {"before": {"status": "x"}}]


def test_rotation_seals_everything_anew_and_loses_nothing(account: Account, own_vault: Path) -> None:
    expected = fill(account)
    Account.objects.update(refused_secret=secrets.fingerprint(account.source_secret))
    before = read_keys(own_vault)
    call_command("rotate_keys", stdout=StringIO())
    assert read_keys(own_vault)[1:] == before
    assert everything_sealed(account) == expected
    assert secrets.rows_that_need_other_keys() == 0
    assert account.refused_secret == secrets.fingerprint(account.source_secret)
    call_command("rotate_keys", "--drop", stdout=StringIO())
    assert len(read_keys(own_vault)) == 1
    assert everything_sealed(account) == expected
    assert not Vault(before, None).opens(bytes(account.source_secret))


def test_no_key_is_dropped_while_something_does_not_open(account: Account, own_vault: Path) -> None:
    fill(account)
    Account.objects.update(target_secret=Vault([key()], None).seal("lost", "account/1/target_secret"))
    call = pytest.raises(CommandError, match="1 stored values could not be opened")
    with call:
        call_command("rotate_keys", stdout=StringIO())
    with call:
        call_command("rotate_keys", "--drop", stdout=StringIO())
    assert len(read_keys(own_vault)) == 2


def test_what_the_journal_saved_stands_sealed_in_its_row(account: Account) -> None:
    fill(account)
    assert "status" not in repr(JournalEntry.objects.get().saved)
