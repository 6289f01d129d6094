"""A new server looked at before anybody moves there, and mail seen to arrive: real slapd, Postfix and Dovecot."""

from __future__ import annotations

import dataclasses
import smtplib
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any, Final

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, Batch, Campaign, Event, Server
from campaigns.selectors import kinds
from campaigns.services import acceptance, addresses, to_oneself
from campaigns.services.refusals import Refused
from migrator.directories.ldap import LdapDirectory
from migrator.errors import MigratorError
from migrator.limits import Limits
from migrator.preflight import to_oneself as module
from migrator.preflight.ports import Service, port_at
from migrator.preflight.probe import Finding, Look, Outcome, try_directory, try_server
from migrator.preflight.probe_others import try_delivery
from migrator.preflight.to_oneself import MARK, Probe, new_token, try_storing, try_to_oneself
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from tests.campaigns.factories import make_campaign, make_user
from tests.rigs import check
from tests.rigs.base import HOST, users
from tests.rigs.base import Account as Mailbox
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot
from tests.rigs.night import NightWorld
from tests.rigs.postfix import Postfix, merged
from tests.rigs.slapd import secret
from tests.rigs.text_peer import Act, TextConversation, TextPeer, close, then


@pytest.fixture(scope="module")
def world() -> Iterator[NightWorld]:
    passwords = {user: f"five-stones-of-{user}" for user in users(4)}
    with NightWorld({**passwords, "u0002": "fünf Steine für 5 €"}, lists={}) as running:
        yield running


@pytest.fixture(scope="module")
def mailbox(world: NightWorld) -> Mailbox:
    """An account that is there for tests, with old mail."""
    account = world.source.account("u0000")
    with Dialogue(account) as talk:
        talk.append(b"INBOX", [(b"()", b"Subject: old %d\r\n\r\nx\r\n" % number) for number in range(3)])
    return account


def endpoint(account: Mailbox, password: str | None = None) -> Endpoint:
    return Endpoint(account.host, account.port, "plain", account.user, Secret(password or account.password))


def probe(world: NightWorld, account: Mailbox, service: Service = Service.SUBMISSION, **more: Any) -> Probe:
    there = endpoint(account)
    ports = {Service.SUBMISSION: world.submission, Service.SMTP: world.postfix.smtp}
    sender = there if service is Service.SUBMISSION else Endpoint(HOST, 0, "plain", "", Secret(""))
    fields = {
        "open": partial(ImapSource, there, Limits()),
        "door": port_at(service, sender, HOST, ports[service]),
        "address": world.address(account.user),
        "token": new_token(),
        "open_to_store": partial(ImapTarget, there, Limits()),
    }
    return Probe(**fields | more)


def told(found: Iterator[Finding] | list[Finding]) -> dict[str, tuple[str, str]]:
    return {one.look.value: (one.outcome.value, one.code) for one in found}


def titles(account: Mailbox) -> list[str]:
    return [seen.title for seen in check.read(account).folders[b"INBOX"].messages]


WELL = {
    "user": ("good", "messages"),
    "room": ("good", "room"),
    "submission": ("good", "sent"),
    "arrival": ("good", "arrived"),
    "removal": ("good", "gone"),
    "stored": ("good", "kept"),
}


@pytest.mark.req("S-134")
@pytest.mark.parametrize("service", [Service.SUBMISSION, Service.SMTP])
def test_a_message_to_oneself_is_sent_seen_and_taken_away_and_nothing_else(
    world: NightWorld, mailbox: Mailbox, service: Service
) -> None:
    before = titles(mailbox)
    with Dialogue(mailbox) as talk:  # what its owner marked, and did not remove yet, stays
        talk.select(b"INBOX")
        talk.command(b"STORE 1 +FLAGS (\\Deleted)")
    found = list(try_to_oneself(probe(world, mailbox, service)))
    assert told(found) == WELL
    assert found[0].facts == {"messages": len(before)}
    assert titles(mailbox) == before


