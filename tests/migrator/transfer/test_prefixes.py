"""Roots and prefixes: mailboxes that an administrator opens by name, and names that one product reserves."""

from __future__ import annotations

import pytest

from migrator.mail import Folder
from migrator.stores.profiles import COMMUNIGATE, CYRUS, DOVECOT
from migrator.transfer.folders import FolderRules
from tests.migrator.transfer.test_folders import folder, left_out, listing, mapped, names, reasons


@pytest.mark.parametrize(
    ("strip", "source", "separator"),
    [
        ("~anna/", ("~anna/INBOX", "~anna/Sent", "~anna/Sent/Old"), "/"),
        ("user.anna.", ("user.anna", "user.anna.Sent", "user.anna.Sent.Old"), "."),
        ("user/anna/", ("user/anna", "user/anna/Sent", "user/anna/Sent/Old"), "/"),
        ("user/anna@example.org/", ("user/anna@example.org", "user/anna@example.org/Sent",
                                    "user/anna@example.org/Sent/Old"), "/"),
    ],
)  # fmt: skip
def test_another_users_mailbox_is_copied_as_if_its_owner_had_signed_in(
    strip: str, source: tuple[str, ...], separator: str
) -> None:
    found = mapped(listing(*source, separator=separator), rules=FolderRules(strip_prefix=strip), to="/")
    assert list(names(found).values()) == ["INBOX", "Sent", "Sent/Old"]
    assert list(reasons(found).values()) == [None, None, None]


@pytest.mark.parametrize(
    ("add", "profile", "to", "targets"),
    [
        ("~anna/", COMMUNIGATE, "/", ["~anna/INBOX", "~anna/Sent", "~anna/Sent/Old"]),
        ("user.anna.", CYRUS, ".", ["user.anna", "user.anna.Sent", "user.anna.Sent.Old"]),
        ("user/anna/", CYRUS, "/", ["user/anna", "user/anna/Sent", "user/anna/Sent/Old"]),
    ],
)
def test_another_users_mailbox_is_filled_as_if_its_owner_had_signed_in(add, profile, to, targets) -> None:
    there = listing(*targets[:1], separator=to)
    source = [folder("INBOX", subscribed=True), folder("Sent", subscribed=True), folder("Sent/Old")]
    rules = FolderRules(add_prefix=add)
    first = mapped(source, there, rules=rules, to=to, profile=profile)
    assert list(names(first).values()) == targets
    assert first.pairs[0].exists
    known = {pair.source.path.raw: pair.target.raw for pair in first.pairs}
    again = mapped([*source, folder("INBOX/New")], there, rules=rules, to=to, profile=profile, known=known)
    assert list(names(again).values()) == [targets[0], f"{targets[0]}{to}New", *targets[1:]]


def test_an_ordinary_prefix_that_begins_with_user_opens_nobodys_mailbox() -> None:
    source = listing("user/anna/Work", "user/anna/Work/a")
    assert names(mapped(source, rules=FolderRules(strip_prefix="user/anna/Work/"))) == {
        "user/anna/Work": "user/anna/Work",
        "user/anna/Work/a": "a",
    }


@pytest.mark.parametrize("subscribes", [True, False])
def test_subscriptions_are_carried_over_unless_they_shall_not(subscribes: bool) -> None:
    source = [folder("INBOX", subscribed=True), folder("a", subscribed=True), folder("b")]
    found = mapped(source, rules=FolderRules(subscribe=subscribes))
    assert [pair.source.subscribed for pair in found.pairs] == [subscribes, subscribes, False]


def test_only_what_is_subscribed_is_copied_though_nothing_is_subscribed_there() -> None:
    source: list[Folder] = [folder("a", subscribed=True), folder("b")]
    found = mapped(source, rules=FolderRules(only_subscribed=True, subscribe=False))
    assert names(found) == {"a": "a"}
    assert left_out(found) == {b"b": "not_subscribed"}


@pytest.mark.req("D-11", "S-69")
def test_names_of_files_that_communigate_reserves_are_spelled_with_a_dash() -> None:
    source = listing("work.mbox", "old.MDIR", "a.mbox/b.mdir", "mail.mbox.old", ".mbox")
    found = mapped(source, profile=COMMUNIGATE)
    assert names(found) == {
        "work.mbox": "work-mbox",
        "old.MDIR": "old-MDIR",
        "a.mbox/b.mdir": "a-mbox/b-mdir",
        "mail.mbox.old": "mail.mbox.old",
        ".mbox": "-mbox",
    }
    assert reasons(found)["work.mbox"] == "forbidden"
    assert names(mapped(source, profile=DOVECOT))["work.mbox"] == "work.mbox"


@pytest.mark.req("D-11")
def test_a_folder_that_has_the_name_with_the_dash_keeps_it() -> None:
    source = listing("work.mbox", "work-mbox", "work.mbox/x", "work-mbox/x")
    found = mapped(source, profile=COMMUNIGATE)
    assert names(found) == {
        "work-mbox": "work-mbox",
        "work-mbox/x": "work-mbox/x",
        "work.mbox": "work-mbox (2)",
        "work.mbox/x": "work-mbox (2)/x",
    }
    known = {pair.source.path.raw: pair.target.raw for pair in found.pairs}
    there = [folder(pair.target.raw) for pair in found.pairs]
    assert names(mapped(source, there, profile=COMMUNIGATE, known=known)) == names(found)
