"""What mail programs notice is what stands in their set-ups and caches: each difference of two servers, named once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.preflight.impact import SENTENCES, Difference, Facade, Weight, differences

OLD = Facade(
    host="old.example.test",
    port=143,
    security="starttls",
    login="anna",
    ways=("AUTH=PLAIN", "LOGIN"),
    abilities=("IDLE", "MOVE"),
    separator=".",
    prefix="INBOX.",
    roles={"\\Sent": "INBOX.Sent"},
    uidvalidity=1,
    services={"imap": "* OK", "pop3": "+OK"},
)


def test_two_equal_servers_are_not_told_apart() -> None:
    assert differences(OLD, OLD) == []


@pytest.mark.parametrize(
    ("change", "code", "old", "new"),
    [
        ({"host": "new.example.test"}, "host", "old.example.test", "new.example.test"),
        ({"port": 993}, "port", "143", "993"),
        ({"security": "tls"}, "security", "starttls", "tls"),
        ({"login": "anna@example.test"}, "login", "anna", "anna@example.test"),
        ({"ways": ("AUTH=PLAIN", "AUTH=X")}, "ways", "LOGIN", "AUTH=PLAIN AUTH=X"),
        ({"services": {"imap": "* OK"}}, "service", "pop3", ""),
        ({"prefix": ""}, "prefix", "INBOX.", ""),
        ({"separator": "/"}, "separator", ".", "/"),
        ({"roles": {"\\Sent": "Sent Items"}}, "role", "INBOX.Sent", "Sent Items"),
        ({"uidvalidity": 2}, "uidvalidity", "1", "2"),
        ({"abilities": ("MOVE",)}, "ability", "IDLE", ""),
    ],
)
def test_each_difference_is_named_alone(change: dict[str, object], code: str, old: str, new: str) -> None:
    found = differences(OLD, replace(OLD, **change))  # type: ignore[arg-type]
    assert found == [Difference(code, old, new)]
    assert Difference.from_json(found[0].as_json()) == found[0]


def test_what_people_must_change_comes_first_and_what_is_gained_is_not_told() -> None:
    gained = {"abilities": ("IDLE", "MOVE", "QUOTA"), "ways": ("AUTH=PLAIN", "AUTH=X", "LOGIN")}
    new = replace(OLD, host="new", uidvalidity=7, separator="/", **gained)
    assert [one.weight for one in differences(OLD, new)] == [Weight.SETTINGS, Weight.RELOAD, Weight.LOOKS]


def test_every_difference_has_its_sentence() -> None:
    assert all(text.endswith(".") for _, text in SENTENCES.values())
