"""Mail in files of this machine is opened only below folders that its administrator allows, and each person's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from campaigns.bridge import places
from campaigns.models import Server
from migrator.errors import MigratorError, Side
from migrator.limits import Limits


@pytest.fixture
def spool(tmp_path: Path, settings: LazySettings) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    settings.MAIL_FOLDERS = (folder,)
    return folder


def files(path: Path | str, kind: str = "mbox") -> Server:
    return Server(name="files", kind=kind, host="", port=0, path=str(path))


def refusal(server: Server, user: str = "anna") -> str:
    with pytest.raises(MigratorError) as caught:
        places.path_of(server, user)
    return caught.value.code


def test_the_name_of_a_person_stands_for_the_star(spool: Path) -> None:
    assert places.path_of(files(spool / "*"), "anna") == spool / "anna"
    assert places.path_of(files(spool / "*" / "Maildir", "maildir"), "anna") == spool / "anna" / "Maildir"


@pytest.mark.parametrize("path", ["/etc/*", "{spool}/../*", "{spool}-other/*", "relative/*", "*", "{spool}/anna"])
def test_nothing_beyond_the_allowed_folders_and_no_path_without_a_person_is_opened(spool: Path, path: str) -> None:
    assert refusal(files(path.format(spool=spool))) == "file.not_allowed"


def test_without_the_setting_nothing_is_opened(spool: Path, settings: LazySettings) -> None:
    settings.MAIL_FOLDERS = ()
    assert refusal(files(spool / "*")) == "file.not_allowed"


@pytest.mark.parametrize("user", ["..", ".", "", "../../etc/passwd", "a/b", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(spool: Path, user: str) -> None:
    assert refusal(files(spool / "*"), user) == "address.bad"


def test_a_link_that_a_person_can_make_is_not_followed_not_even_to_a_neighbour(spool: Path) -> None:
    for name in ("anna", "berta"):
        (spool / name).mkdir()
    (spool / "berta" / "Maildir").mkdir()
    (spool / "anna" / "Maildir").symlink_to(spool / "berta" / "Maildir")
    assert refusal(files(spool / "*" / "Maildir", "maildir")) == "file.escapes"
    (spool / "carla").symlink_to("/etc/passwd")
    assert refusal(files(spool / "*"), "carla") == "file.escapes"


def test_a_link_above_the_person_is_the_administrators_but_leads_out_of_no_allowed_folder(
    spool: Path, tmp_path: Path, settings: LazySettings
) -> None:
    (spool / "disk1").mkdir()
    (spool / "now").symlink_to(spool / "disk1")
    assert places.path_of(files(spool / "now" / "*"), "anna") == spool / "disk1" / "anna"
    (tmp_path / "outside").mkdir()
    (spool / "out").symlink_to(tmp_path / "outside")
    assert refusal(files(spool / "out" / "*")) == "file.not_allowed"
    settings.MAIL_FOLDERS = (spool, tmp_path / "link")
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    assert places.path_of(files(tmp_path / "link" / "*"), "anna") == tmp_path / "outside" / "anna"


def test_who_has_no_file_in_a_spool_has_never_got_mail_and_a_missing_maildir_is_an_error(spool: Path) -> None:
    with places.open_files(files(spool / "*"), Side.SOURCE, "anna", Limits()) as store:
        assert [folder.path.display for folder in store.folders()] == ["INBOX"]
    with (
        pytest.raises(MigratorError) as caught,
        places.open_files(files(spool / "*" / "Maildir", "maildir"), Side.SOURCE, "anna", Limits()) as store,
    ):
        store.folders()
    assert caught.value.code == "file.missing"


def test_a_mailbox_has_one_name_in_the_ledger_whatever_holds_it() -> None:
    assert places.identity(files("/mail/*"), "anna") == "mbox:/mail/anna"
    assert places.identity(Server(kind="imap", host="Old.example"), "a%40b") == "imap://a%40b@old.example"
    assert places.identity(Server(kind="pop3", host="Old.example"), "anna") == "pop3://anna@old.example"
