"""pymap, an IMAP server written in Python that keeps its mail in memory: real, and poor in what it can do.

No namespaces, no CONDSTORE, no custom keywords. ``python -m tests.rigs.pymap PORT COUNT`` runs it in the foreground for
u0000 ... and the administrator ``admin`` / ``adminpw``, who signs in for anyone by SASL PLAIN.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import ClassVar

from tests.rigs.base import HOST, MissingServer, Server

ADMIN, ADMIN_PASSWORD = "admin", "adminpw"
_ROOT = Path(__file__).resolve().parents[2]


class Pymap(Server):
    """Everything in it is lost when it ends. All users have the password they were given."""

    name: ClassVar[str] = "pymap"

    def __init__(self, passwords: Mapping[str, str]) -> None:
        if importlib.util.find_spec("pymap") is None:
            raise MissingServer("pymap")
        super().__init__()
        self.passwords = dict(passwords)

    def start(self) -> None:
        listed = self.dir / "users"
        listed.write_text("".join(f"{user}\t{password}\n" for user, password in self.passwords.items()))
        argv = [sys.executable, "-m", "tests.rigs.pymap", str(self.imap), str(listed)]
        # the greeting otherwise looks up this machine's name for every connection
        self.daemon = self.spawn(argv, env=dict(os.environ, FQDN="localhost", PYTHONPATH=str(_ROOT)))
        self.wait_for_greeting(self.imap)


async def serve(port: int, passwords: Mapping[str, str]) -> None:
    """Serve IMAP on ``port`` until a signal comes."""
    from pymap.backend.dict import Config, DictBackend, Login
    from pymap.concurrent import Subsystem
    from pymap.imap import IMAPService
    from pymap.user import UserMetadata
    from pysasl.hashing import Cleartext

    # fmt: off
    arguments = Namespace(
        host=HOST, port=port, debug=False, cert=None, key=None, tls=False, passlib_cfg=None, proxy_protocol=None,
        demo_data=False, demo_user="demo", demo_password="demo", skip_services=[], inherited_sockets=None)
    # fmt: on
    config = Config.from_args(  # Cleartext: the usual hash costs up to half a second per sign-in
        arguments,
        hash_context=Cleartext(),
        cpu_subsystem=Subsystem.for_asyncio(),
        reject_dnsbl=False,
        invalid_user_sleep=0.0,
    )
    config.apply_context()
    login = Login(config)
    for name, password in {ADMIN: ADMIN_PASSWORD, **passwords}.items():
        roles = frozenset({"admin"} if name == ADMIN else ())
        login.users_dict[name] = UserMetadata(config, name, password=password, roles=roles)
    async with AsyncExitStack() as stack:
        backend = DictBackend(login, config)
        await backend.start(stack)
        await IMAPService(backend, config).start(stack)
        ended = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, ended.set)
        await ended.wait()


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text().splitlines()
    asyncio.run(serve(int(sys.argv[1]), dict(line.split("\t") for line in lines)))
