"""The pymap of the demo as a program of its own: ``python -m campaigns.demo.pymap_server FOLDER``.

It lets in whom the directory lets in, makes up a mailbox's mail when it is first opened, keeps to the room that the
directory grants, and refuses the folder names that a server would which keeps its mail in directories.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from pymap.backend.dict import Config, DictBackend, Login, Session
from pymap.backend.dict import Identity as DictIdentity
from pymap.backend.dict.filter import FilterSet
from pymap.backend.dict.mailbox import MailboxSet
from pymap.concurrent import Subsystem
from pymap.exceptions import AppendFailure, InvalidAuth, MailboxError, UserNotFound
from pymap.imap import IMAPService
from pymap.parsing.message import AppendMessage
from pymap.parsing.response import ResponseCode
from pymap.parsing.specials.flag import Flag
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

from campaigns.demo import directory
from campaigns.demo.mail import REFUSED_FOLDER, Folder, Post
from campaigns.demo.people import Cast, invent
from campaigns.demo.pymap import read
from campaigns.demo.servers import ADMIN, HOST, Plan

_RESERVED: Final = frozenset({"cur", "new", "tmp"})


class Shelf:
    """All mailboxes of one server, and what its directory says of their users."""

    def __init__(self, plan: Plan, post: Mapping[str, Any]) -> None:
        self.plan = plan
        self.used: dict[str, int] = {}
        self._cast: Cast = invent(post["count"], post["seed"])
        self._post = Post(self._cast.people, post["seed"], post["scale"])

    def admits(self, login: str) -> directory.Entry | None:
        """Return the entry of somebody who may sign in here now."""
        found = directory.find(self.plan.directory, login)
        is_ours = found is not None and found.status == "active" and found.mailhost == self.plan.host
        return found if is_ours else None

    def knows(self, login: str) -> bool:
        """True when the directory has an entry, whatever it says."""
        return directory.find(self.plan.directory, login) is not None

    def mail_of(self, login: str) -> list[Folder]:
        """Return the mail that lies here from the beginning."""
        person = next((one for one in self._cast.people if one.login == login), None)
        if person is None or self.plan.is_new:
            return []
        return list(self._post.mailbox(person, *([REFUSED_FOLDER] if person is self._cast.oddly_named else [])))

    def has_room(self, login: str, size: int) -> bool:
        """Take room for so many octets; False when there is not enough."""
        entry = directory.find(self.plan.directory, login) if self.plan.is_new else None
        used = self.used.get(login, 0) + size
        if entry is not None and entry.new_room_bytes and used > entry.new_room_bytes:
            return False
        self.used[login] = used
        return True


class OurSession(Session):
    """What somebody who is signed in may do."""

    def __init__(self, shelf: Shelf, *rest: Any) -> None:
        super().__init__(*rest)
        self._shelf = shelf

    async def create_mailbox(self, name: str, selected: Any = None) -> Any:
        if self._shelf.plan.is_new and not _RESERVED.isdisjoint(name.split("/")):
            raise MailboxError(name, b"Invalid mailbox name: Contains reserved name", ResponseCode.of(b"CANNOT"))
        return await super().create_mailbox(name, selected)

    async def append_messages(self, name: str, messages: Sequence[AppendMessage], selected: Any = None) -> Any:
        if not self._shelf.has_room(self.owner, sum(len(message.literal) for message in messages)):
            raise AppendFailure(name, b"Quota exceeded (mailbox for user is full)", ResponseCode.of(b"OVERQUOTA"))
        return await super().append_messages(name, messages, selected)


class OurIdentity(DictIdentity):
    """Somebody whose password was right."""

    def __init__(self, shelf: Shelf, *rest: Any) -> None:
        super().__init__(*rest)
        self._shelf = shelf

    @asynccontextmanager
    async def new_session(self) -> AsyncIterator[Session]:
        boxes, filters = self.config.set_cache.get(self.name, (None, None))
        if boxes is None or filters is None:
            boxes, filters = self.config.set_cache[self.name] = MailboxSet(), FilterSet()
            for folder in self._shelf.mail_of(self.name):
                await _put(boxes, folder)
        yield OurSession(self._shelf, self.name, self.config, boxes, filters)

    async def get(self) -> UserMetadata:
        if not self._shelf.knows(self.name):
            raise UserNotFound(self.name)
        return self.login.users_dict.get(self.name) or UserMetadata(self.config, self.name)


class OurLogin(Login):
    """Asks the directory at every sign-in; the administrator signs in for everybody."""

    def __init__(self, config: Config, shelf: Shelf) -> None:
        super().__init__(config)
        self.shelf = shelf
        self._remember(ADMIN, shelf.plan.admin_password, "admin")

    async def authenticate(self, credentials: Any) -> Any:
        if credentials.authcid != ADMIN:
            entry = self.shelf.admits(credentials.authcid)
            if entry is None:
                raise InvalidAuth
            self._remember(entry.login, entry.password)
        known = await super().authenticate(credentials)
        return OurIdentity(self.shelf, known.name, self, None, known.roles)

    async def authorize(self, authenticated: Any, authzid: str) -> Any:
        known = await super().authorize(authenticated, authzid)
        return OurIdentity(self.shelf, known.name, self, None, known.roles)

    def _remember(self, login: str, password: str, *roles: str) -> None:
        self.users_dict[login] = UserMetadata(self.config, login, password=password, roles=frozenset(roles))


async def _put(boxes: MailboxSet, folder: Folder) -> None:
    name = "/".join(level.replace("/", "-") for level in folder.path)
    if name != "INBOX":
        await boxes.add_mailbox(name)
    await boxes.set_subscribed(name, folder.is_subscribed)
    box = await boxes.get_mailbox(name)
    for letter in folder.letters:
        flags = frozenset(Flag(flag.encode()) for flag in letter.flags)
        await box.append(AppendMessage(letter.body, letter.date, flags))


async def serve(shelf: Shelf) -> None:
    """Serve IMAP until a signal comes."""
    # fmt: off
    arguments = Namespace(
        host=HOST, port=shelf.plan.port, debug=False, cert=None, key=None, tls=False, passlib_cfg=None,
        proxy_protocol=None, demo_data=False, demo_user="", demo_password="", skip_services=[], inherited_sockets=None)
    # fmt: on
    config = Config.from_args(  # Cleartext: the usual hash costs up to half a second at every sign-in
        arguments,
        hash_context=Cleartext(),
        cpu_subsystem=Subsystem.for_asyncio(),
        reject_dnsbl=False,
        invalid_user_sleep=0.0,
    )
    config.apply_context()
    async with AsyncExitStack() as stack:
        backend = DictBackend(OurLogin(config, shelf), config)
        await backend.start(stack)
        await IMAPService(backend, config).start(stack)
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()
        os._exit(0)  # sessions that are still open need not be waited for


if __name__ == "__main__":
    asyncio.run(serve(Shelf(*read(Path(sys.argv[1])))))
