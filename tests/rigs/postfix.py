"""Postfix 3, private instances: a sink that fills Maildirs, and a mail exchanger before two servers. They need root."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import psycopg

from migrator.entries import Json
from tests.rigs.base import HOST, Server, free_port, need, own_certificate

_COMMON = """\
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
multi_instance_enable = no
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.test
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
disable_dns_lookups = yes
smtputf8_enable = no
append_dot_mydomain = no
always_add_missing_headers = no
message_drop_headers =
local_header_rewrite_clients =
"""
# What Postfix logs goes through a socket that takes ten lines (net.unix.max_dgram_qlen), to a daemon that a reload
# restarts. Its master, too, waits for that socket: with one reload right after the other it would wait for ever.
_THROUGH = """\
#!/bin/sh
program=$1
shift
[ "$program $1" = "postfix reload" ] || exec "$program" -c {conf} "$@"
told() {{ grep -c 'reload -- version' {log}; }}
before=$(told)
"$program" -c {conf} "$@" || exit
tries=0
while [ "$(told)" -le "$before" ] && [ $tries -lt 200 ]; do
    sleep 0.02
    tries=$((tries + 1))
done
exit 0
"""
_SINK = """\
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = texthash:{dir}/conf/mailboxes
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_transport = virtual
# one after the other: the order in the Maildir is that of the sending
virtual_destination_concurrency_limit = 1
message_size_limit = {size_limit}
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
"""
_EXCHANGER = """\
smtp_bind_address = 127.0.0.1
virtual_mailbox_maps = static:ok
virtual_alias_maps = texthash:{dir}/conf/aliases
virtual_transport = {source}
transport_maps = {tables}
proxy_read_maps = $transport_maps
defer_transports = parked
# held mail is neither returned nor announced
delay_warning_time = 0
maximal_queue_lifetime = 30d
bounce_queue_lifetime = 30d
lmtp_destination_recipient_limit = 1
recipient_delimiter = +
"""
_PGSQL = """\
hosts = {url}
dbname = mailferry
user = test
query = SELECT COALESCE(hold, route) FROM mailferry_transport
 WHERE address = lower('%s') AND COALESCE(hold, route) IS NOT NULL
