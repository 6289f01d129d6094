"""The proof of copy in the panel: who is done is proved, every planted loss is found, and the manifest says so."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.models import Account, Batch, BatchMail, Event, LedgerLeaf, LeftBehindMessage, ProofKey
from campaigns.services import mail_counts, proofs, secrets
from campaigns.states import AccountState
from migrator.transfer.manifest_check import Checked, check
from migrator.transfer.signing import fingerprint
from tests.campaigns import scenes
from tests.campaigns.crossings import claim
from tests.campaigns.factories import make_user
from tests.campaigns.towns import Town

pytestmark = pytest.mark.django_db(transaction=True)
S = AccountState
ANNA, BERTA = "anna@example.test", "berta@example.test"


def client(**roles: bool) -> Client:
    asking = Client(headers={"host": "localhost"})
    asking.force_login(make_user(**roles))
    return asking


def copied(*logins: str, **fields: Any) -> tuple[Town, list[Account]]:
    """Accounts that are copied ahead and wait for somebody to say go."""
    town = Town(**fields)
    town.batch_fields["go_at"] = None
    town.accept()
    accounts = town.move_in(*logins)
    town.work()
    for account in accounts:
        account.refresh_from_db()
        assert account.state == S.READY
    return town, accounts


def go(town: Town) -> None:
    Batch.objects.update(go_at=timezone.now())
    town.work()


def taken(asking: Client, address: str, **form: str) -> Checked:
    answer = asking.post(address, form)
    assert answer.status_code == 200
    return check(io.BytesIO(b"".join(answer.streaming_content)))


# Who is done is proved


def test_accounts_that_moved_balance_in_the_signed_proof_of_their_batch() -> None:
    town, (anna, berta) = copied(ANNA, BERTA)
    go(town)
    for account in (anna, berta):
        town.assert_crossed(account)
        assert (account.verified_level, account.verified_at is not None) == ("ledger", True)
    manager = client(is_manager=True)
    for records in ("", "1"):
        found = taken(manager, f"/batches/{anna.batch_id}/proof/manifest", records=records)
        assert (found.holds, found.problems, found.open) == (True, [], [])
        assert (found.totals.accounts, found.totals.balanced, found.verified) == (2, 2, 2)
        listed = sum(len(folder.messages) for box in (ANNA, BERTA) for folder in town.source.mailboxes[box])
        assert found.totals.balance.listed == listed
        assert found.has_records is bool(records)
        assert found.key == bytes(ProofKey.objects.get().public)
    found = taken(manager, f"/accounts/{anna.pk}/proof")
    assert (found.holds, found.totals.accounts, found.has_records) == (True, 1, True)
    events = Event.objects.filter(name__in=("batch.proof.taken", "account.proof.taken")).order_by("pk")
    assert [(event.name, event.actor is not None, event.data["records"]) for event in events] == [
        ("batch.proof.taken", True, False),
        ("batch.proof.taken", True, True),
        ("account.proof.taken", True, True),
    ]


def test_an_account_that_a_worker_has_is_named_and_not_proved() -> None:
    _, (anna,) = copied(ANNA)
    claim(anna)
    found = taken(client(is_operator=True), f"/batches/{anna.batch_id}/proof/manifest")
    assert (found.holds, found.totals.balanced, found.totals.at_work) == (True, 0, 1)


@pytest.mark.long
def test_an_account_that_a_worker_takes_meanwhile_is_not_called_balanced() -> None:
    _, (anna,) = copied(ANNA)
    lines = proofs.take_account(anna, actor=make_user(is_operator=True))
    text = next(lines)
    claim(anna)
    found = check(io.BytesIO(text + b"".join(lines)))
    assert (found.holds, found.totals.balanced, found.totals.at_work) == (True, 0, 1)


# Every planted loss is found, and whose it is does not move


def hide_a_message(town: Town) -> None:
    town.target.mailboxes[ANNA]["INBOX"].expunge(2)


def change_an_octet(town: Town) -> None:
    message = town.target.mailboxes[ANNA]["INBOX"].messages[2]
    message.body = message.body.replace(b"Subject", b"Subjekt")


def drop_a_leaf(town: Town) -> None:
    LedgerLeaf.objects.order_by("folder", "number").first().delete()  # type: ignore[union-attr]


def change_a_leaf(town: Town) -> None:
    leaf = LedgerLeaf.objects.order_by("folder", "number").last()
    assert leaf is not None
    packed = bytearray(leaf.packed)
    packed[-1] ^= 1
    LedgerLeaf.objects.filter(pk=leaf.pk).update(packed=bytes(packed))


def double_a_leaf(town: Town) -> None:
    leaf = LedgerLeaf.objects.order_by("folder", "number").last()
    assert leaf is not None
    leaf.pk, leaf.number = None, leaf.number + 1000
    leaf.save()


def lose_a_row(town: Town) -> None:
    LeftBehindMessage.objects.all().delete()


PLANTS: list[tuple[Callable[[Town], None], str]] = [
    (hide_a_message, "cutover.differs"),
    (change_an_octet, "cutover.differs"),
    (drop_a_leaf, "ledger."),
    (change_a_leaf, "ledger."),
    (double_a_leaf, "ledger."),
    (lose_a_row, "ledger.unproved"),
]


@pytest.mark.long
@pytest.mark.parametrize(("plant", "code"), PLANTS, ids=lambda one: getattr(one, "__name__", ""))
@pytest.mark.parametrize("is_governed", [True, False])
def test_a_planted_loss_keeps_an_account_from_being_done(plant: Any, code: str, is_governed: bool) -> None:
    town = Town(is_governed=is_governed, verify_level="digest")
    town.batch_fields["go_at"] = None
    town.accept()
    (anna,) = town.move_in(ANNA)
    town.source.mailboxes[ANNA].deliver("INBOX", b"Subject: thrown away\r\n\r\n", ["\\Deleted"])
    town.work()
    plant(town)
    go(town)
    anna.refresh_from_db()
    if not is_governed and code == "cutover.differs":
        # Nobody is locked out, so people may have done this themselves: it is found by whoever looks again.
        assert anna.state == S.DONE
        assert anna.verified_at is None
        return
    assert anna.state != S.DONE
    assert anna.owner == "source"
    assert anna.error_code.startswith(code)
    if code != "cutover.differs":
        found = taken(client(is_operator=True), f"/accounts/{anna.pk}/proof")
        assert not found.holds
        assert found.totals.balanced == 0


# The key


def test_the_key_is_made_once_sealed_and_survives_fresh_keys_of_the_vault(tmp_path: Any, monkeypatch: Any) -> None:
    key = proofs.signing_key()
    row = ProofKey.objects.get()
    assert proofs.signing_key().public == key.public == bytes(row.public)
    assert key.seed not in bytes(row.secret or b"")
    assert base64.b64encode(key.seed) not in bytes(row.secret or b"")
    file = tmp_path / "keys"
    vault.write_keys(file, vault.vault()._keys)
    fresh = vault.Vault(vault.read_keys(file), file)
    monkeypatch.setattr(vault, "vault", lambda: fresh)
    fresh.add_key()
    assert secrets.rows_that_need_other_keys() == 1
    assert secrets.rotate().resealed == 1
    fresh.drop_other_keys()
    assert proofs.signing_key().seed == key.seed


def test_a_vault_that_cannot_open_the_key_says_so_and_makes_no_other(monkeypatch: Any) -> None:
    _, (anna,) = copied(ANNA)
    before = proofs.signing_key().public
    other = vault.Vault((Fernet.generate_key().decode(),), None)
    monkeypatch.setattr(vault, "vault", lambda: other)
    answer = client(is_operator=True).post(f"/batches/{anna.batch_id}/proof/manifest", follow=True)
    assert answer.status_code == 200
    assert "cannot be read" in answer.text or "key" in answer.text
    assert bytes(ProofKey.objects.get().public) == before
    assert not Event.objects.filter(name="batch.proof.taken").exists()


# The page


def test_the_page_says_where_every_message_is_and_how_to_check_it() -> None:
    town, (anna, _) = copied(ANNA, BERTA)
    go(town)
    mail_counts.count(anna.batch_id)
    proofs.make_key()
    page = client(is_manager=True).get(f"/batches/{anna.batch_id}/proof").text
    mail = BatchMail.objects.get()
    total = sum(getattr(mail, name) for name in mail_counts.BOXES)
    assert f"{total} messages on the old server, and each has its place." in page
    assert "2 accounts message by message: each one is there, with its date and its flags; the last" in page
    assert fingerprint(bytes(ProofKey.objects.get().public)) in page
    assert "Download the signed proof" in page
    assert "verify FILE --public-key KEY" in page
    assert "Download the signed proof" not in client(is_administrator=True).get(f"/batches/{anna.batch_id}/proof").text


def test_the_page_of_a_batch_that_never_began_claims_nothing() -> None:
    scenes.platform(12)
    planned = Batch.objects.get(name="Arts 1")
    page = client(is_operator=True).get(f"/batches/{planned.pk}/proof").text
    assert "No mail of this batch is counted yet." in page
    assert "No account has moved yet." in page
    assert "made with the first proof" in page


def test_the_account_page_offers_the_proof_to_those_who_may_take_it() -> None:
    town, (anna,) = copied(ANNA)
    go(town)
    page = client(is_manager=True).get(f"/accounts/{anna.pk}").text
    assert f'action="/accounts/{anna.pk}/proof"' in page
    assert "nothing differed" in page
    assert f'action="/accounts/{anna.pk}/proof"' not in client(is_helpdesk=True).get(f"/accounts/{anna.pk}").text


@pytest.mark.long
@pytest.mark.parametrize("accounts", [12, 120])
def test_the_page_asks_the_database_a_few_things_however_many_accounts_there_are(
    accounts: int, django_assert_num_queries: Any
) -> None:
    scenes.platform(accounts)
    proofs.make_key()
    batch = Batch.objects.get(name="Science 3")
    asking = client(is_manager=True)
    asking.get(f"/batches/{batch.pk}/proof")
    with django_assert_num_queries(7):
        assert asking.get(f"/batches/{batch.pk}/proof").status_code == 200


def test_the_public_key_is_handed_out_and_reads_as_the_fingerprint_says() -> None:
    asking = client(is_manager=True)
    assert asking.get("/proof-key.pem").status_code == 404
    proofs.make_key()
    answer = asking.get("/proof-key.pem")
    assert answer.text.startswith("-----BEGIN PUBLIC KEY-----")
