"""Where a mailbox is, whom we take for its server, and who signs in there: what every kind of connection is given."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from typing import Literal

from migrator.secret import Secret
from migrator.stores import trust
from migrator.stores.imap_access import AUTHZID, Access
from migrator.stores.manners import USUAL, Manners
from migrator.stores.oauth import Tokens

Security = Literal["plain", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a mailbox is and how to sign in.

    ``authzid``: the user whose mailbox it is, when ``username`` is an administrator's; ``access`` says how the server
    is told. With ``tokens`` neither an administrator's password nor the user's own is sent: a token for the mailbox is.
    """

    host: str
    port: int
    security: Security
    username: str
    password: Secret
    authzid: str | None = None
    verify: bool = True  # check the certificate and its name
    ca_file: str | None = None  # trust these authorities instead of the system's
    fingerprint: str | None = None  # SHA-256 of the one certificate that is accepted, in hexadecimal
    access: Access = AUTHZID
    tokens: Tokens | None = None
    manners: Manners = USUAL  # how it wants to be asked
    compresses: bool = False  # ask for a compressed line (RFC 4978), where the server offers one
    product: str = ""  # the profile of this name holds, whatever the server calls itself

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings. Raises ``OSError`` when ``ca_file`` cannot be read."""
        if self.fingerprint is not None:
            return trust.pinned(self.fingerprint)
        context = ssl.create_default_context(cafile=self.ca_file)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @property
    def mailbox(self) -> str:
        """Whose mailbox it is."""
        return self.username if self.authzid is None else self.authzid

    @property
    def login(self) -> str:
        """The name that signs in with the password."""
        return self.username if self.authzid is None else self.access.login(self.username, self.authzid)

    @property
    def folder_root(self) -> str:
        """The prefix below which all folders of the mailbox are; empty where they are the signed-in user's own."""
        return "" if self.authzid is None or self.tokens is not None else self.access.folder_root(self.authzid)

    @property
    def asked_so(self) -> Manners:
        """How the server is asked for this mailbox: below its folder root, unless another one was named."""
        root = self.folder_root
        return replace(self.manners, list_root=root) if root and not self.manners.list_root else self.manners
