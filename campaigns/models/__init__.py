"""What the panel remembers. Rows only: no logic here, no ``save()`` with opinions, no signals.

Services write, selectors read. State changes go through ``services.accounts.transition`` and nowhere else.
"""

from __future__ import annotations

from campaigns.models.account import Account, AccountName
from campaigns.models.alarm import Alarm, AlarmChannel, AlarmSending
from campaigns.models.by_hand import Confirmation, OldClient, PlaceBook
from campaigns.models.campaign import Batch, BatchCount, BatchMail, Campaign, MovedHour
from campaigns.models.draft import CampaignDraft, UploadedList
from campaigns.models.event import Event
from campaigns.models.ledger import (
    LedgerFolder,
    LedgerLeaf,
    LeftBehindMessage,
    MessageNames,
    SendingMessage,
    SieveScript,
)
from campaigns.models.night import AccountHeld, BatchHeld, GoSaid
from campaigns.models.proof import ProofKey
from campaigns.models.retirement import RemovedMessage, Retirement
from campaigns.models.run import JournalEntry, Run, Worker
from campaigns.models.server import AllowedAddress, Connector, Server
from campaigns.models.survey import BatchSurvey, SurveyedAccount
from campaigns.models.user import OneTimeLink, User

__all__ = [
    "Account",
    "AccountHeld",
    "AccountName",
    "Alarm",
    "AlarmChannel",
    "AlarmSending",
    "AllowedAddress",
    "Batch",
    "BatchCount",
    "BatchHeld",
    "BatchMail",
    "BatchSurvey",
    "Campaign",
    "CampaignDraft",
    "Confirmation",
    "Connector",
    "Event",
    "GoSaid",
    "JournalEntry",
    "LedgerFolder",
    "LedgerLeaf",
    "LeftBehindMessage",
    "MessageNames",
    "MovedHour",
    "OldClient",
    "OneTimeLink",
    "PlaceBook",
    "ProofKey",
    "RemovedMessage",
    "Retirement",
    "Run",
    "SendingMessage",
    "Server",
    "SieveScript",
    "SurveyedAccount",
    "UploadedList",
    "User",
    "Worker",
]
