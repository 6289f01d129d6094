"""A platform on its night: one address that people know, Postfix and a Dovecot proxy behind it, two Dovecots, OpenLDAP.

People sign in at the proxy by IMAP and POP3, and hand in mail by SMTP AUTH; strangers send to Postfix. Both ask the
directory which server a user is on. Lists are lists of Postfix. The servers themselves are at ports of their own, where
only administrators go. With nginx in front instead (:mod:`tests.rigs.night_nginx`), both ask the gate of the panel.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol

from migrator.entries import Json
from tests.rigs.base import Account, Server, free_port, need
from tests.rigs.governed import (
    DOMAIN,
    SOURCE_HOST,
    TARGET_HOST,
    GovernedByLdap,
    GovernedDovecot,
)
from tests.rigs.platform import Platform
from tests.rigs.postfix import Postfix, merged
from tests.rigs.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, person

_SENT: Final = re.compile(r" to=<(?P<to>[^>]*)>,.* delay=(?P<delay>[0-9.]+), .* status=sent ")
SENDS_ONLY: Final = "sendsonly"  # an emailPersonStatus that lets people hand in mail, and read none
_SERVER: Final = """
protocols = imap pop3 lmtp
imap_id_send = name * site {site}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
protocol lmtp {{
  postmaster_address = postmaster@example.test
}}
"""

_FRONT: Final = """\
protocols = imap pop3
instance_name = {dir.name}
base_dir = {dir}/run
state_dir = {dir}/state
listen = 127.0.0.1
log_path = {dir}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
login_proxy_timeout = 30 secs
login_proxy_max_disconnect_delay = 0
mail_max_userip_connections = 100
default_client_limit = 6000
default_process_limit = 500
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 2
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service auth {{
  client_limit = 8000
  unix_listener auth-submission {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
  client_limit = 12000
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
  client_limit = 12000
}}
protocol !smtp {{
  passdb {{
    driver = ldap
    args = {dir}/source.conf
  }}
  passdb {{
    driver = ldap
    args = {dir}/target.conf
  }}
}}
protocol smtp {{
  passdb {{
    driver = ldap
    args = {dir}/submission.conf
  }}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/nonexistent
}}
"""
_LDAP: Final = """\
uris = {uri}
base = {people}
dn = {reader}
dnpass = {reader_password}
auth_bind = no
pass_attrs = {attributes}
pass_filter = {filter}
default_pass_scheme = PLAIN
"""

_POSTFIX: Final = """
# of the night; later lines win
virtual_mailbox_domains = example.test
virtual_mailbox_maps = texthash:{dir}/conf/mailboxes
virtual_alias_maps = texthash:{dir}/conf/lists
virtual_transport = lmtp:inet:127.0.0.1:{source}
virtual_destination_concurrency_limit = 20
lmtp_destination_recipient_limit = 1
lmtp_connection_cache_on_demand = yes
transport_maps = {transport_maps}
defer_transports = parked
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unauth_destination, reject_unlisted_recipient
smtpd_sasl_type = dovecot
smtpd_sasl_path = {front}/run/auth-submission
smtpd_client_connection_count_limit = 0
# held mail must never come back to its sender, nor tell them that it waits
delay_warning_time = 0
maximal_queue_lifetime = 30d
bounce_queue_lifetime = 30d
minimal_backoff_time = 5s
maximal_backoff_time = 30s
queue_run_delay = 5s
"""
_SERVICES: Final = """\
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
"""
_TRANSPORT: Final = """\
server_host = {uri}
version = 3
search_base = {people}
bind = no
domain = example.test
query_filter = (&(mail=%s)(mailHost={host}))
result_attribute = mailHost
result_format = lmtp:inet:127.0.0.1:{lmtp}
"""
# of sites whose directory says who is held
_CHANNEL: Final = """\
server_host = {uri}
version = 3
search_base = {people}
bind = no
domain = example.test
query_filter = (&(mail=%s)(mailDeliveryOption=hold))
result_attribute = uid
result_format = parked:unix:/nonexistent/%s
"""


class Front(Server):
    """The one address: a Dovecot that knows no mailbox and passes everybody on to the server of their mailHost."""

    name: ClassVar[str] = "front"

    def __init__(self, slapd: Slapd, doors: Mapping[str, GovernedDovecot]) -> None:
        """``doors``: the servers by the value of mailHost that leads to them."""
        need("/usr/sbin/dovecot", "Dovecot")
        super().__init__()
        self.pop3 = free_port()
        self._slapd = slapd
        (self.dir / "state").mkdir()
        (self.dir / "dovecot.conf").write_text(_FRONT.format(dir=self.dir, imap=self.imap, pop3=self.pop3))
        for name, (host, server) in zip(("source", "target"), doors.items(), strict=True):
            port = f"%{{if;%s;eq;pop3;{server.pop3};{server.imap}}}"
            self._write(name, f"(mailHost={host})", f"=nopassword=y, =proxy=y, =host=127.0.0.1, =port={port}")
        may_send = "".join(f"(emailPersonStatus={value})" for value in ("active", SENDS_ONLY))
        self._write("submission", f"(|{may_send})", "userPassword=password")

    def start(self) -> None:
        self.daemon = self.spawn(["/usr/sbin/dovecot", "-F", "-c", self.dir / "dovecot.conf"])
        self.wait_for_greeting(self.imap)
        self.wait_for_greeting(self.pop3, banner=b"+OK")

    def last_words(self) -> str:
        log = self.dir / "dovecot.log"
        return super().last_words() + (log.read_text(errors="replace")[-3000:] if log.exists() else "")

    def _write(self, name: str, condition: str, attributes: str) -> None:
        (self.dir / f"{name}.conf").write_text(
            _LDAP.format(
                uri=self._slapd.uri,
                people=PEOPLE,
                reader=READER,
                reader_password=READER_PASSWORD,
                attributes=f"uid=user, {attributes}",
                filter=f"(&(uid=%Ln){condition})",
            )
        )


class FrontPostfix(Postfix):
    """The Postfix of the platform: strangers at port ``smtp``, users with their password at ``submission``."""

    def __init__(self, world: NightWorld, lists: Mapping[str, Sequence[str]], transport_maps: str) -> None:
        super().__init__(sorted(world.passwords))
        self.submission = free_port()
        conf = self.dir / "conf"
        (conf / "lists").write_text(
            "".join(f"{name}@{DOMAIN} {', '.join(map(world.address, who))}\n" for name, who in lists.items())
        )
        (conf / "host.cf").write_text(
            _TRANSPORT.format(uri=world.slapd.uri, people=PEOPLE, host=TARGET_HOST, lmtp=world.lmtp["target"])
        )
        (conf / "channel.cf").write_text(_CHANNEL.format(uri=world.slapd.uri, people=PEOPLE))
        main = _POSTFIX.format(
            dir=self.dir,
            front=world.sasl.dir,
            source=world.lmtp["source"],
            transport_maps=transport_maps.format(dir=self.dir),
        )
        (conf / "main.cf").write_text(merged((conf / "main.cf").read_text(), main))
        master = (conf / "master.cf").read_text()
        (conf / "master.cf").write_text(master + _SERVICES.format(submission=self.submission))
        for file in conf.iterdir():  # Postfix naps over files of the last second
            os.utime(file, (time.time() - 10,) * 2)
        through = self.dir / "through"
        through.write_text(f'#!/bin/sh\nprogram=$1\nshift\nexec "$program" -c {conf} "$@"\n')
        through.chmod(0o755)
        (self.dir / "tables").mkdir()
        for column in ("hold", "route"):
            table = self.dir / f"tables/mailferry-{column}"
            table.touch()
            subprocess.run(["postmap", "-c", str(conf), f"hash:{table}"], check=True)

    def hold_options(self) -> dict[str, Json]:
        """The options of a hold of kind ``postfix``."""
        return {
            "through": [str(self.dir / "through")],
            "table": "hash",
            "hold_file": str(self.dir / "tables/mailferry-hold"),
        }

    def waiting(self) -> list[dict[str, Any]]:
        """Return which messages have still to reach somebody, as postqueue tells it.

        A reload may leave one behind that has reached everybody; it goes with a later look at the queue.
        """
        argv = ["postqueue", "-c", str(self.dir / "conf"), "-j"]
        printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        return [found for line in printed.splitlines() if (found := json.loads(line))["recipients"]]

    def delays(self, names: Sequence[str]) -> list[float]:
        """Return after how many seconds each delivery to one of ``names`` was made, the shortest first."""
        wanted = {f"{name}@{DOMAIN}" for name in names}
        with (self.dir / "postfix.log").open(errors="replace") as lines:
            found = [_SENT.search(line) for line in lines]
        return sorted(float(one["delay"]) for one in found if one and one["to"] in wanted)

    def ends(self) -> dict[str, int]:
        """Return how often each verdict on a delivery stands in the log: sent, deferred, bounced, expired."""
        found: dict[str, int] = {}
        with (self.dir / "postfix.log").open(errors="replace") as lines:
            for line in lines:
                if said := re.search(r" status=(\w+)", line):
                    found[said[1]] = found.get(said[1], 0) + 1
        return found


class AnyFront(Protocol):
    """The one address that people know."""

    imap: int
    pop3: int


class NightWorld(GovernedByLdap):
    """``with NightWorld(users(20), lists={"team": [...]}) as world:`` has everything up, all users at the source."""

    front: AnyFront
    sasl: Front  # whom Postfix asks for passwords
    postfix: FrontPostfix

    def __init__(
        self,
        passwords: Mapping[str, str],
        lists: Mapping[str, Sequence[str]],
        transport_maps: str = "hash:{dir}/tables/mailferry-hold, ldap:{dir}/conf/host.cf",
    ) -> None:
        """``transport_maps``: what Postfix asks where mail goes: our table first, then the directory."""
        super().__init__(passwords)
        self.lmtp = {"source": free_port(), "target": free_port()}
        self._lists = lists
        self._transport_maps = transport_maps

    def _start(self, stack: contextlib.ExitStack) -> None:
        self.slapd = stack.enter_context(Slapd(self.people()))
        self.source, self.target = (
            GovernedDovecot(
                self.passwords,
                "ldap",
                self._config(host),
                extra=_SERVER.format(site=site, lmtp=self.lmtp[side]) + self.more(side),
                pop3=True,
            )
            for side, site, host in (("source", "old", SOURCE_HOST), ("target", "new", TARGET_HOST))
        )
        self.sasl = stack.enter_context(Front(self.slapd, {SOURCE_HOST: self.source, TARGET_HOST: self.target}))
        self.front = self._front(stack)
        self.postfix = stack.enter_context(FrontPostfix(self, self._lists, self._transport_maps))

    def _front(self, stack: contextlib.ExitStack) -> AnyFront:
        """Start the one address that people know."""
        return self.sasl

    @property
    def submission(self) -> int:
        """Where people hand in mail."""
        return self.postfix.submission

    def people(self) -> list[str]:
        """The entries of the directory, as LDIF."""
        return [
            person(self.address(user), userPassword=password, mailHost=SOURCE_HOST, emailPersonStatus="active")
            for user, password in self.passwords.items()
        ]

    def more(self, side: str) -> str:
        """More lines of configuration for the server of ``side``."""
        return ""


class NightPlatform(Platform):
    """A :class:`Platform` whose people know one address only."""

    world: NightWorld

    def __init__(self, count: int, *, lists: Mapping[str, Sequence[str]], is_held: bool = False, **more: Any) -> None:
        """``is_held``: new mail waits in Postfix while its owner crosses; else late mail is fetched each minute."""
        super().__init__(count, **more)
        self._lists = lists
        self._is_held = is_held

    def servers(self, everybody: Mapping[str, str]) -> NightWorld:
        return NightWorld(everybody, self._lists)

    def description(self) -> dict[str, Any]:
        found = super().description()
        if self._is_held:
            found["hold"] = {"name": "the queue", "kind": "postfix", "options": self.world.postfix.hold_options()}
        else:
            found["campaign"] |= {"catch_up_minutes": 1, "catch_up_days": 1}
        return found

    def logins(self, state: str) -> list[str]:
        """Return who is in ``state``, straight from the rows."""
        return [login for login, was in self._rows("SELECT source_login, state FROM campaigns_account") if was == state]

    def foreseen(self) -> dict[str, Any]:
        """Return what the panel foresaw when somebody said go, straight from the rows; empty when it kept nothing."""
        rows = self._rows("SELECT forecast FROM campaigns_gosaid ORDER BY id DESC LIMIT 1")
        found: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return found

    def lockouts(self) -> list[float]:
        """Return for how long each user was locked out, straight from the rows, the shortest first."""
        rows = self._rows("SELECT lockout_seconds FROM campaigns_account WHERE lockout_seconds IS NOT NULL")
        return sorted(float(seconds) for (seconds,) in rows)

    def steps(self) -> list[tuple[str, list[float]]]:
        """Return in order how long each step of the night took, of each user that is through it, from the journal."""
        rows = self._rows(
            "SELECT position, kind, side, begun_at, ended_at FROM campaigns_journalentry WHERE status = 'done'"
        )
        found: dict[tuple[int, str], list[float]] = {}
        for position, kind, side, *times in rows:
            begun, ended = (datetime.fromisoformat(str(one)) for one in times)
            found.setdefault((position, f"{kind} {side}".strip()), []).append((ended - begun).total_seconds())
        return [(name, sorted(seconds)) for (_, name), seconds in sorted(found.items())]

    def front_door(self, user: str) -> Account:
        """How a user signs in at the one address."""
        return Account(self.world.front.imap, user, self.password)
