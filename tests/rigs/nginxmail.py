"""nginx as the one address that clients know: for each sign-in it asks an HTTP server who serves the user.

With ``is_guarded`` that server is nginx itself: it passes the question on, and answers from a map of routes of its own
when nobody is there to answer.
"""

from __future__ import annotations

import os
import pwd
import signal
import time
from pathlib import Path
from typing import ClassVar

from tests.rigs.base import HOST, Server, free_port, need

_MODULE = Path("/usr/lib/nginx/modules/ngx_mail_module.so")
_CONFIG = """\
load_module {module};
daemon off;
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log notice;
events {{ worker_connections 4096; }}
{http}
mail {{
  server_name mail.example.test;
  auth_http {asked};
  auth_http_header X-Auth-Key "{secret}";
  auth_http_timeout 5s;
  proxy_pass_error_message on;
  proxy_timeout 30m;
  resolver off;
  imap_capabilities "IMAP4rev1" "LITERAL+" "SASL-IR" "IDLE" "UIDPLUS" "NAMESPACE" "ID" "ENABLE" "MOVE" "CONDSTORE";
  pop3_capabilities "TOP" "UIDL" "USER";
  server {{ listen 127.0.0.1:{imap}; protocol imap; imap_auth plain login; {tells} }}
  server {{ listen 127.0.0.1:{pop3}; protocol pop3; pop3_auth plain; {tells} }}
  # the server behind checks the password; without proxy_smtp_auth anybody could send
  server {{ listen 127.0.0.1:{smtp}; protocol smtp; smtp_auth plain login; proxy_smtp_auth on; xclient off; }}
}}
"""
_HTTP = """\
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
{routes}
}}
"""


class NginxMail(Server):
    """``NginxMail("127.0.0.1:PORT/auth/front", "secret")``; ports: imap, pop3, smtp.

    ``tells_client``: servers behind take the PROXY protocol, and are told by it where people come from (not for SMTP).
    """

    name: ClassVar[str] = "nginx"

    def __init__(self, auth: str, secret: str = "test-key", *, tells_client: bool = False) -> None:
        """``auth``: whom nginx asks, with the path, as ``HOST:PORT/PATH``."""
        need("/usr/sbin/nginx", "nginx")
        need(_MODULE, "nginx's mail module")
        super().__init__()
        self.pop3, self.smtp, self.fallback = free_port(), free_port(), free_port()
        self._auth, self._secret, self._tells_client = auth, secret, tells_client
        self._write(auth, "")

    def start(self) -> None:
        # -e: else it looks for a log of the system's; -p: what is relative
        self.daemon = self.spawn(
            ["/usr/sbin/nginx", "-e", self.dir / "error.log", "-p", self.dir, "-c", self.dir / "nginx.conf"]
        )
        self.wait_for_greeting(self.imap)

    def guard(self, routes: str) -> None:
        """Have nginx ask itself, with ``routes``, the lines of an ``http`` block that listen on :attr:`fallback`."""
        self._write(f"{HOST}:{self.fallback}/auth", _HTTP.format(dir=self.dir, routes=routes))
        self.reload()

    def reload(self) -> None:
        """Read the configuration again, if nginx runs. Afterwards no new line is taken by the old one."""
        if self.daemon is None:
            return
        before = self._workers()
        self.daemon.send_signal(signal.SIGHUP)
        end = time.monotonic() + 20
        while not self._workers() - before or any(map(_takes_lines, before)):
            if time.monotonic() > end:
                raise RuntimeError(f"nginx takes no other configuration\n{self.last_words()}")
            time.sleep(0.02)

    def last_words(self) -> str:
        log = self.dir / "error.log"
        return super().last_words() + (log.read_text(errors="replace")[-3000:] if log.exists() else "")

    def _workers(self) -> set[str]:
        assert self.daemon is not None
        children = Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children")
        return set(children.read_text().split())

    def _write(self, asked: str, http: str) -> None:
        (self.dir / "nginx.conf").write_text(
            _CONFIG.format(
                module=_MODULE,
                dir=self.dir,
                user=f"user {_user()};" if os.geteuid() == 0 else "",
                asked=asked,
                secret=self._secret,
                tells="proxy_protocol on;" if self._tells_client else "",
                http=http,
                imap=self.imap,
                pop3=self.pop3,
                smtp=self.smtp,
            )
        )


def _takes_lines(worker: str) -> bool:
    try:
        return b"shutting down" not in Path(f"/proc/{worker}/cmdline").read_bytes()
    except OSError:
        return False


def _user() -> str:
    return next(name for name in ("www-data", "nobody") if name in {one.pw_name for one in pwd.getpwall()})
