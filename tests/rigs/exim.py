"""Exim 4 before two servers, unpacked beside Postfix, set up as the engine's README says that an operator does.

It runs itself anew by a path that is compiled in, and so in a mount namespace of its own. Needs root.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from tests.rigs.base import HOST, Server, free_port, private_box

REPOSITORY: Final = Path(__file__).parents[2]
PROGRAM: Final = REPOSITORY / "migrator/holds/recipes/exim.py"
HELD: Final = "/var/lib/mailferry/exim/held"
_PARTS: Final = re.compile(
    r"```exim\n# in the main part.*?\n(.*?)\n# the first of the routers.*?\n(.*?)\n# .*?\n(.*?)```", re.DOTALL
)

_CONFIG = """\
primary_hostname = mx.example.test
exim_user = mail
exim_group = mail
never_users =
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
pid_file_path = {dir}/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {smtp}
smtp_accept_max = 0
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
prdr_enable = false
keep_environment =
{main}
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  require verify = recipient
  accept domains = example.test
begin routers
{routers}
aliases:
  driver = redirect
  data = ${{lookup{{$local_part}}lsearch{{{dir}/aliases}}}}
  qualify_domain = example.test
moved:
  driver = accept
  domains = example.test
  local_part_suffix = +*
  local_part_suffix_optional
  condition = ${{lookup{{$local_part@$domain}}lsearch{{{dir}/moved}}{{yes}}{{no}}}}
  transport = new
people:
  driver = accept
  domains = example.test
  local_part_suffix = +*
  local_part_suffix_optional
  condition = ${{lookup{{$local_part}}lsearch{{{dir}/people}}{{yes}}{{no}}}}
  transport = old
begin transports
old:
  driver = smtp
  protocol = lmtp
  max_rcpt = 1
  hosts = 127.0.0.1
  hosts_override
  allow_localhost
  port = {old}
new:
  driver = smtp
  protocol = lmtp
  max_rcpt = 1
  hosts = 127.0.0.1
  hosts_override
  allow_localhost
  port = {new}
begin retry
{retry}
*  *  F,1d,1s
"""


def recipe(text: str | None = None) -> tuple[str, str, str]:
    """Return what the README adds to an Exim's main part, routers and retry rules."""
    found = _PARTS.search(text or (REPOSITORY / "migrator/README.md").read_text())
    assert found, "the README has no recipe for Exim any more, or another form of it"
    return found[1], found[2], found[3]


class Exim(Server):
    """Takes mail for ``people`` of example.test and brings it by LMTP to the port ``old``, who moved to ``new``."""

    name: ClassVar[str] = "exim"

    def __init__(
        self, old: int, new: int, people: Sequence[str], *, aliases: Mapping[str, str] | None = None, more: str = ""
    ) -> None:
        """``more`` stands at the end of the main part, after the recipe's."""
        self._box = private_box("exim")
        super().__init__()
        self.smtp = self.imap = free_port()
        self.held = self.dir / "hold/held"
        main, routers, retry = (part.replace(HELD, str(self.held)) for part in recipe())
        ports = {"smtp": self.smtp, "old": old, "new": new}
        config = _CONFIG.format(dir=self.dir, main=main + more, routers=routers, retry=retry, **ports)
        (self.dir / "exim.conf").write_text(config)
        (self.dir / "aliases").write_text("".join(f"{name}: {to}\n" for name, to in (aliases or {}).items()))
        (self.dir / "people").write_text("".join(f"{name}: yes\n" for name in people))
        (self.dir / "moved").touch()
        for folder, owner in (("spool", "mail"), ("hold", "root")):
            (self.dir / folder).mkdir()
            shutil.chown(self.dir / folder, owner, owner)
        shutil.chown(self.dir, "mail", "mail")
        # the name of its own user is compiled in
        (self.dir / "passwd").write_text(f"{Path('/etc/passwd').read_text()}Debian-exim:x:8:8::/:/bin/false\n")
        (self.dir / "group").write_text(f"{Path('/etc/group').read_text()}Debian-exim:x:8:\n")
        self.program = self._script("exim", f'exec {self._inside()} -C {self.dir}/exim.conf "$@"')

    def start(self) -> None:
        self.daemon = self.spawn([*self._inside().split(), "-C", self.dir / "exim.conf", "-bdf"])
        self.wait_for_greeting(self.smtp, banner=b"220")

    def install(self, folder: Path) -> Path:
        """Put the recipe's program into ``folder``, as an operator does, and return it."""
        text = PROGRAM.read_text()
        for ours, theirs in (
            ('EXIM = "/usr/sbin/exim4"', f'EXIM = "{self.program}"'),
            (f'HELD = Path("{HELD}")', f'HELD = Path("{self.held}")'),
            ('DOMAINS = ("example.org",)', 'DOMAINS = ("example.test",)'),
        ):
            assert text.count(ours) == 1, ours
            text = text.replace(ours, theirs)
        program = folder / "exim-hold"
        program.write_text(text)
        program.chmod(0o755)
        return program

    def run(self, *words: str) -> str:
        """Run Exim and return what it prints, whatever its exit code."""
        return subprocess.run([self.program, *words], capture_output=True, text=True, check=False).stdout

    def send(self, recipients: Sequence[str], body: bytes, sender: str = "outside@example.org") -> None:
        """Bring one message by SMTP; it must be accepted for all ``recipients``."""
        with smtplib.SMTP(HOST, self.smtp, timeout=30) as line:
            refused = line.sendmail(sender, list(recipients), body)
        assert not refused, refused

    def move(self, *addresses: str) -> None:
        """Have mail for these go to the new server, and for all others to the old one."""
        draft = Path(tempfile.mkstemp(dir=self.dir)[1])
        draft.write_text("".join(f"{address}: yes\n" for address in addresses))
        draft.chmod(0o644)
        draft.replace(self.dir / "moved")

    def clear(self) -> None:
        """Remove all mail from the queue, and what is remembered of failures; hold and move nobody."""
        if names := re.findall(r"\w{6}-\w+-\w+", self.run("-bpr")):
            self.run("-Mrm", *names)
        for file in (self.dir / "spool/db").glob("*"):
            file.unlink()
        self.held.write_text("")
        self.move()

    def log_text(self) -> str:
        """All that it logged of mail."""
        log = self.dir / "mainlog"
        return log.read_text(errors="replace") if log.exists() else ""

    def last_words(self) -> str:
        panic = self.dir / "paniclog"
        return super().last_words() + self.log_text()[-3000:] + (panic.read_text() if panic.exists() else "")

    def _inside(self) -> str:
        script = self._script(
            "inside",
            f"mount -t overlay overlay -o lowerdir={self._box}/usr:/usr /usr || exit 70\n"
            f"mount --bind {self.dir}/passwd /etc/passwd && mount --bind {self.dir}/group /etc/group || exit 70\n"
            'exec /usr/sbin/exim4 "$@"',
        )
        return f"unshare -m --propagation private {script}"

    def _script(self, name: str, text: str) -> Path:
        script = self.dir / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        return script
