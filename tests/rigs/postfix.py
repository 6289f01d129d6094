"""Postfix 3, a private instance as a sink: it takes mail for example.test and puts it into a Maildir. Needs root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import ClassVar

from tests.rigs.base import Server, free_port, need, own_certificate

_MAIN = """\
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
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
disable_dns_lookups = yes
smtputf8_enable = no
append_dot_mydomain = no
always_add_missing_headers = no
message_drop_headers =
local_header_rewrite_clients =
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
discard   unix - - n - - discard
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
_PRIVATE = "active bounce corrupt defer deferred flush hold incoming private saved trace".split()


class Postfix(Server):
    """``Postfix(["anna"])`` takes mail for ``anna@example.test`` at port ``smtp``, by STARTTLS where one asks."""

    name: ClassVar[str] = "postfix"

    def __init__(self, users: list[str], *, size_limit: int = 50_000_000, origin: str = "") -> None:
        """``origin``: the domain of recipients that are named without one."""
        need("/usr/lib/postfix/sbin/master", "Postfix")
        super().__init__()
        self.smtp = free_port()
        owner = pwd.getpwnam("mail")
        for folder in ("conf", "queue", "data", "mail"):
            (self.dir / folder).mkdir()
        self.certificate, key = own_certificate(self.dir)
        values = {"uid": owner.pw_uid, "gid": owner.pw_gid, "certificate": self.certificate, "key": key}
        origin = f"append_at_myorigin = yes\nmyorigin = {origin}\n" if origin else ""
        main = origin + _MAIN.format(dir=self.dir, size_limit=size_limit, **values)
        (self.dir / "conf/main.cf").write_text(main)
        (self.dir / "conf/master.cf").write_text(_MASTER.format(smtp=self.smtp))
        (self.dir / "conf/mailboxes").write_text("".join(f"{user}@example.test {user}/\n" for user in users))
        shutil.chown(self.dir / "data", "postfix")
        shutil.chown(self.dir / "mail", "mail")
        # Postfix reads a file of the last second again and again until it is a few seconds old
        for file in (self.dir / "conf").iterdir():
            os.utime(file, (time.time() - 10,) * 2)

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

    def delivered(self, user: str, count: int, *, seconds: float = 30.0) -> list[bytes]:
        """Wait until ``user`` has ``count`` messages, and return them all in the order in which they came."""
        end = time.monotonic() + seconds
        while len(files := self._files(user)) < count and time.monotonic() < end:
            time.sleep(0.02)  # the queue has no other end
        return [file.read_bytes() for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]

    def is_queue_empty(self) -> bool:
        """True when nothing waits to be delivered."""
        argv = ["postqueue", "-c", str(self.dir / "conf"), "-j"]
        return not subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    def _files(self, user: str) -> list[Path]:
        return list((self.dir / "mail" / user / "new").glob("*"))

    def last_words(self) -> str:
        log = self.dir / "postfix.log"
        return super().last_words() + (log.read_text(errors="replace")[-3000:] if log.exists() else "")
