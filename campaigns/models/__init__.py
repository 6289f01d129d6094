"""What the panel remembers. Rows only: no logic here, no ``save()`` with opinions, no signals.

Services write, selectors read. State changes go through ``services.accounts.transition`` and nowhere else.
"""

from __future__ import annotations

from campaigns.models.account import Account, AccountName
from campaigns.models.campaign import Batch, BatchCount, BatchMail, Campaign, MovedHour
from campaigns.models.draft import CampaignDraft, UploadedList
from campaigns.models.event import Event
from campaigns.models.ledger import LedgerFolder, LedgerLeaf, LeftBehindMessage
from campaigns.models.proof import ProofKey
from campaigns.models.run import JournalEntry, Run, Worker
from campaigns.models.server import AllowedAddress, Connector, Server
from campaigns.models.user import OneTimeLink, User

__all__ = [
    "Account",
    "AccountName",
    "AllowedAddress",
    "Batch",
    "BatchCount",
    "BatchMail",
    "Campaign",
    "CampaignDraft",
    "Connector",
    "Event",
    "JournalEntry",
    "LedgerFolder",
    "LedgerLeaf",
    "LeftBehindMessage",
    "MovedHour",
    "OneTimeLink",
    "ProofKey",
    "Run",
    "Server",
    "UploadedList",
    "User",
    "Worker",
]
