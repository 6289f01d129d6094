"""Every address of the panel, opened as everybody: who gets in is what the table says, and the table names them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from campaigns.models import Account, Alarm, AlarmChannel, AllowedAddress, Batch, Campaign, Connector, Server, User
from campaigns.services import drafts, proofs
from tests.campaigns import scenes
from tests.campaigns.factories import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.long]

# name of the address: stranger, signed in without a role, operator, helpdesk, manager, administrator
TABLE = """
home                    -    yes  yes  yes  yes  yes
choose_password         yes  yes  yes  yes  yes  yes
open_link               yes  yes  yes  yes  yes  yes
health                  yes  yes  yes  yes  yes  yes
metrics                 yes  yes  yes  yes  yes  yes
api_campaigns           -    -    yes  -    yes  yes
api_batch               -    -    yes  -    yes  yes
api_accounts            -    -    yes  -    yes  yes
api_account             -    -    yes  yes  yes  yes
account_login           yes  yes  yes  yes  yes  yes
account_logout          yes  yes  yes  yes  yes  yes
account_inactive        yes  yes  yes  yes  yes  yes
account_reauthenticate  -    yes  yes  yes  yes  yes
profile                 -    yes  yes  yes  yes  yes
password                -    yes  yes  yes  yes  yes
theme                   yes  yes  yes  yes  yes  yes
signs                   -    yes  yes  yes  yes  yes
keys                    -    yes  yes  yes  yes  yes
servers                 -    -    yes  -    yes  yes
server_new              -    -    -    -    -    yes
server                  -    -    yes  -    yes  yes
server_test             -    -    yes  -    -    yes
server_again            -    -    yes  -    -    yes
server_to_oneself       -    -    -    -    -    yes
server_room             -    -    -    -    -    yes
certificate_accept      -    -    -    -    -    yes
certificate_drop        -    -    -    -    -    yes
addresses               -    -    yes  -    yes  yes
address_remove          -    -    -    -    -    yes
connector_new           -    -    -    -    -    yes
connector               -    -    yes  -    yes  yes
connector_test          -    -    yes  -    -    yes
staff                   -    -    -    -    -    yes
staff_new               -    -    -    -    -    yes
staff_login             -    -    -    -    -    yes
staff_link              -    -    -    -    -    yes
staff_close             -    -    -    -    -    yes
staff_open              -    -    -    -    -    yes
campaign_prove          -    -    yes  -    -    -
campaign                -    -    yes  -    yes  yes
campaign_csv            -    -    yes  -    yes  -
people                  -    -    yes  yes  yes  yes
person                  -    -    yes  yes  yes  yes
note_call               -    -    yes  yes  -    -
person_act              -    -    yes  yes  -    -
log                     -    -    yes  -    yes  yes
log_csv                 -    -    yes  -    yes  -
campaigns               -    -    yes  -    yes  yes
campaign_settings       -    -    yes  -    -    -
campaign_steps          -    -    yes  -    -    -
campaign_copying        -    -    yes  -    -    -
campaign_folders        -    -    yes  -    -    -
account_copying         -    -    yes  -    -    -
campaign_copy           -    -    yes  -    -    -
campaign_pause          -    -    yes  -    -    -
campaign_resume         -    -    yes  -    -    -
campaign_close          -    -    yes  -    -    -
campaign_new            -    -    yes  -    -    -
draft                   -    -    yes  -    -    -
draft_method            -    -    yes  -    -    -
draft_list              -    -    yes  -    -    -
draft_reading           -    -    yes  -    -    -
draft_list_discard      -    -    yes  -    -    -
draft_refused           -    -    yes  -    -    -
draft_start             -    -    yes  -    -    -
draft_discard           -    -    yes  -    -    -
import_list             -    -    yes  -    -    -
import_reading          -    -    yes  -    -    -
import_confirm          -    -    yes  -    -    -
import_discard          -    -    yes  -    -    -
import_refused          -    -    yes  -    -    -
batches                 -    -    yes  -    yes  yes
batch                   -    -    yes  -    yes  yes
batch_live              -    -    yes  -    yes  yes
account_back            -    -    yes  -    -    -
account_back_go         -    -    yes  -    -    -
account_back_look       -    -    yes  -    -    -
batch_after             -    -    yes  -    yes  yes
batch_back              -    -    yes  -    -    -
batch_back_go           -    -    yes  -    -    -
batch_back_look         -    -    yes  -    -    -
retirement_approve      -    -    yes  -    yes  -
retirement_ask          -    -    yes  -    -    -
retirement_withdraw     -    -    yes  -    yes  -
batch_act               -    -    yes  -    -    -
batch_confirm           -    -    yes  -    -    -
batch_csv               -    -    yes  -    yes  -
batch_survey            -    -    yes  -    yes  yes
batch_survey_live       -    -    yes  -    yes  yes
batch_survey_csv        -    -    yes  -    yes  -
night                   -    -    yes  -    yes  yes
night_try               -    -    yes  -    -    -
alarms                  -    -    yes  -    -    yes
alarm                   -    -    yes  -    -    yes
channel_new             -    -    -    -    -    yes
channel                 -    -    -    -    -    yes
channel_test            -    -    yes  -    -    yes
channel_remove          -    -    -    -    -    yes
batch_survey_ask        -    -    yes  -    -    -
batch_ldif              -    -    yes  -    yes  yes
batch_ldif_file         -    -    yes  -    yes  -
batch_proof             -    -    yes  -    yes  yes
batch_manifest          -    -    yes  -    yes  -
account_manifest        -    -    yes  -    yes  -
proof_key               -    -    yes  -    yes  yes
account                 -    -    yes  yes  yes  yes
account_live            -    -    yes  yes  yes  yes
account_act             -    -    yes  yes  -    -
account_password        -    -    yes  -    -    -
account_rule            -    -    yes  -    -    -
account_rule_clear      -    -    yes  -    -    -
account_resolve         -    -    yes  -    -    -
account_log             -    -    yes  yes  yes  yes
batch_plan              -    -    yes  -    -    -
batch_split             -    -    yes  -    -    -
batch_go_on             -    -    yes  -    -    -
demo_room               -    -    yes  -    -    -
batch_by_hand           -    -    yes  -    yes  yes
batch_by_hand_look      -    -    yes  -    -    -
batch_by_hand_record    -    -    yes  -    -    -
batch_by_hand_withdraw  -    -    yes  -    -    -
campaign_places         -    -    yes  -    -    yes
campaign_programs       -    -    yes  -    yes  yes
campaign_old_clients    -    -    yes  -    yes  yes
campaign_old_clients_csv -   -    yes  -    yes  -
campaign_old_clients_forget - -   yes  -    -    -
campaign_advice         -    -    yes  -    yes  yes
"""
PEOPLE = ("stranger", "nobody", "operator", "helpdesk", "manager", "administrator")
LINES = [line.split() for line in TABLE.strip().splitlines()]
ALLOWED = {name: dict(zip(PEOPLE, cells, strict=True)) for name, *cells in LINES}


def addresses(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    """Yield every address of the panel, those that are included as well."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from addresses(entry)
        else:
            yield entry


