"""Server URLs: what is taken, what is refused, and that no sentence repeats a password."""

from __future__ import annotations

import random

import pytest

from migrator.cli.places import BadUrl, FileUrl, Security, ServerUrl
from migrator.cli.urls import parse_mailbox, parse_server
from migrator.errors import Side
from migrator.stores import STORES, Address, StoreKind

GOOD = [
    ("imap://john@mail.example.org", Security.PLAIN, "mail.example.org", 143, "john", None),
    ("IMAP://john@mail.example.org/", Security.PLAIN, "mail.example.org", 143, "john", None),
    ("imaps://john@192.0.2.3", Security.TLS, "192.0.2.3", 993, "john", None),
    ("imaps://john@192.0.2.3:144", Security.TLS, "192.0.2.3", 144, "john", None),
    ("imap+starttls://john@mail", Security.STARTTLS, "mail", 143, "john", None),
    ("imap://john@[::1]", Security.PLAIN, "::1", 143, "john", None),
    ("imap://john@[2001:db8::1]:1143", Security.PLAIN, "2001:db8::1", 1143, "john", None),
    ("imap://john@[fe80::1%25eth0]:1143", Security.PLAIN, "fe80::1%eth0", 1143, "john", None),
    ("imap://john@example.org@imap.example.org", Security.PLAIN, "imap.example.org", 143, "john@example.org", None),
    ("imap://john%40example.org@imap.example.org", Security.PLAIN, "imap.example.org", 143, "john@example.org", None),
    ("imap://J%C3%BCrgen%20M%2FOrg@h", Security.PLAIN, "h", 143, "Jürgen M/Org", None),
    ("imap://John Smith@h", Security.PLAIN, "h", 143, "John Smith", None),
    ("imap://a%3Ab%3Bc%25d@h", Security.PLAIN, "h", 143, "a:b;c%d", None),
    ("imaps://admin;authzid=john@h:7", Security.TLS, "h", 7, "admin", "john"),
    ("imaps://admin;AUTHZID=john@example.org@h", Security.TLS, "h", 993, "admin", "john@example.org"),
    ("imaps://adm@in;authzid=j%3Bo@h", Security.TLS, "h", 993, "adm@in", "j;o"),
    ("imap://john@bücher.example", Security.PLAIN, "bücher.example", 143, "john", None),
]

BAD = [
    ("", "how to connect"),
    ("mail.example.org", "how to connect"),
    ("192.0.2.3:144", "how to connect"),
    ("://john@h", "known way to connect"),
    ("pop2://john@h", "pop2://"),
    ("http://john@h", "http://"),
    ("imap://mail.example.org", "whose mailbox"),
    ("imap://@h", "name of the user empty"),
    ("imap://john@", "does not name a server"),
    ("imap://john@:143", "does not name a server"),
    ("imap://john@h:", "from 1 to 65535"),
    ("imap://john@h:0", "from 1 to 65535"),
    ("imap://john@h:65536", "from 1 to 65535"),
    ("imap://john@h:imap", "from 1 to 65535"),
    ("imap://john@h:١٤٣", "from 1 to 65535"),
    ("imap://john@h:-1", "from 1 to 65535"),
    ("imap://john@::1", "in brackets"),
    ("imap://john@[::1", "not closed"),
    ("imap://john@[::1]143", "not closed"),
    ("imap://john@[mail]", "not an IPv6 address"),
    ("imap://john@[127.0.0.1]", "not an IPv6 address"),
    ("imap://john@mail example", "characters"),
    ("imap://john@-mail", "characters"),
    ("imap://john@mail..example", "characters"),
    ("imap://john@h/INBOX", "never one folder"),
    ("imap://john@h?x", "never one folder"),
    ("imap://jo/hn@h", "%2F"),
    ("imap://jo%hn@h", "%25"),
    ("imap://jo%4@h", "%25"),
    ("imap://jo%FFhn@h", "not UTF-8"),
    ("imap://jo%00hn@h", "control character"),
    ("imap://jo%0D%0Ahn@h", "control character"),
    ("imap://john;AUTH=PLAIN@h", "only authzid"),
    ("imap://admin;authzid@h", "only authzid"),
    ("imap://admin;authzid=a;authzid=b@h", "only authzid"),
    ("imap://admin;authzid=@h", "name of the user empty"),
    ("imap://;authzid=john@h", "name of the user empty"),
]


@pytest.mark.req("S-52")
@pytest.mark.parametrize(("text", "security", "host", "port", "user", "authzid"), GOOD)
def test_a_mailbox_url_is_taken_apart(text, security, host, port, user, authzid) -> None:
    assert parse_mailbox(text) == ServerUrl(security, host, port, user, authzid)


@pytest.mark.parametrize(("text", "words"), BAD)
def test_a_bad_url_gets_its_sentence(text, words) -> None:
    with pytest.raises(BadUrl) as refusal:
        parse_mailbox(text)
    assert words in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "text", ["imap://john:hunter2@h", "imap://john:hunter2:x@h:1", "imap://a;authzid=b:hunter2@h", "imap://j:hunter2@"]
)
def test_a_password_in_a_url_is_refused_and_never_repeated(text) -> None:
    with pytest.raises(BadUrl) as refusal:
        parse_mailbox(text)
    assert "hunter2" not in str(refusal.value)
    if not text.endswith("@"):
        assert "password does not belong" in str(refusal.value)


