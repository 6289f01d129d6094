"""The scenes of the table: each starts its own servers, and takes less than ten minutes on two cores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.benchmarks.contests import Ours
from tests.benchmarks.corpora import CORPORA
from tests.benchmarks.peers import CUTS, PEERS, Peer
from tests.benchmarks.report import Cell
from tests.benchmarks.settings import ASKED, DISK, SINGLES, SLOW, TLS, USUAL, Setting

# imapsync and offlineimap want a round trip or more for each message: only where the mail is cut down for them
PATIENT: Final = ("dsync", "mbsync", "imapsync")


@dataclass(frozen=True, slots=True)
class Scene:
    """Corpora with their shares, at some distances, in one setting, with the peers that are worth watching there."""

    title: str
    corpora: tuple[tuple[str, float], ...]
    rtts: tuple[int, ...] = (0,)
    setting: Setting = USUAL
    peers: tuple[str, ...] = PATIENT
    ours: tuple[Ours, ...] = (Ours(),)

    def cells(self, scale: float, only: list[str]) -> Iterator[tuple[Cell, list[Ours | Peer]]]:
        """Yield what is measured and with whom; of the peers, those in ``only``."""
        peers = [PEERS[name] for name in self.peers if name in only]
        for name, share in self.corpora:
            for rtt in self.rtts:
                cut = [peer for peer in peers if share == 1 and peer.needs_cut(name, rtt)]
                yield self._cell(name, share * scale, rtt), [*self.ours, *(peer for peer in peers if peer not in cut)]
                if cut:
                    yield self._cell(name, CUTS[name] * scale, rtt), [Ours(), *cut]

    def _cell(self, name: str, scale: float, rtt_ms: int) -> Cell:
        return Cell(CORPORA[name].cut(scale), rtt_ms, self.setting)


def by(*connections: int) -> tuple[Ours, ...]:
    """Return us with so many connections, one after the other."""
    return tuple(map(Ours, connections))


_THREE: Final = (("typical", 1.0), ("small", 1.0), ("large", 1.0))
SCENES: Final = {
    "near": Scene("No distance, in memory", _THREE),
    "far-20": Scene("20 ms away", _THREE, (20,)),
    "far-80": Scene("80 ms away", _THREE, (80,)),
    "many": Scene("200 accounts of 150 messages, 8 lanes in one process", (("many", 1.0),)),
    "tls": Scene("TLS on both sides", (("typical", 1.0), ("small", 1.0)), (0,), TLS, ("dsync", "mbsync")),
    "disk": Scene(
        "On a disk, with fsync", (("typical", 0.5), ("small", 0.25)), (0,), DISK, ("dsync", "mbsync"), by(1, 2)
    ),
    "singles": Scene("Servers without MULTIAPPEND", (("small", 0.05),), (20,), SINGLES, ("mbsync", "imapsync")),
    "asked": Scene(
        "Servers without LITERAL+ either", (("small", 0.05),), (20,), ASKED, ("mbsync", "imapsync"), by(1, 8)
    ),
    "slow": Scene("A line of 100 Mbit/s", (("typical", 0.5),), (20,), SLOW, ("dsync", "mbsync")),
    "huge": Scene("One message of 200 MB", (("huge", 1.0),), (0,), USUAL, ()),
}  # fmt: skip
