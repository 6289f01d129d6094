"""How the administrator of a server's row opens mailboxes: the engine's text for it, or whose tokens are asked for.

The column ``admin_access`` holds ``authzid``, ``proxyauth``, a form of name like ``{user}*{admin}``, ``microsoft`` or
``google``. Forms that are prefixes of folders are for the command line: here the same mailbox is opened by its user's
own password at other times, and its folders would have other names then.
"""

from __future__ import annotations

from typing import Final

from campaigns.models import Server
from migrator.errors import MigratorError
from migrator.secret import Secret
from migrator.stores import oauth, token_endpoint
from migrator.stores.imap_access import AUTHZID, Access, BadAccess, Way
from migrator.stores.oauth import ClientCredentials, Grant, ServiceAccount, Tokens
from migrator.stores.token_endpoint import BadEndpoint

MICROSOFT: Final = "microsoft"
GOOGLE: Final = "google"
BY_TOKEN: Final = frozenset((MICROSOFT, GOOGLE))


def takes_tokens(server: Server) -> bool:
    """True when a token, not a password, opens the mailboxes of ``server``."""
    return server.admin_access in BY_TOKEN


def parse(text: str) -> Access:
    """Return the way in of a row without tokens. Raises ``BadAccess``, also for prefixes of folders."""
    access = Access.of(text)
    if access.way is Way.FOLDERS:
        raise BadAccess("A form of name holds {user} and {admin}, for example {user}*{admin}.")
    return access


def access(server: Server) -> Access:
    """Return how the administrator's password opens mailboxes."""
    return AUTHZID if takes_tokens(server) else parse(server.admin_access)


def token_host(server: Server) -> str:
    """Return the host that is asked for tokens; empty where none are. Raises ``MigratorError("token.address")``."""
    if not takes_tokens(server):
        return ""
    try:
        return token_endpoint.check(server.token_endpoint)
    except BadEndpoint as error:
        raise MigratorError("token.address", reply=str(error)) from None


def tokens(server: Server, secret: Secret) -> Tokens | None:
    """Return the tokens of a server, which all its accounts share; None where a password opens mailboxes."""
    return oauth.shared(_grant(server, secret)) if takes_tokens(server) else None


def _grant(server: Server, secret: Secret) -> Grant:
    if server.admin_access == GOOGLE:
        return ServiceAccount(server.token_endpoint, server.admin_login, secret)
    return ClientCredentials(server.token_endpoint, server.admin_login, secret)
