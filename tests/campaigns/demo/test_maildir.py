"""What lies in a Maildir is what was written: flags, keywords, dates, and names in modified UTF-7."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from campaigns.demo import maildir
from campaigns.demo.mail import Folder, Letter

NOON = datetime(2019, 5, 1, 12, 0, tzinfo=UTC)
BODY = b"Subject: one\r\n\r\ntwo\r\n"


def test_a_message_is_a_file_that_tells_its_sizes_flags_and_date(tmp_path: Path) -> None:
    letters = [Letter(BODY, ("\\Seen", "\\Flagged"), ("Important",), NOON), Letter(BODY, (), ("NonJunk",), NOON)]
    counted = maildir.write(tmp_path, [Folder(("INBOX",), letters, True), Folder(("Łódź", "2018"), [], False)])
    assert counted == (2, 2 * len(BODY))
    seconds = int(NOON.timestamp())
    files = sorted((tmp_path / "cur").iterdir())
    assert [path.name for path in files] == [
        f"{seconds}.M0P1.demo,S={len(BODY) - 3},W={len(BODY)}:2,FSa",
        f"{seconds}.M1P1.demo,S={len(BODY) - 3},W={len(BODY)}:2,b",
    ]
    assert files[0].read_bytes() == BODY.replace(b"\r\n", b"\n")
    assert files[0].stat().st_mtime == seconds
    assert (tmp_path / "dovecot-keywords").read_text() == "0 Important\n1 NonJunk\n"
    assert (tmp_path / ".&AUEA8w-d&AXo-.2018" / "cur").is_dir()
    assert (tmp_path / "subscriptions").read_text() == "INBOX\n"