def test_what_came_too_late_is_removed_by_the_next_try(world: NightWorld, mailbox: Mailbox) -> None:
    before, late = titles(mailbox), new_token()
    with smtplib.SMTP(HOST, world.postfix.smtp, timeout=30) as line:  # as one that is delivered hours later
        address = world.address(mailbox.user)
        line.sendmail(address, [address], f"Subject: Mailferry test message\r\n{MARK}: {late}\r\n\r\nx\r\n")
        line.sendmail(address, [address], f"Subject: of another\r\n{MARK}: {new_token()}\r\n\r\nx\r\n")
    until = time.monotonic() + 30
    while len(titles(mailbox)) < len(before) + 2:
        assert time.monotonic() < until, titles(mailbox)
    assert told(try_to_oneself(probe(world, mailbox))) == WELL  # who knows nothing of it leaves it
    assert titles(mailbox)[len(before) :] == ["Mailferry test message", "of another"]
    assert told(try_to_oneself(probe(world, mailbox, earlier=[late]))) == WELL
    assert titles(mailbox) == [*before, "of another"]


def test_what_does_not_arrive_is_told_and_looked_for_no_longer_than_said(world: NightWorld, mailbox: Mailbox) -> None:
    other = world.source.account("u0001")
    found = told(try_to_oneself(probe(world, mailbox, address=world.address("u0001")), seconds=1))  # it goes elsewhere
    assert (found["submission"], found["arrival"]) == (("good", "sent"), ("bad", "probe.not_arrived"))
    assert "removal" not in found
    assert titles(other) == ["Mailferry test message"]


