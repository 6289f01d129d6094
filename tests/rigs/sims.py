"""A site of the SIMS kind: mailboxes in /var/mail, a new server that is to take them over, and OpenLDAP over both.

The old server keeps each INBOX in one mbox file of a spool folder. Before both stands a Postfix that asks the
directory: whose mailDeliveryOption is *hold* has a hold channel there, whose mailHost is the new server gets their mail
there.
"""

from __future__ import annotations

import contextlib
import smtplib
import tempfile
import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Final

from migrator.entries import Json
from tests.rigs.base import HOST, temporary_root
from tests.rigs.forwards import Forwards
from tests.rigs.governed import DOMAIN, SOURCE_HOST, TARGET_HOST
from tests.rigs.night import NightWorld
from tests.rigs.slapd import PEOPLE, group, person

MAIL: Final = 5  # old messages of each user
EVERYBODY: Final = "everybody"  # a group
OF_GROUPS: Final = ("file", "members")  # its mailDeliveryOption
_MAPS: Final = "hash:{dir}/tables/mailferry-hold, ldap:{dir}/conf/channel.cf, ldap:{dir}/conf/host.cf"

HUB: Final = "hub.example.test"  # where mail goes that no .forward keeps
_HUB: Final = """\
server_host = {uri}
version = 3
search_base = {people}
bind = no
domain = {hub}
query_filter = (&(uid=%u)(mailHost={host}))
result_attribute = mailHost
result_format = lmtp:inet:127.0.0.1:{lmtp}
"""


class SimsWorld(NightWorld):
    """``with SimsWorld(users(3)) as site:`` has all its people on the old server, each with old mail in the spool."""

    def __init__(self, passwords: Mapping[str, str], options: Sequence[str] = ("mailbox",), maps: str = _MAPS) -> None:
        """``options``: everybody's mailDeliveryOption; ``maps``: what Postfix asks where mail goes."""
        super().__init__(passwords, {EVERYBODY: list(passwords)}, maps)
        self._options = list(options)

    def _start(self, stack: contextlib.ExitStack) -> None:
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sims-", dir=temporary_root())))
        self.folder.chmod(0o755)
        self.spool = self.folder / "spool"
        self.spool.mkdir()
        for user in self.passwords:
            (self.spool / user).write_bytes(b"".join(old_message(user, number) for number in range(MAIL)))
        super()._start(stack)
        self.source.give(self.spool)

    def people(self) -> list[str]:
        return [
            person(
                self.address(user),
                userPassword=password,
                mailHost=SOURCE_HOST,
                emailPersonStatus="active",
                mailDeliveryOption=self._options,
            )
            for user, password in self.passwords.items()
        ] + [group(self.address(EVERYBODY), list(self.passwords), mailHost=SOURCE_HOST, mailDeliveryOption=OF_GROUPS)]

    def more(self, side: str) -> str:
        if side == "target":
            return ""
        return f"mail_location = mbox:~/mail:INBOX={self.spool}/%Ln:INDEX=~/index\n"

    def channel_options(self) -> dict[str, Json]:
        """The options of a hold of kind ``ldap``."""
        return self.slapd.options(schema="sims", server="postfix", through=self.postfix.hold_options()["through"])

    def send(self, user: str, subject: str) -> None:
        """Send one message to ``user`` as a stranger does; raises when it is not accepted."""
        with smtplib.SMTP(HOST, self.postfix.smtp, timeout=30) as line:
            text = f"Subject: {subject}\r\nFrom: stranger@elsewhere.test\r\n\r\nNew mail.\r\n"
            line.sendmail("stranger@elsewhere.test", [f"{user}@{DOMAIN}"], text.encode())

    def submit(self, user: str, to: str, subject: str) -> None:
        """Send one message as ``user``, who signs in for that; raises ``SMTPAuthenticationError`` when refused."""
        with smtplib.SMTP(HOST, self.postfix.submission, timeout=30) as line:
            line.login(user, self.passwords[user])
            text = f"Subject: {subject}\r\nFrom: {user}@{DOMAIN}\r\n\r\nNew mail.\r\n"
            line.sendmail(f"{user}@{DOMAIN}", [f"{to}@{DOMAIN}"], text.encode())


class ForwardingWorld(SimsWorld):
    """The same where Postfix delivers by people's .forward, and asks the directory only then who serves them."""

    forwards: Forwards

    def __init__(self, passwords: Mapping[str, str]) -> None:
        super().__init__(passwords, maps="ldap:{dir}/conf/hub.cf, texthash:{dir}/conf/hub")

    def _start(self, stack: contextlib.ExitStack) -> None:
        super()._start(stack)
        self.postfix.stop()
        conf = self.postfix.dir / "conf"
        (conf / "hub").write_text(f"{HUB} lmtp:inet:{HOST}:{self.lmtp['source']}\n")
        (conf / "hub.cf").write_text(
            _HUB.format(uri=self.slapd.uri, people=PEOPLE, host=TARGET_HOST, hub=HUB, lmtp=self.lmtp["target"])
        )
        self.forwards = Forwards(
            self.postfix, self.folder / "old", list(self.passwords), lambda user: f"{user}@{HUB}\n"
        )
        self.postfix.start()


def old_message(user: str, number: int) -> bytes:
    """One message as it stands in /var/mail since 1998."""
    at = 896_700_000 + number * 86_400
    lines = [
        f"From alice@elsewhere.test {_asctime(at)}",
        f"Message-Id: <{number}.{user}@elsewhere.test>",
        f"Date: {formatdate(at)}",
        "From: alice@elsewhere.test",
        f"To: {user}@{DOMAIN}",
        f"Subject: old {number}",
        "Status: RO",
        "",
        f"Message {number} of {user}.",
        ">From here on nothing.",
        "",
        "",
    ]
    return "\n".join(lines).encode()


def _asctime(at: float) -> str:
    return time.asctime(time.gmtime(at))