NAMES = [str(pattern.name) for pattern in addresses()]


@pytest.fixture
def ids(settings: Any) -> dict[str, Any]:
    """What addresses are about: a row of each, and the argument by which an address names it."""
    settings.DEMO = True  # else there is no page of the demo
    proofs.make_key()  # else there is none to hand out
    campaign = scenes.platform(12)
    connector = Connector.objects.create(room="directory", kind="sql", name="staff", options={"driver": "sqlite"})
    # else its batches have no files for ldapmodify
    route = Connector.objects.create(room="route", kind="ldap", name="people")
    Campaign.objects.filter(pk=campaign.pk).update(route=route)
    hook = {"kind": "webhook", "options": {"url": "https://pager.example.test/"}, "changed_at": timezone.now()}
    channel = AlarmChannel.objects.create(name="pager", **hook)
    rows = {
        "alarm_id": Alarm.objects.create(kind="test", channel=channel, code="1", raised_at=timezone.now()),
        "channel_id": channel,
        "campaign_id": campaign,
        "batch_id": Batch.objects.all()[1],
        "account_id": Account.objects.all()[0],
        "server_id": Server.objects.all()[0],
        "connector_id": connector,
        "user_id": make_user(is_helpdesk=True),
        "address_id": AllowedAddress.objects.create(host="mail.example.test"),
    }
    found = {"token": "nothing", "act": "retry", "position": 0, "step": 4}
    return {name: row.pk for name, row in rows.items()} | found


def ask(client: Client, name: str, ids: dict[str, Any]) -> HttpResponse:
    """Open an address, by a form where it takes nothing else; whatever that did is undone."""
    (pattern,) = (pattern for pattern in addresses() if pattern.name == name)
    wanted = {argument: ids[argument] for argument in pattern.pattern.converters}
    url = reverse(name, kwargs=wanted)
    with transaction.atomic():
        answer = client.get(url)
        if answer.status_code == 405:
            answer = client.post(url)
        transaction.set_rollback(True)
    return answer


def _draft_of(user: User | None) -> int:
    """Return a campaign that ``user`` has begun to plan: nobody else gets to see it."""
    servers = {"source": Server.objects.all()[0], "target": Server.objects.all()[1]}
    return drafts.save(None, "Begun", owner=user or make_user(), **servers).pk


def is_in(answer: HttpResponse) -> bool:
    """True when somebody was let in, whatever they then did wrong."""
    if answer.status_code in (401, 403):
        return False
    return not (answer.status_code == 302 and answer.headers["Location"].startswith("/sign-in?next="))


def test_the_table_names_every_address_and_no_other() -> None:
    missing, gone = sorted(set(NAMES) - ALLOWED.keys()), sorted(ALLOWED.keys() - set(NAMES))
    lines = "\n".join(f"{name:24}-    -    ?    ?    ?    ?" for name in missing)
    assert not missing, f"add to TABLE in this file, yes or - for {', '.join(PEOPLE)}:\n{lines}"
    assert not gone, f"no address has these names any more, take them out of TABLE: {', '.join(gone)}"
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("person", PEOPLE)
def test_everybody_gets_in_where_the_table_says_and_nowhere_else(person: str, ids: dict[str, Any]) -> None:
    roles = {f"is_{person}": True} if person in PEOPLE[2:] else {}
    user = make_user(**roles) if person != "stranger" else None
    ids["draft_id"] = _draft_of(user)
    found, wrong = {}, {}
    for name in ALLOWED.keys() & set(NAMES):
        client = Client(headers={"host": "localhost"})
        if isinstance(user, User):
            client.force_login(user)
        answer = ask(client, name, ids)
        found[name] = "yes" if is_in(answer) else "-"
        if answer.status_code in (404, 500):
            wrong[name] = answer.status_code
    assert found == {name: ALLOWED[name][person] for name in found}
    assert wrong == {}


def test_a_closed_campaign_is_proved_by_nobody(ids: dict[str, Any]) -> None:
    Campaign.objects.update(closed_at="2030-01-01T00:00Z")
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    assert ask(client, "campaign_prove", ids).status_code == 403
