"""Who signed in at an old server is read from its logs, whatever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migrator.preflight import old_clients
from migrator.preflight.old_clients import Days, clients, sign_in_of

NOW = datetime(2030, 3, 2, 12, 0, tzinfo=UTC)
LINES = {
    "dovecot": (
        (
            "Mar  1 22:15:01 old dovecot: imap-login: Login: user=<anna@example.test>, method=PLAIN, rip=192.0.2.7, "
            "lip=192.0.2.1, mpid=4711, TLS, session=<x>"
        ),
        ("anna@example.test", "imap", "192.0.2.7"),
    ),
    "dovecot with a mapped address": (
        "2030-03-01 22:15:01 pop3-login: Info: Login: user=<bert>, method=PLAIN, rip=::ffff:192.0.2.8, lip=::1",
        ("bert", "pop3", "192.0.2.8"),
    ),
    "dovecot 2.4": (
        "Mar  1 22:15:01 old dovecot: imap-login: Logged in: user=<anna>, method=PLAIN, rip=2001:db8::7, lip=::1",
        ("anna", "imap", "2001:db8::7"),
    ),
    "cyrus": (
        (
            "Mar  1 22:15:02 old imaps[991]: login: pc7.example.test [192.0.2.9] carl plaintext+TLS User logged in "
            "SESSIONID=<x>"
        ),
        ("carl", "imap", "192.0.2.9"),
    ),
    "courier": (
        "Mar  1 22:15:03 old imapd: LOGIN, user=dora, ip=[::ffff:192.0.2.10], port=[40000], protocol=IMAP",
        ("dora", "imap", "192.0.2.10"),
    ),
    "courier pop3": (
        "Mar  1 22:15:03 old pop3d-ssl: LOGIN, user=dora, ip=[::ffff:192.0.2.10], port=[40001]",
        ("dora", "pop3", "192.0.2.10"),
    ),
    "uw": (
        "Mar  1 22:15:04 old imapd[77]: Login user=emil host=pc9.example.test [192.0.2.11]",
        ("emil", "imap", "192.0.2.11"),
    ),
    "uw pop3": (
        "Mar  1 22:15:04 old ipop3d[77]: Login user=emil host=pc9.example.test [192.0.2.11] nmsgs=3/3",
        ("emil", "pop3", "192.0.2.11"),
    ),
    "postfix": (
        (
            "Mar  1 22:15:05 old postfix/submission/smtpd[5]: 4F1A: client=pc7[192.0.2.12], sasl_method=PLAIN, "
            "sasl_username=frida@example.test"
        ),
        ("frida@example.test", "smtp", "192.0.2.12"),
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_a_sign_in_is_read_from_the_line_of_each_server(name: str) -> None:
    line, (login, service, address) = LINES[name]
    sign = sign_in_of(line, NOW)
    assert sign is not None
    assert (sign.login, sign.service, sign.address) == (login, service, address)
    assert sign.at is not None
    assert timedelta(0) < NOW - sign.at < timedelta(hours=14)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Mar  1 22:15:01 old dovecot: imap-login: Aborted login (auth failed, 1 attempts): user=<anna>, rip=192.0.2.7",
        "Mar  1 22:15:01 old dovecot: imap(anna)<1><x>: Disconnected: Logged out in=1 out=2",
        "Mar  1 22:15:05 old postfix/smtpd[5]: 4F1A: client=mx.example.org[192.0.2.99]",
        "Mar  1 22:15:03 old imapd: LOGIN FAILED, user=dora, ip=[::ffff:192.0.2.10]",
        "imap-login: Login: user=<" + "a" * 5000 + ">, rip=192.0.2.7",
    ],
)
def test_any_other_line_is_passed_over(line: str) -> None:
    assert sign_in_of(line, NOW) is None


def test_people_are_counted_by_service_and_address_the_latest_first() -> None:
    login = "dovecot: imap-login: Login: user=<{}>, method=PLAIN, rip={}, lip=192.0.2.1"
    lines = [
        "Mar  1 08:00:00 old " + login.format("anna", "192.0.2.7"),
        "Mar  1 10:00:00 old " + login.format("Anna", "192.0.2.7"),
        "Mar  1 09:00:00 old " + login.format("anna", "192.0.2.7"),
        "Mar  1 11:00:00 old " + login.format("anna", "192.0.2.8"),
        "Dec 31 23:00:00 old " + login.format("bert", "192.0.2.9"),
    ]
    found = clients(lines, NOW)
    assert [(one.login, one.address, one.times) for one in found] == [
        ("anna", "192.0.2.8", 1),
        ("anna", "192.0.2.7", 3),
        ("bert", "192.0.2.9", 1),
    ]
    assert [one.last_at and one.last_at.year for one in found] == [2030, 2030, 2029]
    assert found[1].last_at == datetime(2030, 3, 1, 10, 0, tzinfo=UTC)


def test_a_log_tells_on_which_days_it_has_sign_ins_with_its_gaps_and_nothing_of_later() -> None:
    line = "{:%Y-%m-%dT%H:%M:%SZ} old dovecot: imap-login: Login: user=<anna>, method=PLAIN, rip=192.0.2.7"
    hours = [200, 3, 190, 0, 40, 250, 30, -20, 24 * 500, 3]
    at = {hour: NOW - timedelta(hours=hour) for hour in hours}
    days = Days(NOW)
    assert clients((line.format(at[hour]) for hour in hours), NOW, days)[0].times == len(hours)
    assert days.spans(timedelta(days=2)) == [(at[250], at[250]), (at[200], at[190]), (at[40], at[0])]
    assert days.spans(timedelta(hours=50)) == [(at[250], at[190]), (at[40], at[0])]


def test_a_log_of_more_people_than_there_are_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_clients, "MOST_CLIENTS", 2)
    line = "Mar  1 08:00:00 old dovecot: imap-login: Login: user=<u{}>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1"
    with pytest.raises(old_clients.TooMany):
        clients(map(line.format, range(3)), NOW)
