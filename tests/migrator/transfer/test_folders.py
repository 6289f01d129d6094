"""Every source folder finds its own target folder, under its own name where that is allowed, and keeps it."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mail import Folder, FolderPath
from migrator.stores.profiles import COURIER, CYRUS, DOVECOT, EXCHANGE, GENERIC, GMAIL, PYMAP, Profile
from migrator.transfer.folders import FolderMap, FolderRules, Renaming, map_folders
from migrator.transfer.names import CAUTIOUS

PLAIN_RULES = FolderRules()
NOTHING_KNOWN: Mapping[bytes, bytes] = {}
FREE = Profile("free", case_insensitive_names=False, max_segment_bytes=1000, max_name_bytes=4000)


def folder(name: str | bytes, separator: str | None = "/", role: str | None = None, **facts: bool) -> Folder:
    raw = name if isinstance(name, bytes) else FolderPath.of((name,), None).raw
    return Folder(FolderPath(raw, separator), special_use=role, **facts)


def listing(*names: str | bytes, separator: str | None = "/") -> list[Folder]:
    return [folder(name, separator) for name in names]


def mapped(
    source: Sequence[Folder],
    target: Sequence[Folder] = (),
    *,
    prefix: str = "",
    to_prefix: str = "",
    to: str | None = "/",
    profile: Profile = FREE,
    rules: FolderRules = PLAIN_RULES,
    known: Mapping[bytes, bytes] = NOTHING_KNOWN,
) -> FolderMap:
    separator = next((f.path.separator for f in source if f.path.separator), None)
    return map_folders(
        source,
        target,
        source_prefix=prefix,
        source_separator=separator,
        target_prefix=to_prefix,
        target_separator=to,
        profile=profile,
        rules=rules,
        known=known,
    )


def names(mapping: FolderMap) -> dict[str, str]:
    return {pair.source.path.raw.decode("latin-1"): pair.target.raw.decode("latin-1") for pair in mapping.pairs}


def reasons(mapping: FolderMap) -> dict[str, str | None]:
    return {pair.source.path.raw.decode("latin-1"): pair.renamed for pair in mapping.pairs}


def left_out(mapping: FolderMap) -> dict[bytes, str]:
    return {each.path.raw: reason for each, reason in mapping.left_out}


# Separators and prefixes


@pytest.mark.req("D-1", "S-50")
@pytest.mark.parametrize("to", ["/", ".", "\\"])
def test_levels_are_joined_by_the_separator_of_the_target(to: str) -> None:
    source = [folder("INBOX"), folder("a/b", "/"), folder("c^d", "^"), folder("flat.name|x", None)]
    expected = {"INBOX": "INBOX", "a/b": f"a{to}b", "c^d": f"c{to}d", "flat.name|x": "flat.name|x".replace(to, "_")}
    assert names(mapped(source, to=to)) == expected


@pytest.mark.req("D-1", "S-50")
def test_a_flat_target_gets_flat_names_that_stay_apart() -> None:
    mapping = mapped(listing("INBOX", "A", "A/B", "A/B/C", "A_B"), to=None)
    assert names(mapping) == {"INBOX": "INBOX", "A": "A", "A_B": "A_B", "A/B": "A_B (2)", "A/B/C": "A_B (2)_C"}
    assert reasons(mapping) == {"INBOX": None, "A": None, "A_B": None, "A/B": "collision", "A/B/C": "flattened"}


def test_a_separator_is_learned_from_folders_when_the_namespace_tells_none() -> None:
    target = [folder("INBOX", None), folder("x", ".")]
    assert names(mapped(listing("a/b"), target, to=None)) == {"a/b": "a.b"}


def test_the_prefix_of_the_source_is_taken_off_and_that_of_the_target_put_on() -> None:
    source = listing("INBOX", "INBOX.Sent", "INBOX.a.b", separator=".")
    assert names(mapped(source, prefix="INBOX.")) == {"INBOX": "INBOX", "INBOX.Sent": "Sent", "INBOX.a.b": "a/b"}
    there = mapped(listing("INBOX", "Sent", "a/b"), to_prefix="INBOX.", to=".", profile=COURIER)
    assert names(there) == {"INBOX": "INBOX", "Sent": "INBOX.Sent", "a/b": "INBOX.a.b"}
    assert set(reasons(there).values()) == {None}


def test_a_prefix_of_several_levels_is_taken_off() -> None:
    source = listing("INBOX", "~u1/Mail/a", "~u1/b")
    assert names(mapped(source, prefix="~u1/Mail/")) == {"INBOX": "INBOX", "~u1/Mail/a": "a", "~u1/b": "~u1/b"}


@pytest.mark.req("D-2")
def test_a_prefix_that_nobody_told_is_guessed_and_shown() -> None:
    mapping = mapped(listing("INBOX", "INBOX.Sent", "INBOX.a.b", separator="."))
    assert names(mapping) == {"INBOX": "INBOX", "INBOX.Sent": "Sent", "INBOX.a.b": "a/b"}
    assert mapping.guessed_prefix == "INBOX."
    assert reasons(mapping) == {"INBOX": None, "INBOX.Sent": "guessed_prefix", "INBOX.a.b": "guessed_prefix"}


@pytest.mark.req("D-2")
@pytest.mark.parametrize("other", [("Sent",), ("INBOX2.a",), ()])
def test_no_prefix_is_guessed_while_one_folder_lives_without_it(other: tuple[str, ...]) -> None:
    inside = ("INBOX.a",) if other else ()
    mapping = mapped(listing("INBOX", *inside, *other, separator="."), to=".")
    assert mapping.guessed_prefix == ""
    assert all(source == target for source, target in names(mapping).items())


@pytest.mark.req("D-3")
def test_the_targets_separator_inside_a_name_is_replaced() -> None:
    mapping = mapped(listing("v1.2", "v1_2", "v1.2/sub"), to=".", profile=DOVECOT)
    assert names(mapping) == {"v1_2": "v1_2", "v1.2": "v1_2 (2)", "v1.2/sub": "v1_2 (2).sub"}
    assert reasons(mapping) == {"v1_2": None, "v1.2": "collision", "v1.2/sub": "parent"}
    other = mapped(listing("A/B", separator="."), to="/", rules=FolderRules(replacement="-"))
    assert (names(other), reasons(other)) == ({"A/B": "A-B"}, {"A/B": "separator"})


@pytest.mark.req("D-3")
def test_a_deltas_folder_is_the_one_of_the_first_pass() -> None:
    known = {b"v1.2": b"v1_2 (2)"}
    mapping = mapped(listing("v1.2"), listing("v1_2", "v1_2 (2)", separator="."), to=".", known=known)
    assert names(mapping) == {"v1.2": "v1_2 (2)"}
    assert mapping.pairs[0].exists


# Letters


@pytest.mark.req("D-4")
def test_names_that_are_not_what_they_should_be_arrive_as_what_was_meant() -> None:
    source = listing("Entwürfe".encode(), b"Tom & Jerry", b"&AOk-", b"Entw\xfcrfe2")
    assert names(mapped(source)) == {
        "Entwürfe".encode().decode("latin-1"): "Entw&APw-rfe",
        "Tom & Jerry": "Tom &- Jerry",
        "&AOk-": "&AOk-",
        "Entw\xfcrfe2": "Entw&APw-rfe2",
    }


@pytest.mark.req("D-6")
def test_two_spellings_of_one_letter_stay_two_folders() -> None:
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    mapping = mapped([folder(apart), folder(composed)])
    targets = [pair.target.display for pair in mapping.pairs]
    assert sorted(unicodedata.normalize("NFC", name) for name in targets) == ["é", "é (2)"]
    alone = mapped([folder(apart)])
    assert alone.pairs[0].target.raw == FolderPath.of((apart,), None).raw


@pytest.mark.req("D-7")
def test_quotes_and_backslashes_are_part_of_a_name() -> None:
    assert names(mapped(listing('a"b', "c\\d"))) == {'a"b': 'a"b', "c\\d": "c\\d"}


@pytest.mark.req("D-8")
@pytest.mark.parametrize("raw", [b"a\rb", b"a\nb", b"a\0b", b"a\r\nb DELETE INBOX"])
def test_a_name_that_cannot_be_spoken_is_left_out_and_told(raw: bytes) -> None:
    mapping = mapped(listing("INBOX", raw))
    assert names(mapping) == {"INBOX": "INBOX"}
    assert left_out(mapping) == {raw: "unspeakable_name"}


@pytest.mark.req("D-8")
def test_an_encoded_line_end_never_reaches_the_target() -> None:
    mapping = mapped(listing(b"a&AA0ACg-b"))
    assert names(mapping) == {"a&AA0ACg-b": "a__b"}
    assert reasons(mapping) == {"a&AA0ACg-b": "control"}


@pytest.mark.req("D-13")
@pytest.mark.parametrize(
    ("profile", "to", "name", "expected"),
    [
        (DOVECOT, ".", "a/b", "a_b"),
        (DOVECOT, "/", "v1.2", "v1.2"),
        (DOVECOT, ".", "~home", "_home"),
        (DOVECOT, "/", "x~", "x~"),
        (CYRUS, ".", "100% <sure>; a`b{c|d}!", "100_ _sure__ a_b_c_d__"),
        (CYRUS, "/", "a^b", "a_b"),
        (CYRUS, ".", "a^b", "a^b"),
        (COURIER, ".", "\N{GRINNING FACE} and é", "_ and &AOk-"),
        (DOVECOT, ".", "\N{GRINNING FACE}", "&2D3eAA-"),
    ],
)
def test_letters_the_target_refuses_are_replaced(profile: Profile, to: str, name: str, expected: str) -> None:
    mapping = mapped([folder(name, None)], to=to, profile=profile)
    assert mapping.pairs[0].target.raw.decode() == expected
    assert (mapping.pairs[0].renamed == "forbidden") == (mapping.pairs[0].target.segments[-1] != name)


@pytest.mark.req("D-13", "D-15")
def test_what_a_target_refused_can_be_forbidden_later() -> None:
    first = mapped(listing("v1.2", "ok", "v1.2/sub"), profile=DOVECOT)
    known = {pair.source.path.raw: pair.target.raw for pair in first.pairs if pair.source.path.raw == b"ok"}
    again = mapped(
        listing("v1.2", "ok", "v1.2/sub"), profile=DOVECOT, rules=FolderRules(also_forbidden=CAUTIOUS), known=known
    )
    assert names(again) == {"ok": "ok", "v1.2": "v1_2", "v1.2/sub": "v1_2/sub"}


@pytest.mark.parametrize("name", [".", ".."])
def test_the_file_systems_own_names_are_not_used(name: str) -> None:
    assert names(mapped(listing(name))) == {name: "_" * len(name)}


# INBOX


@pytest.mark.req("D-9")
@pytest.mark.parametrize("spelling", ["INBOX", "Inbox", "inbox"])
def test_inbox_goes_to_inbox_in_any_spelling(spelling: str) -> None:
    mapping = mapped(listing(spelling, f"{spelling}/Sub", "x"), [folder("Inbox")])
    assert names(mapping) == {spelling: "Inbox", f"{spelling}/Sub": "INBOX/Sub", "x": "x"}
    assert set(reasons(mapping).values()) == {None}
    assert mapping.pairs[0].exists


@pytest.mark.req("D-9")
def test_inbox_listed_in_two_spellings_is_one_folder() -> None:
    mapping = mapped(listing("Inbox", "INBOX"))
    assert names(mapping) == {"INBOX": "INBOX"}
    assert left_out(mapping) == {b"Inbox": "listed_twice"}


@pytest.mark.req("D-9")
def test_a_folder_that_is_merely_called_inbox_does_not_become_it() -> None:
    source = listing("INBOX", "INBOX.INBOX", "INBOX.Inbox", "INBOX.INBOX.a", separator=".")
    mapping = mapped(source, prefix="INBOX.")
    targets = names(mapping)
    assert targets["INBOX"] == "INBOX"
    assert {targets["INBOX.INBOX"], targets["INBOX.Inbox"]} == {"INBOX (2)", "Inbox (2)"}
    assert targets["INBOX.INBOX.a"] == targets["INBOX.INBOX"] + "/a"


@pytest.mark.req("D-9")
def test_inside_and_beside_inbox_stay_apart_where_the_target_has_one_place_for_both() -> None:
    mapping = mapped(listing("INBOX", "INBOX/Sub", "Sub"), to_prefix="INBOX.", to=".", profile=COURIER)
    assert names(mapping) == {"INBOX": "INBOX", "Sub": "INBOX.Sub", "INBOX/Sub": "INBOX.Sub (2)"}


# Collisions


@pytest.mark.req("D-10")
@pytest.mark.parametrize("profile", [EXCHANGE, GMAIL, GENERIC])
def test_names_that_differ_in_case_only_stay_two_folders(profile: Profile) -> None:
    mapping = mapped(listing("Sent", "sent", "SENT/x"), profile=profile)
    assert names(mapping) == {"Sent": "Sent", "sent": "sent (2)", "SENT/x": "SENT (3)/x"}


@pytest.mark.req("D-10")
def test_where_case_tells_folders_apart_they_keep_their_names() -> None:
    mapping = mapped(listing("Sent", "sent"), profile=DOVECOT)
    assert names(mapping) == {"Sent": "Sent", "sent": "sent"}


@pytest.mark.req("D-10")
def test_a_folder_that_is_there_in_other_letters_is_used() -> None:
    mapping = mapped(listing("sent items", "Sent items"), listing("Sent Items"), profile=EXCHANGE)
    assert names(mapping) == {"Sent items": "Sent Items", "sent items": "sent items (2)"}
    assert reasons(mapping) == {"Sent items": "case", "sent items": "collision"}
    assert [pair.exists for pair in mapping.pairs] == [True, False]


def test_a_numbered_name_never_takes_the_name_of_another_folder() -> None:
    mapping = mapped(listing("sent", "Sent", "sent (2)"), profile=EXCHANGE)
    assert names(mapping) == {"Sent": "Sent", "sent (2)": "sent (2)", "sent": "sent (3)"}


# Blanks, reserved names, length


@pytest.mark.req("D-12")
def test_blanks_at_the_ends_are_cut_for_targets_that_lose_them() -> None:
    source = listing(" lead", "trail ", "trail", " ", "a /b")
    assert names(mapped(source, profile=EXCHANGE)) == {
        " lead": "lead",
        "trail": "trail",
        "trail ": "trail (2)",
        " ": "_",
        "a /b": "a/b",
    }
    assert names(mapped(source, profile=DOVECOT)) == {name: name for name in (" lead", "trail ", "trail", " ", "a /b")}


@pytest.mark.req("D-12")
@pytest.mark.parametrize(("name", "expected"), [("/a", "_/a"), ("a/", "a/_"), ("a//b", "a/_/b")])
def test_a_level_without_a_name_gets_one(name: str, expected: str) -> None:
    assert names(mapped(listing(name))) == {name: expected}


@pytest.mark.req("D-14")
def test_reserved_names_are_numbered() -> None:
    assert names(mapped(listing("Files", "files/a"), profile=EXCHANGE)) == {
        "Files": "Files (2)",
        "files/a": "files (3)/a",
    }
    gmail = mapped(listing("Muted", "[Gmail]/Label", "x/Muted"), profile=GMAIL)
    assert names(gmail) == {"Muted": "Muted (2)", "[Gmail]/Label": "[Gmail] (2)/Label", "x/Muted": "x/Muted"}


@pytest.mark.req("D-14")
def test_a_folder_called_nil_keeps_its_name() -> None:
    mapping = mapped(listing("NIL", "nil"))
    assert names(mapping) == {"NIL": "NIL", "nil": "nil"}


@pytest.mark.req("D-15")
def test_a_name_too_long_is_cut_and_stays_apart_from_its_neighbour() -> None:
    source = listing("x" * 300 + "a", "x" * 300 + "b", "é" * 200)
    mapping = mapped(source, profile=DOVECOT, to=".")
    targets = [pair.target.raw for pair in mapping.pairs]
    assert len(set(targets)) == 3
    assert all(200 < len(target) <= 254 for target in targets)
    assert {pair.renamed for pair in mapping.pairs} == {"too_long"}
    assert [pair.target for pair in mapped(source, profile=DOVECOT, to=".").pairs] == [p.target for p in mapping.pairs]


@pytest.mark.req("D-15")
def test_a_tree_too_deep_ends_flat() -> None:
    deep = ["/".join(["level" + str(number) for number in range(depth)]) for depth in range(1, 60)]
    mapping = mapped(listing(*deep), profile=DOVECOT, to=".")
    targets = {pair.target.raw for pair in mapping.pairs}
    assert len(targets) == len(deep)
    assert max(map(len, targets)) <= 254
    assert names(mapping)["level0/level1/level2"] == "level0.level1.level2"


@pytest.mark.req("D-15")
def test_a_number_still_fits_behind_a_long_name() -> None:
    mapping = mapped(listing("y" * 240, "Y" * 240), profile=GENERIC)
    assert sorted(len(pair.target.raw) for pair in mapping.pairs) == [240, 240]
    assert len({pair.target.raw.lower() for pair in mapping.pairs}) == 2


# Folders that hold no folders, folders that hold no mail


@pytest.mark.req("D-16", "C-52")
def test_children_go_beside_a_parent_that_takes_none() -> None:
    target = [folder("INBOX", no_inferiors=True), folder("Plain", no_inferiors=True), folder("Open")]
    mapping = mapped(listing("INBOX", "INBOX/kid", "Plain", "Plain/kid", "Plain/kid/kid", "Open/kid"), target)
    assert names(mapping) == {
        "INBOX": "INBOX",
        "INBOX/kid": "INBOX_kid",
        "Plain": "Plain",
        "Plain/kid": "Plain_kid",
        "Plain/kid/kid": "Plain_kid/kid",
        "Open/kid": "Open/kid",
    }


@pytest.mark.req("D-16")
def test_where_no_folder_takes_children_only_folders_without_mail_have_some() -> None:
    target = [folder("INBOX"), folder("Sent", no_inferiors=True), folder("Trash", no_inferiors=True)]
    source = [*listing("a", "a/b", "a/b/c", "dir/x"), folder("dir", selectable=False)]
    assert names(mapped(source, target)) == {"a": "a", "a/b": "a_b", "a/b/c": "a_b_c", "dir/x": "dir/x"}


@pytest.mark.req("D-17")
def test_a_mere_name_is_not_created_but_its_children_are_copied() -> None:
    source = [folder("dir", selectable=False), folder("dir/a"), folder("dir/deep", selectable=False)]
    mapping = mapped([*source, folder("dir/deep/b")])
    assert names(mapping) == {"dir/a": "dir/a", "dir/deep/b": "dir/deep/b"}
    assert left_out(mapping) == {b"dir": "name_only", b"dir/deep": "name_only"}


@pytest.mark.req("D-17")
def test_a_mere_name_on_the_target_becomes_a_folder() -> None:
    mapping = mapped(listing("dir", "dir/a"), [folder("dir", selectable=False), folder("dir/a")])
    assert [pair.exists for pair in mapping.pairs] == [False, True]


@pytest.mark.req("D-18")
def test_a_subscription_without_a_folder_is_a_phantom() -> None:
    mapping = mapped([folder("gone", selectable=False, subscribed=True), folder("a")])
    assert left_out(mapping) == {b"gone": "phantom"}


# Roles


@pytest.mark.req("D-21", "D-23")
def test_sent_mail_goes_to_sent_mail_whatever_the_names_and_its_children_follow() -> None:
    source = [folder("Gesendet", role="\\Sent"), folder("Gesendet/2024"), folder("Trash", role="\\Trash")]
    mapping = mapped(source, [folder("Sent Items", role="\\Sent"), folder("Trash", role="\\Trash")])
    assert names(mapping) == {"Gesendet": "Sent Items", "Gesendet/2024": "Sent Items/2024", "Trash": "Trash"}
    assert reasons(mapping) == {"Gesendet": "special_use", "Gesendet/2024": "parent", "Trash": None}
    assert {pair.special_use for pair in mapping.pairs} == {None}


@pytest.mark.req("D-21")
def test_a_role_nobody_has_is_given_to_the_folder_that_is_created() -> None:
    mapping = mapped([folder("Gesendet", role="\\Sent")], listing("INBOX"))
    assert [(pair.target.raw, pair.special_use) for pair in mapping.pairs] == [(b"Gesendet", "\\Sent")]


@pytest.mark.req("D-21")
def test_of_two_folders_with_one_role_the_likelier_name_has_it() -> None:
    source = [folder("Alte Post", role="\\Sent"), folder("Sent", role="\\Sent")]
    there = mapped(source, [folder("Sent Items", role="\\Sent")])
    assert names(there) == {"Sent": "Sent Items", "Alte Post": "Alte Post"}
    absent = mapped(source)
    assert {pair.target.display: pair.special_use for pair in absent.pairs} == {"Sent": "\\Sent", "Alte Post": None}


@pytest.mark.req("D-21")
def test_a_plain_folder_never_goes_into_a_role_folder_that_is_taken() -> None:
    source = [folder("Gesendet", role="\\Sent"), folder("Sent")]
    mapping = mapped(source, [folder("Sent", role="\\Sent")])
    assert names(mapping) == {"Gesendet": "Sent", "Sent": "Sent (2)"}


def test_without_any_role_usual_names_find_the_role_folders_of_the_target() -> None:
    source = listing("INBOX", "Gesendete Elemente", b"&AMk-l&AOk-ments supprim&AOk-s", "Post", "x/Sent")
    target = [folder("Sent", role="\\Sent"), folder("Trash", role="\\Trash"), folder("Junk", role="\\Junk")]
    found = names(mapped(source, target))
    assert found["Gesendete Elemente"] == "Sent"
    assert found["&AMk-l&AOk-ments supprim&AOk-s"] == "Trash"
    assert found["Post"] == "Post"
    assert found["x/Sent"] == "x/Sent"


def test_names_are_not_believed_where_they_need_not_be() -> None:
    gesendet = folder("Gesendet")
    no_such_role = mapped([gesendet], [folder("Sent")])
    assert names(no_such_role) == {"Gesendet": "Gesendet"}
    roles_told = mapped([gesendet, folder("Bin", role="\\Trash")], [folder("Sent", role="\\Sent")])
    assert names(roles_told)["Gesendet"] == "Gesendet"
    namesake = mapped([gesendet, folder("Sent")], [folder("Sent", role="\\Sent")])
    assert names(namesake) == {"Gesendet": "Gesendet", "Sent": "Sent"}


@pytest.mark.req("D-26")
def test_folders_that_only_show_messages_of_others_are_left_out_and_told() -> None:
    source = [folder("[Gmail]/All Mail", role="\\All"), folder("[Gmail]/Starred", role="\\Flagged"), folder("a")]
    mapping = mapped(source)
    assert names(mapping) == {"a": "a"}
    assert set(left_out(mapping).values()) == {"virtual"}
    assert len(mapped(source, rules=FolderRules(keep_virtual=True)).pairs) == 3


# Rules of the operator


def test_a_source_prefix_is_removed_from_names_that_begin_with_it() -> None:
    rules = FolderRules(strip_prefix="abc/")
    mapping = mapped(listing("INBOX", "abc/mail1", "abc/mail2/deep", "abc", "abcd/x"), rules=rules)
    assert names(mapping) == {
        "INBOX": "INBOX",
        "abc/mail1": "mail1",
        "abc/mail2/deep": "mail2/deep",
        "abc": "abc",
        "abcd/x": "abcd/x",
    }


@pytest.mark.parametrize(("strip", "expected"), [("~u1/", "INBOX"), ("~u", "1/INBOX"), ("~u1", "INBOX")])
def test_a_source_prefix_is_any_beginning_of_a_name(strip: str, expected: str) -> None:
    assert names(mapped(listing("~u1/INBOX"), rules=FolderRules(strip_prefix=strip))) == {"~u1/INBOX": expected}


def test_a_target_prefix_is_put_before_all_names() -> None:
    source = [folder("INBOX"), folder("a/b"), folder("Sent", role="\\Sent")]
    mapping = mapped(source, [folder("Sent", role="\\Sent")], rules=FolderRules(add_prefix="~user/"), profile=DOVECOT)
    assert names(mapping) == {"INBOX": "~user/INBOX", "a/b": "~user/a/b", "Sent": "~user/Sent"}
    inside = mapped(source, to_prefix="INBOX.", to=".", rules=FolderRules(add_prefix="Old/"))
    assert names(inside) == {"INBOX": "INBOX.Old.INBOX", "a/b": "INBOX.Old.a.b", "Sent": "INBOX.Old.Sent"}


def test_skipped_folders_are_left_out_without_their_children() -> None:
    source = listing("INBOX", "Spam", "Spam/keep", "a/tmp1", "a/tmp2", "a", "x[1]")
    mapping = mapped(source, rules=FolderRules(skip=("Spam", "a/tmp*", "x[1]")))
    assert set(names(mapping)) == {"INBOX", "Spam/keep", "a"}
    assert set(left_out(mapping).values()) == {"skipped"}


def test_a_folder_is_skipped_by_the_role_that_the_source_tells() -> None:
    source = [*listing("INBOX", "Trash"), folder("Papierkorb", role="\\Trash"), folder("Papierkorb/keep")]
    mapping = mapped(source, rules=FolderRules(skip_roles=frozenset({"\\Trash"})))
    assert left_out(mapping) == {b"Papierkorb": "skipped"}


def test_a_folder_is_skipped_by_its_name_with_or_without_the_prefix() -> None:
    source = listing("INBOX", "INBOX.Spam", "INBOX.a", separator=".")
    for wish in ("Spam", "INBOX.Spam", "INBOX/Spam"):
        mapping = mapped(source, prefix="INBOX.", rules=FolderRules(skip=(wish,)))
        assert left_out(mapping) == {b"INBOX.Spam": "skipped"}
    assert left_out(mapped(source, prefix="INBOX.", rules=FolderRules(skip=("inbox",)))) == {b"INBOX": "skipped"}


def test_a_name_taken_at_its_word_skips_that_folder_alone() -> None:
    source = [*listing("INBOX", "a*", "ab", "a*/in"), folder(b"two\rlines")]
    rules = FolderRules(skip_exactly=frozenset({"a*", "two\rlines"}))
    assert left_out(mapped(source, rules=rules)) == {b"a*": "skipped", b"two\rlines": "skipped"}
    assert left_out(mapped(listing("INBOX"), rules=FolderRules(skip_exactly=frozenset({"Inbox"})))) == {
        b"INBOX": "skipped"
    }


def test_a_renamed_folder_takes_the_folders_inside_it_along() -> None:
    source = listing("INBOX", "a", "a/b", "a/b/c")
    mapping = mapped(source, to=".", rules=FolderRules(renamings=(Renaming("a/b", "Old mail/of b"),)))
    assert names(mapping) == {"INBOX": "INBOX", "a": "a", "a/b": "Old mail.of b", "a/b/c": "Old mail.of b.c"}
    assert reasons(mapping)["a/b"] == "rule"


@pytest.mark.parametrize("spelled", ["Sub/x", "INBOX/Sub/x", "INBOX.Sub.x"])
def test_a_folder_is_renamed_by_its_name_with_or_without_the_prefix(spelled: str) -> None:
    source = listing("INBOX", "INBOX.Sub.x", separator=".")
    rules = FolderRules(renamings=(Renaming(spelled, "y"),))
    assert names(mapped(source, prefix="INBOX.", to_prefix="INBOX.", to=".", rules=rules))["INBOX.Sub.x"] == "INBOX.y"


def test_a_folder_that_only_holds_others_is_renamed_as_well() -> None:
    source = [folder("INBOX"), folder("a", selectable=False), folder("a/b")]
    assert names(mapped(source, rules=FolderRules(renamings=(Renaming("a", "z"),))))["a/b"] == "z/b"


def test_the_name_that_a_rule_gives_is_changed_where_the_target_refuses_it() -> None:
    rules = FolderRules(renamings=(Renaming("a", "~x/y.z"), Renaming("b", "inbox"), Renaming("c", "inbox/in")))
    mapping = mapped(listing("INBOX", "a", "b", "c"), to=".", profile=DOVECOT, rules=rules)
    assert names(mapping) == {"INBOX": "INBOX", "a": "_x.y_z", "b": "inbox (2)", "c": "INBOX.in"}
    assert reasons(mapping) == {"INBOX": None, "a": "separator", "b": "reserved", "c": "rule"}


def test_nobody_loses_their_name_to_a_rule() -> None:
    rules = FolderRules(renamings=(Renaming("a", "z"), Renaming("b", "z")))
    assert names(mapped(listing("a", "b", "z"), rules=rules)) == {"a": "z (2)", "b": "z (3)", "z": "z"}


def test_a_rule_wins_over_a_role_and_the_ledger_over_a_rule() -> None:
    source = [folder("Gesendet", role="\\Sent"), folder("a")]
    rules = FolderRules(renamings=(Renaming("Gesendet", "Sent (old)"), Renaming("a", "b")))
    mapping = mapped(source, [folder("Sent", role="\\Sent")], rules=rules, known={b"a": b"a"})
    assert names(mapping) == {"Gesendet": "Sent (old)", "a": "a"}


def test_inbox_is_renamed_when_a_rule_says_so() -> None:
    mapping = mapped(listing("INBOX", "a"), rules=FolderRules(renamings=(Renaming("INBOX", "Old inbox"),)))
    assert names(mapping) == {"INBOX": "Old inbox", "a": "a"}


def test_only_subscribed_folders_and_inbox_are_copied_when_asked() -> None:
    source = [folder("INBOX"), folder("a", subscribed=True), folder("b")]
    mapping = mapped(source, rules=FolderRules(only_subscribed=True))
    assert set(names(mapping)) == {"INBOX", "a"}
    assert left_out(mapping) == {b"b": "not_subscribed"}


# Over passes


def test_what_the_ledger_knows_wins_over_every_rule() -> None:
    source = [folder("INBOX"), folder("Gesendet", role="\\Sent"), folder("a"), folder("a/b")]
    known = {b"INBOX": b"INBOX", b"Gesendet": b"Old mail", b"a": b"Z"}
    mapping = mapped(source, [folder("Sent", role="\\Sent")], known=known)
    assert names(mapping) == {"INBOX": "INBOX", "Gesendet": "Old mail", "a": "Z", "a/b": "Z/b"}
    assert not any(pair.renamed for pair in mapping.pairs if pair.source.path.raw in known)


def test_the_target_of_a_folder_that_is_gone_goes_to_nobody_else() -> None:
    mapping = mapped(listing("a_b"), to=".", known={b"a.b": b"a_b"})
    assert names(mapping) == {"a_b": "a_b (2)"}


def test_two_entries_of_a_ledger_never_make_two_folders_one() -> None:
    mapping = mapped(listing("a", "b"), known={b"a": b"x", b"b": b"x"})
    assert sorted(names(mapping).values()) == ["b", "x"]


# Whatever servers list

SEPARATORS = st.sampled_from(("/", ".", "\\", None))
LETTERS = st.one_of(
    st.sampled_from("aAbB_-~./\\ %&\"'[]()*^{}!é\u0301\N{GRINNING FACE}\t\0\r\u2028"),
    st.characters(exclude_categories=("Cs",)),
)
SEGMENTS = st.one_of(
    st.sampled_from(("INBOX", "inbox", "Sent", "sent", "SENT", "Gesendet", "a", "A", "a (2)", "NIL", "Files", "", "x")),
    st.text(LETTERS, max_size=6),
    st.text("xé", min_size=100, max_size=300),
)
RAW_NAMES = st.one_of(
    st.lists(SEGMENTS, min_size=1, max_size=4).map(tuple),
    st.binary(max_size=12),
)
ROLES = st.sampled_from((None, None, None, "\\Sent", "\\Trash", "\\Junk", "\\All"))
PROFILES = st.sampled_from((GENERIC, DOVECOT, CYRUS, COURIER, PYMAP, GMAIL, EXCHANGE))
FACTS = st.tuples(RAW_NAMES, ROLES, st.booleans(), st.booleans(), st.booleans())


def built(facts: tuple[object, ...], separator: str | None) -> Folder:
    name, role, selectable, subscribed, no_inferiors = facts
    path = FolderPath(name, separator) if isinstance(name, bytes) else FolderPath.of(name, separator)  # type: ignore[arg-type]
    if path.is_inbox:
        return Folder(path)
    return Folder(path, selectable, subscribed, role, no_inferiors)  # type: ignore[arg-type]


@st.composite
def listings(draw: st.DrawFn, separator: str | None, *, speakable: bool) -> list[Folder]:
    folders = [built(facts, separator) for facts in draw(st.lists(FACTS, max_size=14))]
    once = {each.path.raw.upper() if each.path.is_inbox else each.path.raw: each for each in folders}
    if speakable:
        once = {raw: each for raw, each in once.items() if not set(raw) & set(b"\r\n\0") and raw}
    return list(once.values())


@st.composite
def crossings(draw: st.DrawFn) -> tuple[list[Folder], list[Folder], str | None, str, str | None, Profile]:
    source_separator, to = draw(SEPARATORS), draw(SEPARATORS)
    to_prefix = f"INBOX{to}" if to and draw(st.booleans()) else ""
    source = draw(listings(source_separator, speakable=False))
    target = draw(listings(to, speakable=True))
    return source, target, source_separator, to_prefix, to, draw(PROFILES)


def carried(
    crossing: tuple[list[Folder], list[Folder], str | None, str, str | None, Profile],
    *,
    known: Mapping[bytes, bytes] = NOTHING_KNOWN,
    target: Sequence[Folder] | None = None,
    rules: FolderRules = PLAIN_RULES,
) -> FolderMap:
    source, there, source_separator, to_prefix, to, profile = crossing
    return map_folders(
        source,
        there if target is None else target,
        source_prefix="",
        source_separator=source_separator,
        target_prefix=to_prefix,
        target_separator=to,
        profile=profile,
        rules=rules,
        known=known,
    )


@st.composite
def rules_for(draw: st.DrawFn, source: Sequence[Folder]) -> FolderRules:
    """Rules for some of the folders, with names that others have, or that no server takes."""
    names = sorted({each.path.display for each in source}) or ["INBOX"]
    made = st.builds(Renaming, st.sampled_from(names), st.one_of(st.sampled_from(names), SEGMENTS.filter(bool)))
    skipped = draw(st.frozensets(st.sampled_from(names), max_size=2))
    return FolderRules(skip_exactly=skipped, renamings=tuple(draw(st.lists(made, max_size=3))))


@given(crossings(), st.data())
def test_rules_lose_no_folder_and_make_no_two_one(crossing, data: st.DataObject) -> None:
    profile, rules = crossing[-1], data.draw(rules_for(crossing[0]))
    mapping = carried(crossing, rules=rules)
    seen = [pair.source for pair in mapping.pairs] + [each for each, reason in mapping.left_out if reason]
    assert sorted(id(each) for each in seen) == sorted(id(each) for each in crossing[0])
    targets = [unicodedata.normalize("NFC", pair.target.display) for pair in mapping.pairs]
    if profile.case_insensitive_names:
        targets = [target.casefold() for target in targets]
    assert len(set(targets)) == len(targets)
    known = {pair.source.path.raw: pair.target.raw for pair in mapping.pairs}
    assert names(carried(crossing, known=known, rules=rules)) == names(mapping)


@given(crossings())
def test_two_source_folders_never_share_a_target_folder(crossing) -> None:
    profile = crossing[-1]
    targets = [unicodedata.normalize("NFC", pair.target.display) for pair in carried(crossing).pairs]
    if profile.case_insensitive_names:
        targets = [target.casefold() for target in targets]
    assert len(set(targets)) == len(targets)


@given(crossings())
def test_every_source_folder_is_paired_or_left_out_with_a_reason(crossing) -> None:
    mapping = carried(crossing)
    seen = [pair.source for pair in mapping.pairs] + [each for each, reason in mapping.left_out if reason]
    assert sorted(id(each) for each in seen) == sorted(id(each) for each in crossing[0])


@given(crossings())
def test_a_mapping_stays_when_its_own_result_is_known(crossing) -> None:
    first = carried(crossing)
    known = {pair.source.path.raw: pair.target.raw for pair in first.pairs}
    assert names(carried(crossing, known=known)) == names(first)


@given(crossings())
def test_a_mapping_stays_when_its_folders_were_created_and_the_ledger_lost(crossing) -> None:
    first = carried(crossing)
    rest = [each for each in crossing[1] if each.selectable and not each.path.is_inbox]
    closed = bool(rest) and all(each.no_inferiors for each in rest)  # such a server closes what it creates, too
    listed = {each.path for each in crossing[1]}
    created = [
        Folder(pair.target, special_use=pair.special_use, no_inferiors=closed)
        for pair in first.pairs
        if pair.target not in listed
    ]
    second = carried(crossing, target=[*crossing[1], *created])
    assert names(second) == names(first)


@given(crossings())
def test_created_names_are_allowed_on_the_target(crossing) -> None:
    _, target, _, to_prefix, to, profile = crossing
    separator = to or next((each.path.separator for each in target if each.path.separator), None)
    banned = set(profile.forbidden + profile.forbidden_by_separator.get(separator or "", ""))
    listed = {each.path for each in target}
    for pair in carried(crossing).pairs:
        if pair.target in listed or pair.target.is_inbox:
            continue
        raw = pair.target.raw
        assert raw.isascii()
        if not raw.upper().startswith(b"INBOX" + (separator or "\0").encode()):
            assert raw.startswith(to_prefix.encode())
        made = pair.target.segments[-1]
        assert made
        assert made not in {".", ".."}
        assert not any(unicodedata.category(letter) in {"Cc", "Zl", "Zp"} for letter in made)
        assert not banned & set(made)
        assert separator is None or separator not in made
        assert len(FolderPath.of((made,), None).raw) <= profile.max_segment_bytes


@given(crossings())
def test_inbox_comes_first_and_parents_before_children(crossing) -> None:
    pairs = carried(crossing).pairs
    assert not any(pair.source.path.is_inbox for pair in pairs[1:])
    places = {pair.target.raw: place for place, pair in enumerate(pairs)}
    for place, pair in enumerate(pairs):
        separator = (pair.target.separator or "").encode()
        parent = pair.target.raw.rpartition(separator)[0] if separator else b""
        assert places.get(parent, -1) < place


@given(crossings())
def test_a_folder_inside_a_renamed_one_follows_it(crossing) -> None:
    """Where the target has levels and room, the parent's target is the parent of the target."""
    source, target, source_separator, to_prefix, to, profile = crossing
    if to is None or source_separator is None:
        return
    roomy = replace(profile, max_name_bytes=10_000, max_segment_bytes=5_000)
    open_target = [replace(each, no_inferiors=False) for each in target]
    mapping = carried((source, open_target, source_separator, to_prefix, to, roomy))
    by_source = {pair.source.path.raw: pair for pair in mapping.pairs}
    for raw, pair in by_source.items():
        head, mark, _ = raw.rpartition(source_separator.encode())
        parent = by_source.get(head) if mark else None
        if parent is None or parent.source.path.is_inbox or pair.source.special_use or mapping.guessed_prefix:
            continue
        assert pair.target.raw.rpartition(to.encode())[0] == parent.target.raw
