"""Who may do what: the one answer that every page asks for in its first line.

Roles are flags of a person and add up. What cannot be put into this table (an operator types no server address outside
the allow-list) is checked by the service that takes the value.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from django.contrib.auth.models import AnonymousUser

from campaigns.models import Campaign, User


class Verb(StrEnum):
    """Something a person does in the panel."""

    LOOK_UP = "look_up"  # one person's mailbox: where it is, what is wrong
    READ = "read"  # campaigns, batches, dashboards
    EXPORT = "export"
    RETRY_ACCOUNT = "retry_account"  # one
    STOP_ACCOUNT = "stop_account"  # one
    ASK_PASSWORD = "ask_password"  # send the user a link that asks for it
    NOTE_CALL = "note_call"
    PLAN = "plan"  # campaigns, lists, batches, windows
    RUN = "run"  # start, pause, resume, stop, retry and exclude many
    CUT_OVER = "cut_over"  # say go, roll back
    RESOLVE = "resolve"  # say what becomes of an account that needs a decision
    APPROVE = "approve"  # the data-loss score, retirement of the source
    MANAGE_SERVERS = "manage_servers"  # servers, connectors, the allow-list
    MANAGE_STAFF = "manage_staff"
    MANAGE_SETTINGS = "manage_settings"
    MANAGE_KEYS = "manage_keys"


READING: Final = frozenset({Verb.LOOK_UP, Verb.READ, Verb.EXPORT})

_OPERATOR: Final = frozenset(
    {
        *READING,
        Verb.RETRY_ACCOUNT,
        Verb.STOP_ACCOUNT,
        Verb.ASK_PASSWORD,
        Verb.NOTE_CALL,
        Verb.PLAN,
        Verb.RUN,
        Verb.CUT_OVER,
        Verb.RESOLVE,
        Verb.APPROVE,
    }
)
_HELPDESK: Final = frozenset({Verb.LOOK_UP, Verb.RETRY_ACCOUNT, Verb.STOP_ACCOUNT, Verb.ASK_PASSWORD, Verb.NOTE_CALL})
_MANAGER: Final = frozenset({*READING, Verb.APPROVE})
_ADMINISTRATOR: Final = frozenset(
    {Verb.LOOK_UP, Verb.READ, Verb.MANAGE_SERVERS, Verb.MANAGE_STAFF, Verb.MANAGE_SETTINGS, Verb.MANAGE_KEYS}
)


def may(user: User | AnonymousUser, verb: Verb, campaign: Campaign | None = None) -> bool:
    """True when ``user`` may do ``verb``, in ``campaign`` where it concerns one. A closed campaign is only read."""
    if not isinstance(user, User) or not user.is_active:
        return False
    if campaign is not None and campaign.closed_at is not None and verb not in READING:
        return False
    return verb in verbs(user)


def verbs(user: User) -> frozenset[Verb]:
    """Return all that the roles of ``user`` allow, somewhere."""
    roles = (
        (user.is_operator, _OPERATOR),
        (user.is_helpdesk, _HELPDESK),
        (user.is_manager, _MANAGER),
        (user.is_administrator, _ADMINISTRATOR),
    )
    return frozenset().union(*(allowed for has_role, allowed in roles if has_role))
