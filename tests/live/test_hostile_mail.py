"""Mail that was written to be taken for commands or for answers is copied like any other, and does nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrator.transfer.verify import VerifyLevel
from tests.live.crossing import Crossing
from tests.rigs import check
from tests.rigs.base import Server, users
from tests.rigs.courier import Courier
from tests.rigs.dialogue import Dialogue, quoted
from tests.rigs.dovecot import Dovecot

ORDERS = (b"UID STORE 1:* +FLAGS.SILENT (\\Deleted)", b"EXPUNGE", b'DELETE "INBOX"', b"LOGOUT")
ANSWERS = (
    b"OK done",
    b"NO [OVERQUOTA] full",
    b"BAD what",
    b"1 FETCH (UID 1 BODY[] {3}",
    b"BYE",
    b"5 EXPUNGE",
    b"VANISHED 1:9",
)
TAGS = (b"*", b"+", *(b"m%d" % number for number in range(1, 40)))

INJECTED_ID = b'Message-ID: <x"\r\n\t%s\r\n\t@example.org>\r\n' % b"\r\n\t".join(b"m1 " + order for order in ORDERS)
LINES = b"".join(tag + b" " + words + b"\r\n" for tag in TAGS for words in (*ORDERS, *ANSWERS))
BODIES = [
    INJECTED_ID + b"Subject: id\r\n\r\ntext\r\n",
    b"Subject: \" (\\Deleted) {5}\r\nMessage-ID: \"\\\r\n\r\n" + LINES,
    b")\r\n" + LINES,
    b"Subject: lengths\r\n\r\n{18446744073709551616}\r\n{0}\r\n{4+}\r\n~{9}\r\n(((((\r\n" + LINES,
    b"Subject: one line\r\n\r\n" + b"x" * (3 << 20) + b"\r\n",
    b"Subject: dots\r\n\r\n.\r\n..\r\n.\r\nQUIT\r\n",
]  # fmt: skip
NAMES = (b'm1 OK "done" (\\Noselect)', b"{3}", b"&-&-(", b"a1 LOGOUT")


@pytest.mark.req("D-57")
@pytest.mark.parametrize("make", [lambda: Dovecot(users(1)), lambda: Courier(users(1))], ids=["Dovecot", "Courier"])
def test_mail_and_names_like_commands_and_answers_cross_whole_and_do_nothing(make: Callable[[], Server]) -> None:
    with make() as source, Dovecot(users(1), layout="mdbox", separator="/") as target:
        account = source.account("u0000")
        with Dialogue(account) as talk:
            prefix, _ = talk.namespace()
            for name in (b"INBOX", *(prefix + name for name in NAMES)):
                if name != b"INBOX":
                    talk.command(b"CREATE " + quoted(name))
                talk.append(name, [(b'(\\Seen) "05-Mar-1999 10:00:00 +0000"', body) for body in BODIES])
        before = check.read(account)
        crossing = Crossing(account, target.account("u0000"))
        result = crossing.run()
        assert (result.error, result.appended, result.is_balanced) == (None, len(BODIES) * (1 + len(NAMES)), True)
        assert crossing.differences() == []
        assert check.changes(before, check.read(account)) == []
        assert crossing.verify(VerifyLevel.DIGEST).is_clean
        assert crossing.run().appended == 0
