"""Whatever a ManageSieve server sends, it is understood or refused: no crash, no endless reading."""

from __future__ import annotations

import contextlib
import re

from hypothesis import example, given
from hypothesis import strategies as st

from migrator.errors import MigratorError, Side
from migrator.stores.sieve_session import SieveSession, string
from tests.migrator.stores.test_lines import CUTS, Heard, cut

PIECES = st.lists(
    st.sampled_from(
        [b'"', b"\\", b"{3}\r\n", b"{3+}\r\n", b"{99999999999}\r\n", b"(", b")", b" ", b"a", b"OK", b"NO", b"BYE",
         b"ACTIVE", b"QUOTA/MAXSIZE", b"\r\n", b"\r", b"\n", b"\x00", b"\xff"]
    ),
    max_size=40,
)  # fmt: skip


class Silent(Heard):
    """What has come, and then the end of the line."""

    def receive(self) -> bytes:
        if self._position >= len(self._buffer) and not self._coming:
            raise MigratorError("line.lost", side=Side.TARGET)
        return super().receive()

    def discreet(self, words: bytes) -> str:
        return words.decode("latin-1")


def session(octets: bytes, sizes: list[int]) -> SieveSession:
    """A session past its sign-in that has been sent ``octets``."""
    made = SieveSession.__new__(SieveSession)
    made.side, made.capabilities = Side.TARGET, {}
    made.line = Silent(cut(octets, sizes))
    return made


@given(PIECES, CUTS)
def test_any_octets_are_an_answer_or_an_error(pieces: list[bytes], sizes: list[int]) -> None:
    with contextlib.suppress(MigratorError):
        answer = session(b"".join(pieces), sizes).answer()
        assert all(row and isinstance(row[0], bytes) for row in answer.rows)


@example([(b"+}", False), (b"\0+}", True)], [1])
@given(st.lists(st.tuples(st.binary(max_size=50), st.booleans()), max_size=5), CUTS)
def test_a_list_comes_back_as_it_was_sent_wherever_it_is_cut(
    scripts: list[tuple[bytes, bool]], sizes: list[int]
) -> None:
    # A server's literal has no plus; a name may well have one, also before a brace.
    names = [re.sub(rb"\A\{(\d+)\+\}", rb"{\1}", string(name)) for name, _ in scripts]
    lines = [name + (b" ACTIVE" if is_active else b"") for name, (_, is_active) in zip(names, scripts, strict=True)]
    answer = session(b"".join(line + b"\r\n" for line in lines) + b'OK (TAG "x") "done"\r\n', sizes).answer()
    assert [(row[0], "ACTIVE" in row[1:]) for row in answer.rows] == scripts
    assert (answer.is_ok, answer.code, answer.words) == (True, "TAG", "done")
