"""Dovecot 2.3, any number of instances side by side: Maildir, mdbox, sdbox or mbox, any separator and prefix.

An administrator signs in for anyone: ``user*admin`` / ``adminpw``, or SASL PLAIN with an authorization identity.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from tests.rigs.base import Account, Server, free_port, need, own_certificate

Layout = Literal["maildir", "mdbox", "sdbox", "mbox"]
ADMIN, ADMIN_PASSWORD = "admin", "adminpw"

_LOCATIONS: dict[str, str] = {
    "maildir": "maildir:~/Maildir",
    "mdbox": "mdbox:~/mdbox",
    "sdbox": "sdbox:~/sdbox",
    "mbox": "mbox:~/mail:INBOX=~/inbox:INDEX=~/index",
}

_CONFIG = """\
protocols = {protocols}
instance_name = {dir.name}
base_dir = {dir}/run
state_dir = {dir}/state
listen = 127.0.0.1
log_path = {dir}/dovecot.log
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_master_user_separator = *
login_trusted_networks = {trusted}
# runs without the packaged system users' rights where it must; the login process refuses to run as root
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
mail_uid = {mail}
mail_gid = {mail_group}
# the defaults (10 connections per user and address, 100 login processes) bite a migration tool
mail_max_userip_connections = 100
default_process_limit = 1500
default_client_limit = 6000
default_vsz_limit = 512M
import_environment = TZ
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3_port}
  }}
  inet_listener pop3s {{
    port = {pop3s_port}
  }}
}}
service imap {{
  process_limit = 1500
}}
auth_failure_delay = 0
service anvil {{
  chroot =
  client_limit = 12000
  # one wrong password otherwise delays every later sign-in from this address (2, 4, 8, 15 s)
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
  client_limit = 12000
}}
service auth {{
  client_limit = 12000
  unix_listener auth-userdb {{
    mode = 0777
  }}
}}
mail_home = {dir}/mail/%Ln
mail_location = {location}
mail_plugins = acl quota zlib
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
  mailbox Drafts {{
    special_use = \\Drafts
    auto = create
  }}
  mailbox Junk {{
    special_use = \\Junk
    auto = create
  }}
}}
{shared}
# No "result_success = continue" here: a user disabled by "nologin" would lock the administrator out as well.
passdb {{
  driver = passwd-file
  master = yes
  args = scheme=PLAIN username_format=%u {dir}/administrators
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%Ln {dir}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%Ln {dir}/users
  # without this the acl plugin looks at the administrator's rights in the user's folders
  override_fields = master_user=%u home={dir}/mail/%Ln
}}
plugin {{
  acl = vfile
  acl_shared_dict = file:{dir}/mail/shared-mailboxes.db
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage={quota}
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_acl imap_quota imap_zlib
  imap_metadata = yes
}}
mail_attribute_dict = file:%h/dovecot-attributes
"""

_SIEVE = """\
service managesieve-login {{
  chroot =
  service_count = 0
  inet_listener sieve {{
    port = {port}
  }}
}}
plugin {{
  sieve = file:~/sieve;active=~/.dovecot.sieve
  {extra}
}}
"""

_SHARED = """\
namespace shared {{
  type = shared
  separator = {separator}
  prefix = shared{separator}%%n{separator}
  location = {location}
  subscriptions = no
  list = children
}}
"""


class _Options(NamedTuple):
    layout: Layout
    separator: str
    prefix: str
    tls: bool
    shared: bool
    quota: str
    pop3: bool
    sieve: bool
    extra: str


class Dovecot(Server):
    """``Dovecot({"u1": "pw"}, layout="mdbox", separator="/")``; ports in ``imap`` and, with TLS, ``imaps``."""

    name: ClassVar[str] = "dovecot"

    def __init__(
        self,
        passwords: Mapping[str, str],
        *,
        layout: Layout = "maildir",
        separator: str = ".",
        prefix: str = "",
        tls: bool = False,
        shared: bool = False,
        quota: str = "10G",
        pop3: bool = False,
        sieve: bool = False,
        sieve_settings: str = "",
        extra: str = "",
    ) -> None:
        """``shared``: other people's folders in a namespace of their own; ``pop3``: mail is read by POP3, too, at ports
        ``pop3`` and ``pop3s``; ``sieve``: scripts by ManageSieve at port ``sieve``, with ``sieve_settings`` of the
        plugin; ``extra``: more lines of configuration.
        """
        need("/usr/sbin/dovecot", "Dovecot")
        super().__init__()
        self.options = _Options(layout, separator, prefix, tls, shared, quota, pop3, sieve, extra)
        self.sieve = free_port() if sieve else 0
        self._sieve_settings = sieve_settings
        self.imaps = free_port() if self.options.tls else 0
        self.pop3 = free_port() if self.options.pop3 else 0
        self.pop3s = free_port() if self.options.pop3 and self.options.tls else 0
        self.certificate: Path | None = None
        self._quotas: dict[str, str] = {}
        self._fields: dict[str, str] = {}
        self._stamp = int(time.time()) - 10000
        for folder in ("mail", "state"):
            (self.dir / folder).mkdir()
        (self.dir / "administrators").write_text(f"{ADMIN}:{{PLAIN}}{ADMIN_PASSWORD}::::::\n")
        (self.dir / "dovecot.conf").write_text(self._config())
        self.set_users(passwords)
        self.give(self.dir / "mail")

    def start(self) -> None:
        # After a kill its children may still be dying: a socket one of them listens on counts as a second Dovecot.
        shutil.rmtree(self.dir / "run", ignore_errors=True)
        self.daemon = self.spawn(["/usr/sbin/dovecot", "-F", "-c", self.dir / "dovecot.conf"])
        self.wait_for_greeting(self.imap)
        if self.pop3:
            self.wait_for_greeting(self.pop3, banner=b"+OK")
        if self.sieve:
            self.wait_for_greeting(self.sieve, banner=b'"IMPLEMENTATION"')

    def admin(self, user: str) -> Account:
        """The account of ``user``, signed in to by the administrator."""
        return Account(self.imap, f"{user}*{ADMIN}", ADMIN_PASSWORD)

    def set_users(self, passwords: Mapping[str, str]) -> None:
        """Replace all users; takes effect within a second, without a restart."""
        self.passwords = dict(passwords)
        self._write_users()

    def set_quota(self, user: str, storage: str) -> None:
        """Give one user a quota of their own, for example ``200K``."""
        self._quotas[user] = storage
        self._write_users()

    def set_fields(self, user: str, fields: str) -> None:
        """Give one user extra password fields, for example ``nologin reason=Mailbox_is_being_moved`` (no blanks)."""
        self._fields[user] = fields
        self._write_users()

    def maildir(self, user: str) -> Path:
        """Where the Maildir of ``user`` is; made when it is not there yet. Files in it may need :meth:`give`."""
        path = self.dir / "mail" / user / "Maildir"
        for part in ("cur", "new", "tmp"):
            (path / part).mkdir(parents=True, exist_ok=True)
        return path

    def give(self, path: Path) -> None:
        """Make everything below ``path`` the mail user's."""
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{_mail_user()}:{_group(_mail_user())}", str(path)], check=True)

    def doveadm(self, *words: object) -> str:
        """Run doveadm on this instance and return what it prints."""
        argv = ["/usr/bin/doveadm", "-c", str(self.dir / "dovecot.conf"), *map(str, words)]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def last_words(self) -> str:
        log = self.dir / "dovecot.log"
        return super().last_words() + (log.read_text(errors="replace")[-3000:] if log.exists() else "")

    def _config(self) -> str:
        chosen = self.options
        location = _LOCATIONS[chosen.layout]
        internal = "dovecot" if os.geteuid() == 0 else _mail_user()
        if chosen.tls:
            self.certificate, key = own_certificate(self.dir)
        everyone = location.replace("~", f"{self.dir}/mail/%%n")
        protocols = ["imap"] + ["pop3"] * chosen.pop3 + ["sieve"] * chosen.sieve
        shared = _SHARED.format(separator=chosen.separator, location=everyone) if chosen.shared else ""
        return (
            _CONFIG.format(
                dir=self.dir,
                ssl="yes" if chosen.tls else "no",
                port=self.imap,
                tls_port=self.imaps,
                protocols=" ".join(protocols),
                pop3_port=self.pop3,
                pop3s_port=self.pop3s,
                certificate=f"ssl_cert = <{self.certificate}\nssl_key = <{key}" if chosen.tls else "",
                trusted="127.0.0.0/8",
                internal=internal,
                internal_group=_group(internal),
                login="dovenull" if os.geteuid() == 0 else internal,
                mail=_mail_user(),
                mail_group=_group(_mail_user()),
                location=location,
                separator=chosen.separator,
                prefix=chosen.prefix,
                quota=chosen.quota,
                shared=shared,
            )
            + (_SIEVE.format(port=self.sieve, extra=self._sieve_settings) if chosen.sieve else "")
            + chosen.extra
        )

    def _write_users(self) -> None:
        # passwd-file is re-read only when its size or its time in WHOLE seconds differs: give each a growing time
        self._stamp += 1
        fresh = self.dir / "users.fresh"
        fresh.write_text("".join(map(self._row, self.passwords)))
        os.utime(fresh, (self._stamp, self._stamp))
        shutil.move(fresh, self.dir / "users")

    def _row(self, user: str) -> str:
        fields = self._fields.get(user, "")
        if user in self._quotas:
            fields += f" userdb_quota_rule=*:storage={self._quotas[user]}"
        return f"{user}:{{PLAIN}}{self.passwords[user]}::::::{fields.strip()}\n"


def _mail_user() -> str:
    return "mail" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
