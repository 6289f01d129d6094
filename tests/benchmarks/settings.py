"""How the two servers of a benchmark stand: encrypted or not, in memory or on disk, with what they offer left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# what Dovecot 2.3 offers after signing in, without quota and ACL
OFFERED: Final = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS "
    "THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED "
    "I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY "
    "PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"
).split()


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to stand. ``without``: what is not offered; ``rate``: bytes a second each way, 0 for no limit."""

    name: str = ""
    tls: bool = False
    on_disk: bool = False
    without: tuple[str, ...] = ()
    rate: int = 0

    @property
    def config(self) -> str:
        """Dovecot's lines for it."""
        if not self.without:
            return ""
        return f"imap_capability = {' '.join(word for word in OFFERED if word not in self.without)}\n"


USUAL: Final = Setting()
TLS: Final = Setting("TLS", tls=True)
DISK: Final = Setting("disk", on_disk=True)
SINGLES: Final = Setting("no MULTIAPPEND", without=("MULTIAPPEND",))
ASKED: Final = Setting("no LITERAL+", without=("MULTIAPPEND", "LITERAL+"))
SLOW: Final = Setting("100 Mbit/s", rate=12_500_000)
SETTINGS: Final = {setting.name: setting for setting in (USUAL, TLS, DISK, SINGLES, ASKED, SLOW)}
