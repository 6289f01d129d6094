"""The platform on its night with nginx in front: people know nginx, and it asks the gate of the panel who serves them.

Both servers would let anybody in who is active; only the gate decides where people come, and Postfix asks it, too.
nginx tells the servers where people come from, so that their sessions are not taken for the panel's own.
"""

from __future__ import annotations

import contextlib
import http.client
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.rigs.base import HOST, free_port
from tests.rigs.governed import DOMAIN, SOURCE_HOST, TARGET_HOST
from tests.rigs.nginxmail import NginxMail
from tests.rigs.night import AnyFront, NightPlatform, NightWorld
from tests.rigs.panel import eventually

KEY: Final = "seven wet stones"
_BEHIND: Final = """
haproxy_trusted_networks = 127.0.0.0/8
service imap-login {{
  inet_listener imap-behind {{
    address = 127.0.0.1
    port = {imap}
    haproxy = yes
  }}
}}
service pop3-login {{
  inet_listener pop3-behind {{
    address = 127.0.0.1
    port = {pop3}
    haproxy = yes
  }}
}}
"""


class NginxWorld(NightWorld):
    """A :class:`~tests.rigs.night.NightWorld` in which people know nginx."""

    front: NginxMail

    def __init__(
        self, passwords: Mapping[str, str], lists: Mapping[str, Sequence[str]], gate: int, socketmap: int
    ) -> None:
        """``gate`` and ``socketmap``: the ports at which the panel answers nginx and Postfix."""
        maps = f"hash:{{dir}}/tables/mailferry-hold, socketmap:inet:{HOST}:{socketmap}:front"
        super().__init__(passwords, lists, maps)
        self._gate = gate
        self._behind = {side: {"imap": free_port(), "pop3": free_port()} for side in ("source", "target")}

    def _front(self, stack: contextlib.ExitStack) -> AnyFront:
        return stack.enter_context(NginxMail(f"{HOST}:{self._gate}/auth/front", KEY, tells_client=True))

    @property
    def submission(self) -> int:
        return self.front.smtp

    def more(self, side: str) -> str:
        return _BEHIND.format(**self._behind[side])

    def _config(self, host: str) -> str:
        return super()._config(host).replace(f"(mailHost={host})", "")

    def route_options(self) -> dict[str, Any]:
        def doors(side: str) -> list[str]:
            ports = {**self._behind[side], "smtp": self.postfix.submission}
            return [f"{protocol} {HOST}:{port}" for protocol, port in ports.items()]

        return {
            "table": {"ours": "gates/routes.sqlite"},
            "domains": [DOMAIN],
            "source": [SOURCE_HOST],
            "target": [TARGET_HOST],
            "source_doors": doors("source"),
            "target_doors": doors("target"),
            "target_nexthop": f"lmtp:inet:{HOST}:{self.lmtp['target']}",
            "uri": f"imap://{HOST}:{self.front.imap}",
        }


class NginxPlatform(NightPlatform):
    """A :class:`~tests.rigs.night.NightPlatform` whose people know nginx."""

    def __init__(self, count: int, **more: Any) -> None:
        super().__init__(count, **more)
        self._gate, self._socketmap = free_port(), free_port()
        self.variables |= {
            "MAILFERRY_GATES_PORT": str(self._gate),
            "MAILFERRY_SOCKETMAP_PORT": str(self._socketmap),
        }

    def servers(self, everybody: Mapping[str, str]) -> NginxWorld:
        return NginxWorld(everybody, self._lists, self._gate, self._socketmap)

    def description(self) -> dict[str, Any]:
        found = super().description()
        key = self.panel.dir / "key"
        key.touch(0o600)
        key.write_text(KEY + "\n")
        found["route"] |= {"kind": "nginx", "password_file": str(key)}
        return found

    def hosts(self) -> dict[str, str]:
        found = dict.fromkeys([*self.users, *self.others], SOURCE_HOST)
        with contextlib.closing(sqlite3.connect(self.panel.folder / "gates/routes.sqlite")) as file:
            for address, backend in file.execute("SELECT address, backend FROM routes WHERE backend IS NOT NULL"):
                found[address.partition("@")[0]] = backend
        return found

    def _plan(self) -> None:
        super()._plan()
        eventually(self._is_answered, self.panel.words)

    def _is_answered(self) -> bool:
        """True when the gate answers for somebody: it reads the routes again after a while."""
        line = http.client.HTTPConnection(HOST, self._gate, timeout=10)
        headers = {"Auth-User": self.users[0], "Auth-Protocol": "imap", "X-Auth-Key": KEY, "Client-IP": HOST}
        with contextlib.closing(line):
            line.request("GET", "/auth/front", headers=headers)
            return line.getresponse().getheader("Auth-Status") == "OK"
