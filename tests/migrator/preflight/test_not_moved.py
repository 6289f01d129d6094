"""What is not moved, per pair of servers."""

from __future__ import annotations

import pytest

from migrator.preflight.not_moved import SideFacts, not_moved


def codes(source: SideFacts, target: SideFacts) -> set[str]:
    return {one.code for one in not_moved(source, target)}


PLAIN = SideFacts("Dovecot", acl=True, scripts=True)


@pytest.mark.parametrize(
    ("source", "also"),
    [
        (SideFacts("Exchange"), {"groupware_folders", "categories", "rules", "grants"}),
        (SideFacts("Zimbra"), {"groupware_folders", "rules", "grants"}),
        (SideFacts("Gmail"), {"labels", "rules", "grants"}),
        (SideFacts("Dovecot", acl=True), {"rules"}),
        (SideFacts("Dovecot", scripts=True), {"grants"}),
        (PLAIN, set()),
    ],
)
def test_each_pair_has_its_own_list(source: SideFacts, also: set[str]) -> None:
    assert codes(source, PLAIN) == {"calendars", "contacts", "settings", "passwords"} | also


def test_what_the_kind_of_access_cannot_show_is_said() -> None:
    assert "flags" in codes(SideFacts("generic", kind="pop3"), PLAIN)
    assert "dates" in codes(PLAIN, SideFacts("generic", kind="smtp"))
    assert codes(SideFacts("generic", kind="mbox"), PLAIN) == set()


def test_every_thing_says_how_people_get_it_across() -> None:
    for one in not_moved(SideFacts("Exchange"), PLAIN) + not_moved(SideFacts("Gmail"), PLAIN):
        assert one.sentence.endswith(".")
        assert one.way.endswith(".")
