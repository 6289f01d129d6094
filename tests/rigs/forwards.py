"""People's .forward files, at which a Postfix looks before anything else that it does with their mail.

They are all one user of this machine, told apart by what follows a plus, so that nobody has to be made here: Postfix
delivers by .forward to users of the machine only.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from migrator.entries import Json
from tests.rigs.postfix import Exchanger, Postfix, merged

USER: Final = "games"
_SETTINGS: Final = """\
mydestination = example.test
virtual_mailbox_domains =
recipient_delimiter = +
forward_path = {folder}/homes/$extension/.forward, {folder}/after/$extension/.forward
local_destination_concurrency_limit = 20
"""


class Forwards:
    """Homes, files of held mail, and what happens to mail of users without a .forward of their own."""

    def __init__(self, postfix: Exchanger | Postfix, folder: Path, users: Sequence[str], after: Callable[[str], str]):
        """``folder``: an empty one of our own. ``after``: what a .forward would say of a user who has none."""
        self.folder = folder
        self.homes, self.held, self.mailboxes = (folder / name for name in ("homes", "held", "mailboxes"))
        for made in (folder, self.homes, self.held, self.mailboxes, folder / "after"):
            made.mkdir(exist_ok=True)
            made.chmod(0o711)
        for user in users:
            for home in (self.homes / user, folder / "after" / user):
                home.mkdir(mode=0o755)
                shutil.chown(home, USER, pwd.getpwnam(USER).pw_gid)
            self.write(folder / "after" / user / ".forward", after(user))
        conf = postfix.dir / "conf"
        names = "".join(f"{user}@example.test {USER}+{user}@example.test\n" for user in users)
        (conf / "people").write_text(names)
        main = (conf / "main.cf").read_text()
        maps = [line.partition("=")[2].strip() for line in main.splitlines() if line.startswith("virtual_alias_maps")]
        more = f"virtual_alias_maps = {', '.join([*filter(None, maps[-1:]), f'texthash:{conf}/people'])}\n"
        (conf / "main.cf").write_text(merged(main, _SETTINGS.format(folder=folder) + more))
        with (conf / "master.cf").open("a") as master:
            master.write("local unix - n n - - local\n")
        for file in conf.iterdir():
            postfix.cool(file)
        self._through = str(postfix.dir / "through")

    def options(self) -> dict[str, Json]:
        """The options of a hold of kind ``forward_file``."""
        return {
            "homes": str(self.homes),
            "held": str(self.held),
            "mailboxes": str(self.mailboxes),
            "postfix": True,
            "through": [self._through],
        }

    @staticmethod
    def write(path: Path, text: str) -> None:
        """Write a file as its user would."""
        path.write_text(text)
        found = pwd.getpwnam(USER)
        os.chown(path, found.pw_uid, found.pw_gid)
