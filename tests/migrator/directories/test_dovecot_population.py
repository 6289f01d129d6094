"""What is written into a Dovecot's passwd-file for an account that is made. Live tests ask a real one what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator.directories import POPULATIONS
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError

ANNA, BERT = "Anna@Example.test", "bert@example.test"
CLOSED = "nologin reason=Mailbox_is_being_moved"


def population(tmp_path: Path, **options: Json) -> Any:
    (tmp_path / "users").touch()
    return open_connector(POPULATIONS, "dovecot", {"users": str(tmp_path / "users"), "doveadm": ["true"], **options})


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, f"anna@example.test:{{CRYPT}}!::::::{CLOSED}"),
        ({"user": "local", "reason": "Wait"}, "anna:{CRYPT}!::::::nologin reason=Wait"),
        ({"os_password": True}, f"anna@example.test:{{CRYPT}}!::::::noauthenticate {CLOSED}"),
        (
            {"external_inbox": "/var/mail"},
            f"anna@example.test:{{CRYPT}}!::::::userdb_mail=mbox:~/mail:INBOX=/var/mail/anna {CLOSED}",
        ),
        (
            {"external_inbox": "/home/*/mbox", "external_folders": "~/.mail", "os_password": True},
            "anna@example.test:{CRYPT}!::::::noauthenticate userdb_mail=mbox:~/.mail:INBOX=/home/anna/mbox " + CLOSED,
        ),
    ],
)
def test_the_line_of_an_account(tmp_path: Path, options: dict[str, Json], line: str) -> None:
    assert population(tmp_path, **options).line_of(ANNA) == line


def test_what_is_for_chosen_accounts_is_for_nobody_else(tmp_path: Path) -> None:
    made = population(
        tmp_path,
        external_inbox="/var/mail/*",
        external_accounts=["anna@example.test"],
        os_password=True,
        os_accounts=["BERT@example.test "],
    )
    assert "userdb_mail" in made.line_of(ANNA)
    assert "noauthenticate" not in made.line_of(ANNA)
    assert "userdb_mail" not in made.line_of(BERT)
    assert "noauthenticate" in made.line_of(BERT)


@pytest.mark.parametrize(
    "address",
    ["../etc@example.test", "-x@example.test", ".anna@example.test", "a/b@example.test", "a%u@example.test",
     "a:b@example.test", "#a@example.test", "a b@example.test", "x" * 65 + "@example.test", "@example.test", ""],
)  # fmt: skip
def test_a_name_that_is_none_of_a_file_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(MigratorError, match=r"address\.bad"):
        population(tmp_path, external_inbox="/var/mail").create(address)
    assert (tmp_path / "users").read_text() == ""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"external_inbox": "var/mail/*"}, "external_inbox is a full path"),
        ({"external_inbox": "/var/*/*"}, "external_inbox is a full path"),
        ({"external_inbox": "/var/../*"}, "external_inbox is a full path"),
        ({"external_inbox": "/var/mail/%u"}, "external_inbox is a full path"),
        ({"external_inbox": "/var/mail/* nologin="}, "external_inbox is a full path"),
        ({"external_folders": "/etc"}, "external_folders is a folder in the home"),
        ({"external_folders": "~/../x"}, "external_folders is a folder in the home"),
        ({"external_accounts": [BERT]}, "external_accounts names accounts for something that is not switched on"),
        ({"os_accounts": [BERT]}, "os_accounts names accounts for something that is not switched on"),
        ({"reason": "two words"}, "one word without a colon"),
        ({"users": "users"}, "full path of a file"),
        ({"usres": "x"}, "usres"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_a_sentence(
    tmp_path: Path, options: dict[str, Json], sentence: str
) -> None:
    with pytest.raises(MigratorError) as caught:
        population(tmp_path, **options)
    assert caught.value.code == "connector.invalid"
    assert sentence in caught.value.reply


def test_nobody_gets_the_mailbox_file_of_somebody_of_the_same_name_in_another_domain(tmp_path: Path) -> None:
    made = population(tmp_path, external_inbox="/var/mail")
    before = f"# all\n{made.line_of('anna@elsewhere.test')}\n"
    (tmp_path / "users").write_text(before)
    with pytest.raises(MigratorError, match=r"populate\.in_the_way") as caught:
        made.create(ANNA)
    assert caught.value.reply == "/var/mail/anna is the INBOX of anna@elsewhere.test"
    assert (tmp_path / "users").read_text() == before