"""
_MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
parked    unix - - n - - lmtp
lmtp      unix - - n - - lmtp
discard   unix - - n - - discard
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
_PRIVATE = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


def merged(main: str, more: str) -> str:
    """Return a main.cf in which the lines of ``more`` stand in place of those that name the same parameter.

    Each process warns of a parameter that is there twice, and so many words at once can stop the master for good: it
    waits for its log, which is written by a process that it has still to start.
    """
    names = tuple(f"{line.partition(' =')[0]} =" for line in more.splitlines() if " =" in line)
    return "".join(line for line in main.splitlines(keepends=True) if not line.startswith(names)) + more


class _Instance(Server):
    """One Postfix with a folder of its own, listening at port ``smtp``."""

    name: ClassVar[str] = "postfix"

    def __init__(self, main: str, files: Mapping[str, str]) -> None:
        """``main``: what its main.cf has beside the common lines; ``files``: others beside it. {dir} is its folder."""
        need("/usr/lib/postfix/sbin/master", "Postfix")
        super().__init__()
        self.smtp = free_port()
        for folder in ("conf", "queue", "data"):
            (self.dir / folder).mkdir()
        shutil.chown(self.dir / "data", "postfix")
        files = {**files, "main.cf": merged(_COMMON, main), "master.cf": _MASTER.format(smtp=self.smtp)}
        for name, text in files.items():
            (self.dir / "conf" / name).write_text(text.replace("{dir}", str(self.dir)))
            self.cool(self.dir / "conf" / name)

    def start(self) -> None:
        queue = self.dir / "queue"
        for name in _PRIVATE:
            (queue / name).mkdir(mode=0o700, exist_ok=True)
            shutil.chown(queue / name, "postfix", "root")
        (queue / "pid").mkdir(exist_ok=True)
        for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            (queue / name).mkdir(exist_ok=True)
            shutil.chown(queue / name, "postfix", "postdrop")
            (queue / name).chmod(mode)
        self.daemon = self.spawn(["/usr/lib/postfix/sbin/master", "-c", self.dir / "conf", "-d"])
        self.wait_for_greeting(self.smtp, banner=b"220")

    def run(self, program: str, *words: str) -> str:
        """Run one of its programs and return what it prints."""
        argv = [program, "-c", str(self.dir / "conf"), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def is_queue_empty(self) -> bool:
        """True when nothing waits to be delivered."""
        return not self.run("postqueue", "-j").strip()

    @staticmethod
    def cool(file: Path) -> None:
        """Make a file look a little older: Postfix reads one of the last second again and again until it is."""
        os.utime(file, (time.time() - 10,) * 2)

    def log_text(self) -> str:
        """All that it logged."""
        log = self.dir / "postfix.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def last_words(self) -> str:
        return super().last_words() + self.log_text()[-3000:]


class Postfix(_Instance):
    """``Postfix(["anna"])`` takes mail for ``anna@example.test`` at port ``smtp``, by STARTTLS where one asks."""

    def __init__(self, users: list[str], *, size_limit: int = 50_000_000, origin: str = "") -> None:
        """``origin``: the domain of recipients that are named without one."""
        origin = f"append_at_myorigin = yes\nmyorigin = {origin}\n" if origin else ""
        mailboxes = "".join(f"{user}@example.test {user}/\n" for user in users)
        owner = pwd.getpwnam("mail")
        values = {"uid": owner.pw_uid, "gid": owner.pw_gid, "certificate": "{dir}/tls.crt", "key": "{dir}/tls.key"}
        main = origin + _SINK.format(dir="{dir}", size_limit=size_limit, **values)
        super().__init__(main, {"mailboxes": mailboxes})
        self.certificate, _ = own_certificate(self.dir)
        (self.dir / "mail").mkdir()
        shutil.chown(self.dir / "mail", "mail")

    def delivered(self, user: str, count: int, *, seconds: float = 30.0) -> list[bytes]:
        """Wait until ``user`` has ``count`` messages, and return them all in the order in which they came."""
        end = time.monotonic() + seconds
        while len(files := self._files(user)) < count and time.monotonic() < end:
            time.sleep(0.02)  # the queue has no other end
        return [file.read_bytes() for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]

    def _files(self, user: str) -> list[Path]:
        return list((self.dir / "mail" / user / "new").glob("*"))


class Exchanger(_Instance):
    """Takes mail for all of example.test and brings it to ``source``, unless a table of ours says otherwise.

    ``source`` is a transport, such as lmtp:inet:127.0.0.1:24. The table is in hash files, or in the PostgreSQL at
    ``database``, in which it is made. ``aliases``: lists, by local part. ``more``: further settings, which win.
    """

    def __init__(
        self, source: str, *, database: str = "", aliases: Mapping[str, Sequence[str]] | None = None, more: str = ""
    ) -> None:
        hashes = ", ".join(f"hash:{{dir}}/tables/mailferry-{column}" for column in ("hold", "route"))
        tables = "proxy:pgsql:{dir}/conf/transport.cf" if database else hashes
        lists = "".join(
            f"{name}@example.test {', '.join(f'{one}@example.test' for one in members)}\n"
            for name, members in (aliases or {}).items()
        )
        main = merged(_EXCHANGER.format(dir="{dir}", source=source, tables=tables), more)
        super().__init__(main, {"aliases": lists, "transport.cf": _PGSQL.format(url=database)})
        self._database = database
        (self.dir / "tables").mkdir()
        through = self.dir / "through"
        through.write_text(_THROUGH.format(conf=self.dir / "conf", log=self.dir / "postfix.log"))
        through.chmod(0o755)
        if database:
            self._make_relation()
        else:
            self._make_files()

    def options(self, *columns: str) -> dict[str, Json]:
        """How a connector reaches it, and which of its tables (hold, route)."""
        through: dict[str, Json] = {"through": [str(self.dir / "through")]}
        if not self._database:
            files: dict[str, Json] = {f"{one}_file": str(self.dir / f"tables/mailferry-{one}") for one in columns}
            return {**through, "table": "hash", **files}
        place = urlsplit(self._database)
        return {
            **through,
            "table": "postgresql",
            "host": place.hostname,
            "port": place.port,
            "database": place.path[1:],
            "user": place.username,
            "tls": "disable",
        }

    def meddle(self, column: str, address: str, value: str) -> None:
        """Write a value into the table as somebody else would."""
        if self._database:
            with psycopg.connect(self._database) as line:
                line.execute(
                    f"INSERT INTO mailferry_transport (address, {column}) VALUES (%s, %s) "
                    f"ON CONFLICT (address) DO UPDATE SET {column} = EXCLUDED.{column}",
                    (address, value),
                )
            return
        argv = ["postmap", "-c", str(self.dir / "conf"), "-i", f"hash:{self.dir}/tables/mailferry-{column}"]
        subprocess.run(argv, input=f"{address} {value}\n", text=True, check=True)

    def clear(self) -> None:
        """Remove all mail from the queue and everything from the tables; what was resolved is forgotten."""
        if self._database:
            with psycopg.connect(self._database) as line:
                line.execute("TRUNCATE mailferry_transport")
        else:
            self._make_files()
        subprocess.run([self.dir / "through", "postfix", "reload"], check=True, capture_output=True)
        self.run("postsuper", "-d", "ALL")

    def send(self, recipients: Sequence[str], body: bytes, sender: str = "outside@example.org") -> None:
        """Bring one message by SMTP; it must be accepted for all ``recipients``."""
        with smtplib.SMTP(HOST, self.smtp, timeout=30) as line:
            refused = line.sendmail(sender, list(recipients), body)
        assert not refused, refused

    def _make_files(self) -> None:
        for column in ("hold", "route"):
            new = self.dir / f"tables/new-{column}"
            new.write_text("")
            self.run("postmap", f"hash:{new}")
            new.with_name(f"{new.name}.db").replace(self.dir / f"tables/mailferry-{column}.db")
            new.replace(self.dir / f"tables/mailferry-{column}")

    def _make_relation(self) -> None:
        with psycopg.connect(self._database) as line:
            line.execute("DROP TABLE IF EXISTS mailferry_transport")
            line.execute("CREATE TABLE mailferry_transport (address text PRIMARY KEY, hold text, route text)")
