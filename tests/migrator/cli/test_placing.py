"""``mailferry place``: patterns of places, whose files they become, and what is said of people who read files."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from migrator.cli.places import BadUrl, FileUrl
from tests.contracts.store import letter
from tests.rigs.mailfiles import write_mbox


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    for number, user in enumerate(("anna@a.test", "bert@b.test")):
        write_mbox(tmp_path / "old" / user, [letter(10 * number + one) for one in range(number + 2)])
    for domain in ("a.test", "b.test"):
        (tmp_path / "new" / domain).mkdir(parents=True)
    (tmp_path / "list").write_text("Name\nanna@a.test\nbert@b.test\n")
    return tmp_path


def test_a_list_is_placed_by_patterns_of_each_domain(mailferry, spool: Path) -> None:
    words = ["place", f"mbox:{spool}/old/*", f"mbox:{spool}/new/{{domain}}/{{local}}", "--users", spool / "list"]
    ended = mailferry(*words, "--json")
    assert ended.exit_code == 0, ended.err
    assert [row["messages"] for row in ended.answer["mailboxes"]] == [2, 3]
    assert ended.answer["local_readers"] == ["anna@a.test", "bert@b.test"]
    assert "can destroy mail" in ended.err
    for local, domain in (("anna", "a.test"), ("bert", "b.test")):
        new = spool / "new" / domain / local
        assert new.read_bytes() == (spool / "old" / f"{local}@{domain}").read_bytes()
        assert new.stat().st_mode & 0o777 == 0o600
    assert "there already" in mailferry(*words).out


def test_one_that_cannot_be_placed_does_not_keep_the_others(mailferry, spool: Path) -> None:
    write_mbox(spool / "new" / "a.test" / "anna", [letter(99)])
    words = ["place", f"mbox:{spool}/old/{{user}}", f"mbox:{spool}/new/{{domain}}/{{local}}"]
    ended = mailferry(*words, "--users", spool / "list", "--json")
    assert ended.exit_code == 4
    errors = [(row["error"] or {}).get("code") for row in ended.answer["mailboxes"]]
    assert errors == ["place.occupied", None]


def test_what_stays_is_only_looked_at(mailferry, spool: Path) -> None:
    file = spool / "old" / "anna@a.test"
    file.chmod(0o644)
    ended = mailferry("place", f"mbox:{file}", "--in-place")
    assert ended.exit_code == 0
    assert "used where it is" in ended.out
    assert f"everybody on this machine may read the mail in {file}" in ended.out
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_spool_in_which_everybody_may_replace_files_is_told(mailferry, spool: Path) -> None:
    folder = spool / "old"
    words = ["place", f"mbox:{folder}/*", "--in-place", "--users", spool / "list"]
    for mode, told in ((0o755, 0), (0o1777, 0), (0o777, 1)):
        folder.chmod(mode)
        assert mailferry(*words).out.count(f"may replace files in {folder}") == told


def test_the_new_file_is_whose_it_is_said_to_be(mailferry, spool: Path) -> None:
    old, new = spool / "old" / "anna@a.test", spool / "new" / "anna"
    assert mailferry("place", f"mbox:{old}", f"mbox:{new}", "--owner", "65534:65534", "--mode", "660").exit_code == 0
    assert (new.stat().st_uid, new.stat().st_gid, new.stat().st_mode & 0o777) == (65534, 65534, 0o660)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mbox:/a"], "Either NEW says where the mailbox belongs, or --in-place"),
        (["mbox:/a", "mbox:/b", "--in-place"], "Either NEW says"),
        (["mbox:/a", "mbox:/b", "--mode", "644"], "let nobody else in"),
        (["mbox:/a", "mbox:/b", "--owner", "nobody-here"], "this machine knows no 'nobody-here'"),
        (["mbox:/a/{user}", "mbox:/b"], "stands for the user's name of a list"),
        (["maildir:/a", "mbox:/b"], "A mail file is named mbox:PATH."),
        (["imap://a@b", "mbox:/b"], "A mail file is named mbox:PATH."),
        (["mbox:/a/*", "mbox:/b/*", "--users", "/nowhere"], "cannot be read"),
    ],
)
def test_what_makes_no_sense_starts_nothing(mailferry, words: list[str], sentence: str) -> None:
    ended = mailferry("place", *words)
    assert (ended.exit_code, sentence in ended.err) == (2, True), ended.err


def test_a_pattern_leads_to_a_home_directory() -> None:
    me = pwd.getpwuid(os.getuid())
    for pattern in ("~{user}/mbox", "~*/mbox"):
        assert FileUrl("mbox", pattern).path_of(me.pw_name) == Path(me.pw_dir) / "mbox"
    assert FileUrl("mbox", "~{local}/mbox").path_of(f"{me.pw_name}@a.test") == Path(me.pw_dir) / "mbox"
    with pytest.raises(BadUrl, match="knows no user 'nobody-here'"):
        FileUrl("mbox", "~{user}/mbox").path_of("nobody-here")


@pytest.mark.parametrize("user", ["../x", "a/b", "..", "x@../y", "a@", "@b", "a\0b"])
def test_a_name_never_leads_out_of_its_pattern(user: str) -> None:
    with pytest.raises(BadUrl, match="cannot be the name of a file"):
        FileUrl("mbox", "/var/mail/{domain}/{local}").path_of(user)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mbox:/a", "--mbox-zone", "Middle/Earth"], "must be the name of a zone"),
        (["mbox:/a", "--mbox-zone", "+2500"], "must be the name of a zone"),
        (["mbox:/a", "--mbox-zone", "../etc/passwd"], "must be the name of a zone"),
        (["mbox:/a", "--mbox-names", "klingon"], "must be the name of a charset"),
        (["mbox:/a", "--mbox-names", "base64"], "must be the name of a charset"),
        (["imap://a@127.0.0.1:1", "--mbox-zone", "+0100"], "--mbox-zone is for a source of mail files"),
        (["maildir:/a", "--mbox-unquote"], "--mbox-unquote is for a source of mail files: mbox:PATH"),
        (["pop3://a@127.0.0.1:1", "--mbox-ignore-length"], "--mbox-ignore-length is for a source of mail files"),
        (["maildir:/a", "--mbox-ignore-status"], "--mbox-ignore-status is for a source of mail files"),
        (["maildir:/a", "--mbox-names", "koi8-r"], "--mbox-names is for a source of mail files"),
    ],
)
def test_what_is_said_of_an_mbox_is_said_of_mail_files_only(mailferry, words: list[str], sentence: str) -> None:
    ended = mailferry("copy", words[0], "imap://b@127.0.0.1:2", *words[1:])
    assert (ended.exit_code, sentence in ended.err) == (2, True), ended.err
