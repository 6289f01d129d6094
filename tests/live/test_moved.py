"""A folder that its owner renames between two passes, on servers that keep its numbers and on others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.live.crossing import Crossing
from tests.rigs.base import Server, users
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

SERVERS = {
    "maildir": (lambda: Dovecot(users(2)), b""),
    "mdbox": (lambda: Dovecot(users(2), layout="mdbox", separator="/"), b""),
    "cyrus": (lambda: Cyrus(users(2)), b"INBOX."),
    "courier": (lambda: Courier(users(2)), b"INBOX."),
}


@pytest.mark.req("D-27")
@pytest.mark.parametrize(("make", "prefix"), SERVERS.values(), ids=SERVERS)
def test_what_was_copied_under_the_old_name_is_not_copied_again(make: Callable[[], Server], prefix: bytes) -> None:
    with make() as one, Dovecot(users(2), layout="mdbox", separator="/") as other:
        crossing = Crossing(one.account("u0001"), other.account("u0001"))
        with Dialogue(crossing.source) as talk:
            for name in (b"Work", b"Other"):
                talk.command(b"CREATE " + prefix + name)
                talk.append(prefix + name, [(b"()", b"Subject: %d\r\n\r\n%b\r\n" % (n, name)) for n in range(20)])
        assert crossing.run().appended == 40
        with Dialogue(crossing.source) as talk:
            talk.command(b"RENAME " + prefix + b"Work " + prefix + b"Projects")
            talk.append(prefix + b"Projects", [(b"()", b"Subject: new\r\n\r\nnew\r\n")])
        result = crossing.run()
        assert (result.error, result.is_balanced, result.appended) == (None, True, 1)
        assert crossing.run().appended == 0
        with Dialogue(crossing.target) as talk:
            (reply,) = talk.command(b"STATUS Work (MESSAGES)")
            assert reply.text.endswith(b"(MESSAGES 21)")
            assert b"Projects" not in {row.name for row in talk.listed()}
