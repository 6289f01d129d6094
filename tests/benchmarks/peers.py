"""The other tools: how each is told to copy one account, and on how much mail it is bearable to watch it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.rigs.base import Account

CUTS: Final = {"typical": 0.1, "small": 0.05, "large": 0.05, "many": 0.1}


@dataclass(frozen=True, slots=True)
class Errand:
    """One account to copy: from where to where, and a folder for what the tool keeps between runs."""

    source: Account
    target: Account
    target_config: Path  # of the target's Dovecot, which dsync writes to directly
    folder: Path
    certificates: tuple[Path | None, Path | None] = (None, None)  # of source and target, where they speak TLS


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool. ``needs_cut(corpus, rtt_ms)`` is true where the whole corpus would take many minutes."""

    name: str
    program: str | None
    command: Callable[[Errand], list[str]]
    needs_cut: Callable[[str, int], bool]
    good_exits: tuple[int, ...] = (0,)

    @property
    def is_present(self) -> bool:
        """Is it on this machine?"""
        return self.program is not None and shutil.which(self.program) is not None


def _mbsync(errand: Errand) -> list[str]:
    def store(name: str, account: Account, certificate: Path | None) -> str:
        security = f"IMAPS\nCertificateFile {certificate}" if certificate else "None"
        host = "localhost" if certificate else account.host  # it compares names only, no addresses
        return (
            f"IMAPStore {name}\nHost {host}\nPort {account.port}\nUser {account.user}\n"
            f"Pass {account.password}\nSSLType {security}\nAuthMechs LOGIN\n\n"
        )

    channel = (
        "Channel all\nFar :source:\nNear :target:\nPatterns *\nCreate Near\nExpunge None\nSync Pull\n"
        f"CopyArrivalDate yes\nSyncState {errand.folder}/\n"
    )
    config = errand.folder / "mbsyncrc"
    config.write_text(
        "".join(map(store, ("source", "target"), (errand.source, errand.target), errand.certificates)) + channel
    )
    return ["mbsync", "-q", "-c", str(config), "all"]


def _dsync(errand: Errand) -> list[str]:
    source = errand.source
    settings = {
        "imapc_host": source.host, "imapc_port": str(source.port), "imapc_user": source.user,
        "imapc_password": source.password, "imapc_features": "rfc822.size fetch-headers",
        # without it each message costs a round trip
        "mail_prefetch_count": "200",
    }  # fmt: skip
    if errand.certificates[0]:
        settings |= {"imapc_ssl": "imaps", "imapc_ssl_verify": "no"}
    chosen = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    return ["doveadm", "-c", str(errand.target_config), *chosen, "backup", "-R", "-u", errand.target.user, "imapc:"]


def _offlineimap(errand: Errand) -> list[str]:
    def repository(name: str, account: Account, more: str) -> str:
        return (
            f"[Repository {name}]\ntype = IMAP\nremotehost = {account.host}\nremoteport = {account.port}\n"
            f"remoteuser = {account.user}\nremotepass = {account.password}\nssl = no\nstarttls = no\n"
            f"auth_mechanisms = LOGIN\n{more}\n"
        )

    config = errand.folder / "offlineimaprc"
    config.write_text(
        f"[general]\naccounts = all\nmetadata = {errand.folder}\n[Account all]\n"
        "localrepository = target\nremoterepository = source\n"
        + repository("target", errand.target, "")
        + repository("source", errand.source, "readonly = True\ncreatefolders = False")
    )
    return ["offlineimap", "-o", "-c", str(config), "-u", "quiet"]


def _imapsync(errand: Errand) -> list[str]:
    words = [os.environ["IMAPSYNC"], "--nolog", "--noreleasecheck", "--nomodulesversion", "--noid"]
    words += ["--tmpdir", str(errand.folder), "--pidfile", str(errand.folder / "pid")]
    for number, account in (("1", errand.source), ("2", errand.target)):
        secret = errand.folder / f"password{number}"
        secret.write_text(account.password)
        words += [f"--host{number}", account.host, f"--port{number}", str(account.port), f"--user{number}",
                  account.user, f"--passfile{number}", str(secret), f"--nossl{number}", f"--notls{number}"]  # fmt: skip
    return words


PEERS: Final = {
    peer.name: peer
    for peer in (
        Peer("mbsync", "mbsync", _mbsync, lambda corpus, _rtt: corpus in ("large", "many")),
        # 2: done, but something changed meanwhile; the check of the copy decides
        Peer("dsync", "doveadm", _dsync, lambda corpus, _rtt: corpus == "many", (0, 2)),
        Peer("offlineimap", "offlineimap", _offlineimap, lambda _corpus, _rtt: True),
        Peer("imapsync", os.environ.get("IMAPSYNC"), _imapsync, lambda corpus, rtt: rtt > 0 or corpus == "many"),
    )
}