@pytest.mark.parametrize(
    ("fault", "look", "code"),
    [
        ({"address": "nobody@example.test"}, "submission", "sign_in.unknown_user"),
        ({"address": "a b@example.test"}, "submission", "address.bad"),
        ({"address": "a@example.test\r\nBcc: x@example.test"}, "submission", "address.bad"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(
    world: NightWorld, mailbox: Mailbox, fault: dict[str, str], look: str, code: str
) -> None:
    before = titles(mailbox)
    assert told(try_to_oneself(probe(world, mailbox, **fault)))[look] == ("bad", code)
    assert titles(mailbox) == before


def test_a_wrong_password_is_sent_once_to_each_door(world: NightWorld, mailbox: Mailbox) -> None:
    wrong = endpoint(mailbox, "wrong")
    found = told(try_to_oneself(probe(world, mailbox, open=partial(ImapSource, wrong, Limits()))))
    assert found == {"user": ("bad", "sign_in.refused")}
    door = port_at(Service.SUBMISSION, wrong, HOST, world.submission)
    assert told(try_to_oneself(probe(world, mailbox, door=door)))["submission"] == ("bad", "sign_in.refused")


def test_a_password_of_any_letters_lets_in_at_both_doors(world: NightWorld) -> None:
    assert told(try_to_oneself(probe(world, world.source.account("u0002")))) == WELL


@pytest.mark.parametrize("at", ["arrival", "stored"])
def test_a_line_that_is_lost_on_the_way_is_told_of_what_was_looked_at_then(
    world: NightWorld, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def lost(*_: Any, **__: Any) -> Any:
        raise MigratorError("line.lost")

    monkeypatch.setattr(module, {"arrival": "_wait", "stored": "try_storing"}[at], lost)
    tried, rest = probe(world, mailbox), titles(mailbox)
    found = list(try_to_oneself(tried))
    assert (found[-1].look.value, found[-1].code) == (at, "line.lost")
    assert told(found)["user"] == ("good", "messages")
    monkeypatch.undo()
    if at == "arrival":  # it is there, or will be; a try that knows of it takes it away
        until = time.monotonic() + 30
        while len(titles(mailbox)) == len(rest):
            assert time.monotonic() < until
        assert told(try_to_oneself(probe(world, mailbox, earlier=[tried.token]))) == WELL
    assert titles(mailbox) == rest


def test_a_copy_that_comes_a_moment_later_is_taken_away_too(
    world: NightWorld, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, tried, wait = titles(mailbox), probe(world, mailbox), module._wait

    def wait_and_copy(*args: Any) -> Any:
        found = wait(*args)
        with Dialogue(mailbox) as talk:
            talk.append(b"INBOX", [(b"()", found[0].body)])
        return found

    monkeypatch.setattr(module, "_wait", wait_and_copy)
    assert told(try_to_oneself(tried)) == WELL
    assert titles(mailbox) == rest


def swallow(talk: TextConversation, command: bytes) -> None:
    talk.peer.messages.append(talk.read_message())


@pytest.mark.parametrize(
    ("data", "look", "code"),
    [
        (then("354 go on", swallow, close), "arrival", "probe.unclear"),
        (then("354 go on", swallow, "250 taken", close), "arrival", "probe.not_arrived"),
        (then("354 go on", swallow, "554 5.7.1 message contains a virus"), "submission", "message.virus"),
        ("452 4.3.1 Insufficient system storage", "submission", "server.full"),
        (then("354 go on", swallow, "well, well", close), "arrival", "probe.unclear"),  # that is no answer
        (close, "arrival", "probe.unclear"),  # nobody knows how far it came
    ],
    ids=["lost", "taken", "refused", "full", "nonsense", "closed"],
)
def test_nobody_is_told_more_than_is_known_of_a_message_that_was_handed_over(
    mailbox: Mailbox, world: NightWorld, data: Act | str, look: str, code: str
) -> None:
    answers = {"EHLO": "250-peer\n250 HELP", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": data, "QUIT": "221 bye"}
    with TextPeer({**answers, "RSET": "250 ok"}, greeting="220 peer") as peer:
        door = port_at(Service.SMTP, Endpoint(HOST, 0, "plain", "", Secret("")), HOST, peer.port)
        found = told(try_to_oneself(probe(world, mailbox, door=door), seconds=0))
        assert peer.verbs().count("DATA") == 1
    assert found[look] == ("bad", code)
    assert "removal" not in found


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_who_gives_no_answer_to_an_address_is_sent_no_message(mailbox: Mailbox, world: NightWorld, verb: str) -> None:
    answers = {"EHLO": "250-peer\n250 HELP", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "QUIT": "221 bye"}
    with TextPeer({**answers, "RSET": "250 ok", verb: "well, well"}, greeting="220 peer") as peer:
        door = port_at(Service.SMTP, Endpoint(HOST, 0, "plain", "", Secret("")), HOST, peer.port)
        found = list(try_to_oneself(probe(world, mailbox, door=door), seconds=0))
        assert "DATA" not in peer.verbs()
    assert (found[-1].look, found[-1].code, "well" in found[-1].reply) == (Look.SUBMISSION, "unknown", True)


def test_where_one_message_cannot_be_removed_alone_none_is_sent(world: NightWorld, mailbox: Mailbox) -> None:
    class Plain(ImapSource):
        @property
        def features(self) -> Any:
            return dataclasses.replace(super().features, removing=None)

    found = told(try_to_oneself(probe(world, mailbox, open=partial(Plain, endpoint(mailbox), Limits()))))
    assert found["removal"] == ("bad", "probe.not_removable")
    assert "submission" not in found


# what is stored

FILTERS: Final = {
    "keep": "keep;",
    "file": 'require ["fileinto", "mailbox"]; fileinto :create "Filed";',
    "copy": 'require ["fileinto", "mailbox", "copy"]; fileinto :copy :create "Filed";',
    "drop": "discard;",
    "rewrite": 'require "editheader"; addheader "X-Seen-By" "filter";',
}


@pytest.fixture(scope="module")
def filtering() -> Iterator[Dovecot]:
    """A Dovecot that filters what is stored by IMAP, each account in its own way."""
    extra = """
protocol imap {
  mail_plugins = $mail_plugins imap_sieve
}
plugin {
  sieve_plugins = sieve_imapsieve
  sieve_global_extensions = +editheader
  sieve_extensions = +editheader
  imapsieve_mailbox1_name = INBOX
  imapsieve_mailbox1_causes = APPEND
  imapsieve_mailbox1_before = file:~/filter.sieve
}
"""
    with Dovecot(dict.fromkeys(FILTERS, "secret"), extra=extra) as server:
        for user, script in FILTERS.items():
            check.read(server.account(user))  # makes the folder of the user
            file = server.maildir(user).parent / "filter.sieve"
            file.write_text(script + "\n")
            server.give(file)
        yield server


@pytest.mark.req("D-73")
@pytest.mark.parametrize(
    ("user", "outcome", "code"),
    [
        ("keep", "good", "kept"),
        ("file", "bad", "probe.filed_elsewhere"),
        ("copy", "bad", "probe.filed_elsewhere"),
        ("drop", "bad", "probe.filed_elsewhere"),
        ("rewrite", "warning", "rewritten"),
    ],
)
def test_a_new_server_that_files_or_changes_what_is_stored_is_seen_before_the_move(
    filtering: Dovecot, user: str, outcome: str, code: str
) -> None:
    there = endpoint(filtering.account(user))
    with ImapSource(there, Limits()) as store:
        found = try_storing(store, partial(ImapTarget, there, Limits()), new_token())
    assert (found.outcome, found.code) == (outcome, code), found
    assert [seen for read in check.read(filtering.account(user)).folders.values() for seen in read.messages] == []
    if user == "rewrite":
        assert found.facts == {"added": ["x-seen-by"]}
    if user == "file":
        assert found.facts == {"folders": ["Filed"]}


@pytest.mark.req("D-73")
def test_a_move_by_smtp_says_that_the_new_server_acts_on_each_message_as_on_new_mail() -> None:
    for kind in ("smtp", "lmtp"):
        told = " ".join(map(str, kinds.KINDS[kind].changes))
        assert "its rules, forwarding and vacation replies act on it" in told


# before anybody moves


@pytest.mark.req("S-100", "S-126")
def test_a_new_servers_directory_mail_and_room_are_looked_at_one_by_one(world: NightWorld, mailbox: Mailbox) -> None:
    with closing(LdapDirectory.of(world.directory_options(), secret())) as directory:
        found = told(try_directory(directory, world.address("u0000")))
    assert found == {"reach": ("good", ""), "sign_in": ("good", ""), "found": ("good", "open")}
    with closing(LdapDirectory.of(world.directory_options(), Secret("wrong"))) as directory:
        found = told(try_directory(directory, world.address("u0000")))
    assert found["sign_in"] == ("bad", "directory.refused")

    smtp = Endpoint(HOST, world.postfix.smtp, "plain", "", Secret(""))
    found = told(try_delivery(smtp, world.address("u0000"), is_local=False))
    assert (found["reach"], found["room"], found["found"]) == (("good", ""), ("good", "message"), ("good", "recipient"))
    found = told(try_delivery(smtp, "nobody@example.test", is_local=False))
    assert found["found"] == ("bad", "sign_in.unknown_user")

    imap = endpoint(mailbox)
    found = told(try_server(imap, {Look.USER: imap}))
    assert (found["user"], found["room"]) == (("good", "opened"), ("good", "room"))
    assert told(try_server(imap, {Look.USER: endpoint(mailbox, "wrong")}))["user"] == ("bad", "sign_in.refused")


@pytest.mark.req("S-100")
def test_a_mail_server_whose_disk_is_full_says_so_before_anything_is_sent() -> None:
    server = Postfix(["anna"])
    main = server.dir / "conf" / "main.cf"
    main.write_text(merged(main.read_text(), "queue_minfree = 999999999999999"))
    with server:
        smtp = Endpoint(HOST, server.smtp, "plain", "", Secret(""))
        found = {one.look: one for one in try_delivery(smtp, "anna@example.test", is_local=False)}
    room = found[Look.ROOM]
    assert (room.outcome, room.code, room.reply[:3]) == (Outcome.BAD, "server.full", "452")


TEN_KILOBYTES: Final = b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 128


def room_at(there: Endpoint) -> Finding:
    return next(one for one in try_server(there, {Look.USER: there}) if one.look is Look.ROOM)


@pytest.mark.req("S-100", "S-126")
@pytest.mark.parametrize(
    ("quota", "messages", "outcome", "code"),
    [("100M", 0, "good", "room"), ("1M", 95, "warning", "room"), ("100K", 11, "bad", "target.full")],
)
def test_the_room_of_a_new_mailbox_is_seen(quota: str, messages: int, outcome: str, code: str) -> None:
    with Dovecot(users(1)) as server:
        account = server.account("u0000")
        with Dialogue(account) as talk:
            talk.append(b"INBOX", [(b"()", TEN_KILOBYTES)] * messages)
        server.set_quota("u0000", quota)
        there = endpoint(account)
        until = time.monotonic() + 30
        while (room := room_at(there)).facts["storage_limit"] > 200_000_000:  # before it has read the new limit
            assert time.monotonic() < until
    assert (room.outcome, room.code) == (outcome, code), room.facts
    assert room.facts["held_bytes"] == messages * len(TEN_KILOBYTES)


# on the page of a server


@pytest.fixture
def server(world: NightWorld) -> Server:
    campaign = make_campaign()
    addresses.allow(HOST, actor="test")
    Server.objects.filter(pk=campaign.target_id).update(
        kind="imap", host=HOST, port=world.source.imap, security="plain", name="New"
    )
    return Server.objects.get(pk=campaign.target_id)


def form(world: NightWorld, mailbox: Mailbox, **more: str) -> dict[str, str]:
    fields = {"login": mailbox.user, "password": mailbox.password, "address": world.address(mailbox.user)}
    fields |= {"service": "submission", "place": f":{world.submission}"} | more
    return {f"own-{name}": value for name, value in fields.items()}


def sent(client: Client, server: Server, **fields: str) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Send the form; return the status, each look as the page words it, and the page."""
    page = client.post(f"/servers/{server.pk}/to-oneself", fields, follow=True)
    trial = page.context["sent"] if page.context and "sent" in page.context else None
    lines = {line.label: (line.family.value, line.sentence) for line in trial.lines} if trial else {}
    return page.status_code, lines, page.content.decode()


def signed_in(**roles: bool) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(**roles))
    return client


@pytest.mark.django_db
@pytest.mark.req("S-134")
def test_an_administrator_sees_on_the_page_of_the_new_server_that_mail_arrives(
    world: NightWorld, mailbox: Mailbox, server: Server
) -> None:
    batch = Batch.objects.create(campaign=Campaign.objects.get(), number=1, name="First", go_at=timezone.now())

    def arrives() -> bool | None:
        return {check.code: check.is_well for check in acceptance.checks(batch)}["arrives"]

    before = titles(mailbox)
    assert arrives() is None
    status, lines, page = sent(signed_in(is_administrator=True), server, **form(world, mailbox))
    assert (status, [family for family, _ in lines.values()]) == (200, ["done"] * 6)
    assert lines["Arrival"] == ("done", "It is there, in INBOX.")
    assert lines["Sign-in"][1] == f"The account signs in itself: {len(before)} messages."
    assert titles(mailbox) == before
    assert mailbox.password not in page + str(list(Event.objects.values()))
    assert arrives() is True
    sent(signed_in(is_administrator=True), server, **form(world, mailbox, password="wrong"))
    assert arrives() is False


@pytest.mark.django_db
def test_only_an_administrator_sends_and_nobodys_account_unasked(
    world: NightWorld, mailbox: Mailbox, server: Server
) -> None:
    before = titles(mailbox)
    assert sent(signed_in(is_operator=True), server, **form(world, mailbox))[0] == 403
    wish, operator = to_oneself.Wish("u0000", Secret("x"), "u0000@example.test"), make_user(is_operator=True)
    with pytest.raises(Refused) as refused:
        to_oneself.try_server(server, wish, actor=operator)
    assert refused.value.code == "probe.of_administrators"
    campaign = Campaign.objects.get()
    batch = Batch.objects.create(campaign=campaign, number=1, name="First")
    ids = {"campaign": campaign, "batch": batch, "source": campaign.source, "target": server}
    Account.objects.create(**ids, source_login="x", target_login=mailbox.user.upper(), ledger_source="imap:x")
    admin = signed_in(is_administrator=True)
    status, _, page = sent(admin, server, **form(world, mailbox))
    assert (status, "is on a list of people who move" in page) == (422, True)
    assert (titles(mailbox), Event.objects.filter(name=to_oneself.SENT).exists()) == (before, False)
    assert sent(admin, server, **form(world, mailbox, is_agreed="on"))[1]["Taken away"][0] == "done"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": ""}, "Enter the password of the account"),
        ({"place": "not a place!"}, "Enter a host and a port"),
        ({"place": "192.0.2.1:587"}, "This address is not allowed"),
    ],
)
def test_what_cannot_be_tried_is_told_beside_its_field(
    world: NightWorld, mailbox: Mailbox, server: Server, fields: dict[str, str], words: str
) -> None:
    status, _, page = sent(signed_in(is_administrator=True), server, **form(world, mailbox, **fields))
    assert (status, words in page) == (422, True)
    assert not Event.objects.filter(name=to_oneself.SENT).exists()


@pytest.mark.django_db
@pytest.mark.req("S-100")
def test_what_no_server_tells_of_its_disks_is_noted_by_hand(server: Server) -> None:
    admin = signed_in(is_administrator=True)
    assert "No mail server tells" in admin.get(f"/servers/{server.pk}").content.decode()
    page = admin.post(f"/servers/{server.pk}/room", {"words": "1.8 TB free <of> 4"}, follow=True).content.decode()
    assert "1.8 TB free &lt;of&gt; 4" in page
    assert Event.objects.get(name=to_oneself.ROOM_SEEN).data["row"] == server.pk
    assert admin.post(f"/servers/{server.pk}/room", {"words": "x" * 201}).status_code == 422
    assert signed_in(is_operator=True).post(f"/servers/{server.pk}/room", {"words": "x"}).status_code == 403