def test_a_password_with_a_slash_is_not_repeated_either() -> None:
    with pytest.raises(BadUrl) as refusal:
        parse_mailbox("imap://john:hunt/er2@h")
    assert "er2" not in str(refusal.value)


def test_a_server_url_names_no_user() -> None:
    assert parse_server("imaps://[::1]:99") == ServerUrl(Security.TLS, "::1", 99)
    with pytest.raises(BadUrl, match="the list names them"):
        parse_server("imap://john@h")
    with pytest.raises(BadUrl, match="how to connect"):
        parse_server("h:143")


def test_the_identity_is_the_mailbox_whoever_opens_it() -> None:
    own = parse_mailbox("imap://john@Example.ORG:1143")
    admin = parse_mailbox("imap+starttls://admin;authzid=john@example.org:1143")
    assert own.mailbox == admin.mailbox == "john"
    assert own.identity_of("john") == admin.identity_of("john") == "imap://john@example.org:1143"
    assert parse_server("imap://[::1]").identity_of("a@b") == "imap://a%40b@[::1]:143"


def test_two_doors_of_one_house_are_one_server() -> None:
    plain, tls = parse_server("imap://H"), parse_server("imaps://h")
    assert plain.is_same_server(tls)
    assert not plain.is_same_server(parse_server("imap://h:1143"))
    assert not plain.is_same_server(parse_server("imap://i"))


def test_any_text_is_parsed_or_refused_with_a_sentence() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    parsed = [url for url in (parsed_or_none(random_url(chance)) for _ in range(20_000)) if url is not None]
    assert 0 < len(parsed) < 20_000
    assert all(url.mailbox and url.host and 1 <= url.port <= 65535 for url in parsed)


def random_url(chance: random.Random) -> str:
    scheme = chance.choice(["imap://", "imaps://", ""])
    return scheme + "".join(chance.choice("ab@:;/%[]=.-?#4\x00ü\ud800 ") for _ in range(chance.randrange(14)))


def parsed_or_none(text: str) -> ServerUrl | None:
    try:
        return parse_mailbox(text)
    except BadUrl:
        return None


@pytest.fixture
def kinds(monkeypatch) -> None:
    """Kinds that stand on one side only, whichever are built."""
    monkeypatch.setitem(STORES, "pop3", StoreKind("POP3", Address.SIGN_IN, source="x:Y"))
    monkeypatch.setitem(STORES, "smtp", StoreKind("SMTP", Address.RECIPIENT, target="x:Y"))
    monkeypatch.setitem(STORES, "mbox", StoreKind("mbox", Address.FILE, source="x:Y"))


@pytest.mark.usefixtures("kinds")
def test_each_kind_has_its_ways_and_ports() -> None:
    assert parse_mailbox("pop3s://john@h") == ServerUrl(Security.TLS, "h", 995, "john", kind="pop3")
    assert parse_mailbox("pop3+starttls://john@[::1]:1110").port == 1110
    recipient = parse_mailbox("smtp://j@example.org@h", Side.TARGET)
    assert recipient == ServerUrl(Security.PLAIN, "h", 25, "j@example.org", kind="smtp")
    assert recipient.identity_of("j@example.org") == "smtp://j%40example.org@h:25"


@pytest.mark.usefixtures("kinds")
def test_a_kind_that_cannot_stand_on_a_side_is_refused_there() -> None:
    with pytest.raises(BadUrl, match=r"pop3:// cannot be the TARGET: mail is only read there"):
        parse_mailbox("pop3://john@h", Side.TARGET)
    with pytest.raises(BadUrl, match=r"smtp:// cannot be the SOURCE: mail is only delivered there"):
        parse_mailbox("smtp://john@h", Side.SOURCE)
    with pytest.raises(BadUrl, match="how to connect"):
        parse_mailbox("mbox:/var/mail/john", Side.TARGET)
    with pytest.raises(BadUrl, match="Nobody signs in"):
        parse_mailbox("smtp://admin;authzid=john@h", Side.TARGET)


@pytest.mark.usefixtures("kinds")
def test_a_path_names_a_mailbox_or_a_pattern_for_many(tmp_path) -> None:
    assert parse_mailbox("mbox:/var/mail/john") == FileUrl("mbox", "/var/mail/john")
    pattern = parse_server(f"MBOX:{tmp_path}/*/Mail")
    assert pattern.identity_of("john") == f"mbox:{tmp_path}/john/Mail"
    assert not pattern.is_same_server(parse_server("imap://h"))
    for text, parse in (("mbox:/var/mail/*", parse_mailbox), ("mbox:/var/mail", parse_server)):
        with pytest.raises(BadUrl, match=r"\*"):
            parse(text)
    with pytest.raises(BadUrl, match="control character"):
        parse_mailbox("mbox:/a\x1bb")


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize("user", ["", ".", "..", "a/../b", "../../etc/shadow", "a\0b"])
def test_no_name_leads_out_of_the_pattern(user) -> None:
    with pytest.raises(BadUrl, match="cannot be the name of a file"):
        parse_server("mbox:/var/mail/*").identity_of(user)


@pytest.mark.usefixtures("kinds")
def test_reading_and_delivering_on_usual_ports_is_one_server() -> None:
    assert parse_server("pop3://h").is_same_server(parse_server("imaps://h"))
    assert parse_server("smtp://h", Side.TARGET).is_same_server(parse_server("imap://h"))
