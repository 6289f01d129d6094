"""A new password mends a refused sign-in: sealed, told without itself, and only where it is another one."""

from __future__ import annotations

import json

import pytest

from campaigns.bridge import vault
from campaigns.models import Account, Event
from campaigns.services import accounts, passwords
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from migrator.secret import Secret
from tests.campaigns.crossings import give_password
from tests.campaigns.factories import claim, make_account, make_user

pytestmark = pytest.mark.django_db
BOTH = (Side.SOURCE, Side.TARGET)


@pytest.fixture
def account() -> Account:
    """One whose password the source has refused."""
    account = make_account(AccountState.CHECKING)
    give_password(account, "wrong")
    lease = claim(account)
    accounts.settle(lease, MigratorError("sign_in.refused", side=Side.SOURCE), state=AccountState.CHECKING)
    Account.objects.filter(pk=account.pk).update(lease_until=None)
    account.refresh_from_db()
    assert account.state == AccountState.FAILED
    return account


def stored(account: Account, side: Side) -> str:
    account.refresh_from_db()
    secret = vault.unseal(account, f"{side}_secret")
    return "" if secret is None else secret.reveal()


def test_a_new_password_for_both_sides_lets_the_account_be_tried_again(account: Account) -> None:
    with pytest.raises(Refused, match=r"^account\.same_password$"):
        accounts.retry(account.pk, actor="test")
    operator = make_user(is_operator=True)
    passwords.replace(account.pk, BOTH, Secret("new and right"), actor=operator)
    assert (stored(account, Side.SOURCE), stored(account, Side.TARGET)) == ("new and right",) * 2
    accounts.retry(account.pk, actor=operator)
    account.refresh_from_db()
    assert account.state == AccountState.CHECKING


def test_a_new_password_is_told_without_itself(account: Account) -> None:
    operator = make_user(is_operator=True)
    passwords.replace(account.pk, [Side.TARGET], Secret("new and right"), actor=operator)
    assert (stored(account, Side.SOURCE), stored(account, Side.TARGET)) == ("wrong", "new and right")
    (event,) = Event.objects.filter(account=account, name="account.password.changed")
    assert (event.actor, event.data["field"]) == (operator, "target_secret")
    assert "new and right" not in json.dumps(event.data)
    assert b"new and right" not in bytes(account.target_secret or b"")


@pytest.mark.parametrize(("password", "code"), [("", "empty"), ("wrong", "same")])
def test_no_password_and_the_same_one_are_refused(account: Account, password: str, code: str) -> None:
    with pytest.raises(Refused, match=rf"^password\.{code}$"):
        passwords.replace(account.pk, BOTH, Secret(password), actor=make_user(is_operator=True))
    assert not Event.objects.filter(account=account, name="account.password.changed").exists()
