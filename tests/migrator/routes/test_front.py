"""The address that people's programs know is read as it is written."""

from __future__ import annotations

import pytest

from migrator.options import Options
from migrator.routes.front import FrontDoor, front_door


@pytest.mark.parametrize(
    ("uri", "door"),
    [
        ("", None),
        ("imaps://mail.example.org", FrontDoor("mail.example.org", 993, "tls")),
        ("imap+starttls://mail.example.org/", FrontDoor("mail.example.org", 143, "starttls")),
        ("imap://127.0.0.1:1143", FrontDoor("127.0.0.1", 1143, "plain")),
        ("imap://[2001:db8::1]:1143", FrontDoor("2001:db8::1", 1143, "plain")),
    ],
)
def test_a_front_door_is_read(uri: str, door: FrontDoor | None) -> None:
    assert front_door(Options({"uri": uri})) == door


@pytest.mark.parametrize(
    "uri", ["mail.example.org", "https://x.org", "imap://anna@x.org", "imap://x.org:0", "imap://x/y"]
)
def test_what_is_no_door_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="imaps://HOST:PORT"):
        front_door(Options({"uri": uri}))
