"""Programs that read by POP3: both sides are asked, and a list of accounts comes to one sum."""

from __future__ import annotations

import pytest

from migrator.cli import objects, pop_readers, summary
from migrator.cli.accounts import AccountResult, Exit, Sums
from migrator.cli.commands import main
from migrator.cli.pop_readers import PopEnd
from migrator.cli.side_doors import Place, Roads, SideDoors
from migrator.errors import MigratorError, Side
from migrator.events import PopReaders, PopReadersUnknown
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.stores.pop3_listing import listing_beside
from migrator.testing import RecordingSink
from tests.migrator.cli.worlds import world
from tests.rigs.base import free_port
from tests.rigs.text_peer import Answers, TextPeer

ENDPOINT = Endpoint("127.0.0.1", 143, "plain", "u", Secret("p"))
CAPA = "+OK\nUIDL\nUSER\n."


def answers(names: str = "+OK\n1 a\n2 b\n.", listing: str = "+OK\n1 10\n2 20\n.", sign_in: str = "+OK") -> Answers:
    return {"CAPA": CAPA, "USER": "+OK", "PASS": sign_in, "LIST": listing, "UIDL": names}


def look(source: int, target: int, sink: RecordingSink, *, is_named: bool = True) -> PopEnd:
    places = {Side.SOURCE: Place(port=source, is_named=is_named), Side.TARGET: Place(port=target, is_named=is_named)}
    return pop_readers.look(SideDoors(Roads(places), dict.fromkeys(Side, ENDPOINT), Limits()), sink)


def test_both_sides_are_asked_and_left_without_a_word() -> None:
    sink = RecordingSink()
    with TextPeer(answers()) as source, TextPeer(answers("+OK\n1 a\n2 x\n.")) as target:
        end = look(source.port, target.port, sink)
        assert source.verbs() == ["CAPA", "USER", "PASS", "LIST", "UIDL"]
    assert end.readers == PopReaders(messages=2, kept=1, again=1, mixed=0, form="", target_form="")
    assert sink.events == [end.readers]


@pytest.mark.parametrize(("is_named", "code"), [(True, "server.unreachable"), (False, "server.unreachable")])
def test_a_side_without_pop_is_told_and_no_fault_of_the_copy(is_named: bool, code: str) -> None:
    sink = RecordingSink()
    with TextPeer(answers()) as source:
        end = look(source.port, free_port(), sink, is_named=is_named)
    assert end.error is not None
    assert (end.error.code, end.error.side, end.is_absent) == (code, Side.TARGET, not is_named)
    assert [type(event) for event in sink.events] == [PopReadersUnknown]


def test_a_user_who_may_not_read_by_pop_is_told() -> None:
    with TextPeer(answers(sign_in="-ERR [AUTH] no")) as source:
        end = look(source.port, source.port, RecordingSink())
    assert end.error is not None
    assert end.error.code == "sign_in.refused"


@pytest.mark.parametrize(("security", "port"), [("plain", 110), ("starttls", 110), ("tls", 995)])
def test_pop_is_as_well_protected_as_the_mail(security: str, port: int) -> None:
    mail = Endpoint("h", 1, security, "u", Secret("p"), authzid="v")  # type: ignore[arg-type]
    place = listing_beside(mail)
    assert (place.host, place.port, place.security, place.authzid) == ("h", port, security, "v")
    assert (listing_beside(mail, "o", 7).host, listing_beside(mail, "o", 7).port) == ("o", 7)


def test_a_list_of_accounts_comes_to_one_sum() -> None:
    ends = [
        PopEnd(PopReaders(messages=5, kept=0, again=5, mixed=0, form="%f", target_form="%u")),
        PopEnd(PopReaders(messages=1000, kept=0, again=998, mixed=2, form="%u", target_form="%u")),
        PopEnd(PopReaders(messages=5, kept=5, again=0, mixed=0, form="%f", target_form="%f")),
        PopEnd(error=MigratorError("sign_in.refused", side=Side.SOURCE)),
        None,
    ]
    results = [AccountResult(world("john").account, Exit.ALL_THERE, Sums(), is_balanced=True, pop3=end) for end in ends]
    told = "\n".join(summary.of_accounts(results, is_dry_run=False, seconds=1))
    assert "Of 3 accounts asked by POP3, programs that read so will fetch mail again in 2: 1,003 messages." in told
    assert "In 1 account they take 2 new messages for others" in told
    assert "Of 1 account nothing is known by POP3." in told
    assert [objects.account_object(result)["pop3"] is None for result in results] == [False] * 4 + [True]
    assert objects.account_object(results[0])["pop3"]["readers"]["again"] == 5
    assert "POP3" not in "\n".join(summary.of_accounts(results[4:], is_dry_run=False, seconds=1))


def test_pop_is_asked_of_mailboxes_at_which_somebody_signs_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "mbox:/nowhere/x", "lmtp://a@127.0.0.1:1", "--pop3"]) == 2
    assert "--pop3 is for two mailboxes at which somebody signs in." in capsys.readouterr().err
