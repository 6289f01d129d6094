"""Whatever stands in an address or is sent by a form: a page, or a refusal, and never a fault of the panel."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.forms.copying import CopyingForm
from campaigns.models import Account, Alarm, AlarmChannel, AllowedAddress, Batch, Connector, Server, User
from campaigns.services import drafts
from tests.campaigns import scenes
from tests.campaigns.factories import make_user
from tests.campaigns.test_roles import addresses

pytestmark = [pytest.mark.django_db, pytest.mark.long]

HOSTILE = (
    *("", "\0", "abc\0def", "-1", "0", "9" * 18, "9" * 40, "1e9", "²", "٣", "'; --", "<b>", "%", "a" * 5000),
    *("0001-01-01", "9999-12-31", "0001-01-01T00:00", "9999-12-31T23:59"),
)
# What pages read from their addresses
_TABLE = "state cause side q order page"
ASKED = {
    "people": "q",
    "batch": _TABLE,
    "batch_live": f"{_TABLE} rows seen",
    "batch_confirm": f"{_TABLE} act a all",
    "batch_csv": _TABLE,
    "account": "events",
    "account_live": "events seen",
    "log": "kind person account campaign batch since until before",
    "log_csv": "kind person account campaign batch since until",
    "import_list": "r",
    "draft_list": "r",
    "connector_new": "kind",
    "api_accounts": "state after limit",
    "campaign_old_clients": "page",
    "campaign_advice": "people downtime effort",
}
# What forms send
SENT = (
    "act a all number typed sure reason back next then folder theme size begin starts_at every_days window_begins_at "
    "window_ends_at canary name source target method source_directory target_directory source_sessions route "
    "target_sessions hold population publication "
    "verify_level catch_up_days catch_up_minutes refresh_hours copies_deleted text source_domain target_domain "
    "has_heading m0 host port security ca_pem admin_login admin_secret max_lanes login password again current secret "
    "username full_name roles note source_login target_login time_zone language password-sides password-password "
    "rule-folder rule-action rule-name decision-verdict decision-reason split-size copy-name parallel_cutovers "
    "stop_at_failed_percent max_attempts ready_messages ready_seconds cutover_seconds path status open_value "
    "closed_value find replace accounts look save domains mx most_ttl spf client_names imap_old imaps_new is_by_domain "
    "code url ours own-login own-password own-address own-service own-place words " + " ".join(CopyingForm.base_fields)
).split()


class Browser(Client):
    """The browser of ``user``."""

    def __init__(self, user: User) -> None:
        super().__init__(headers={"host": "localhost"})
        self.user = user


@pytest.fixture
def ids() -> dict[str, Any]:
    """A row of each kind that an address may be about."""
    campaign = scenes.platform(6)
    connector = Connector.objects.create(room="directory", kind="sql", name="staff", options={"driver": "sqlite"})
    servers = {"source": Server.objects.all()[0], "target": Server.objects.all()[1]}
    allowed = AllowedAddress.objects.create(host="mail.example.test")
    hook = {"kind": "webhook", "options": {"url": "https://mail.example.test/"}, "changed_at": timezone.now()}
    channel = AlarmChannel.objects.create(name="pager", **hook)
    rows = {
        "alarm_id": Alarm.objects.create(kind="test", channel=channel, code="1", raised_at=timezone.now()).pk,
        "channel_id": channel.pk,
        "campaign_id": campaign.pk,
        "batch_id": Batch.objects.all()[1].pk,
        "account_id": Account.objects.filter(batch=Batch.objects.all()[1])[0].pk,
        "server_id": servers["source"].pk,
        "connector_id": connector.pk,
        "user_id": make_user(is_helpdesk=True).pk,
        "address_id": allowed.pk,
    }
    return rows | {"token": "nothing", "act": "retry", "position": 0, "step": 0, **servers}


@pytest.fixture
def everybody(ids: dict[str, Any]) -> User:
    """Somebody of every role, who has begun to plan a campaign."""
    user = make_user(
        is_operator=True, is_helpdesk=True, is_manager=True, is_administrator=True, time_zone="Pacific/Auckland"
    )
    ids["draft_id"] = drafts.save(None, "Begun", owner=user, source=ids["source"], target=ids["target"]).pk
    return user


@pytest.fixture
def browser(everybody: User) -> Browser:
    """Their browser."""
    return Browser(everybody)


PATTERNS = [pattern for pattern in addresses() if pattern.name not in ("health", "metrics")]


def url_of(pattern: Any, ids: dict[str, Any]) -> str:
    return reverse(str(pattern.name), kwargs={argument: ids[argument] for argument in pattern.pattern.converters})


def fault(client: Browser, method: str, url: str, data: dict[str, str]) -> list[str]:
    try:
        code = undone(client, method, url, data).status_code
    except Exception as error:  # noqa: BLE001  whatever it is, it is told with what was asked
        return [f"{method} {url} {str(data)[:120]}: {error!r}"]
    return [f"{method} {url} {str(data)[:120]}: {code}"] if code >= 500 else []


def undone(client: Browser, method: str, url: str, data: Any) -> HttpResponse:
    with transaction.atomic():
        client.force_login(client.user)  # the request before may have signed them out
        answer: HttpResponse = getattr(client, method)(url, data)
        if getattr(answer, "streaming", False):
            b"".join(answer)  # type: ignore[call-overload]
        transaction.set_rollback(True)
    return answer


@pytest.mark.parametrize("page", ASKED)
def test_nothing_in_an_address_breaks_its_page(page: str, browser: Browser, ids: dict[str, Any]) -> None:
    (pattern,) = (pattern for pattern in PATTERNS if pattern.name == page)
    faults = []
    for value in HOSTILE:
        for name in ASKED[page].split():
            faults += fault(browser, "get", url_of(pattern, ids), {name: value})
    assert faults == []


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_that_is_sent_breaks_a_form(value: str, browser: Browser, ids: dict[str, Any]) -> None:
    sent = dict.fromkeys(SENT, value)
    assert [told for pattern in PATTERNS for told in fault(browser, "post", url_of(pattern, ids), sent)] == []


# What no field takes, and the addresses with a form that refuses it.
NONSENSE = ("x" * 6000, "-1", " ", "9999-99-99")
REFUSING = set(
    "account_back_go account_copying account_password account_resolve account_rule addresses alarm batch_back_go "
    "batch_by_hand_record batch_plan batch_split campaign_copy campaign_copying campaign_folders campaign_new "
    "campaign_old_clients campaign_places campaign_programs campaign_settings campaign_steps channel connector "
    "connector_test draft draft_list draft_method import_list night note_call password profile retirement_ask server "
    "server_new server_room server_test server_to_oneself staff_login staff_new".split()
)


class Fields(HTMLParser):
    """The fields of a page, and what is said about them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.wrong: dict[str, dict[str, str]] = {}  # by id; of a group only the first
        self.typed: dict[str, str] = {}  # by name: what stands in the field
        self.ids: set[str] = set()
        self.links: set[str] = set()  # to places of the same page
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        kind = of.get("type", "text")
        self.ids.add(of.get("id", ""))
        if tag == "a" and of.get("href", "").startswith("#"):
            self.links.add(of["href"][1:])
        is_later_of_a_group = kind in ("radio", "checkbox") and not of.get("id", "").endswith("_0")
        if of.get("aria-invalid") == "true" and not is_later_of_a_group:
            self.wrong[of["id"]] = of
        if tag == "input" and kind not in ("password", "file", "hidden", "checkbox", "radio"):
            self.typed[of.get("name", "")] = of.get("value", "")
        self._text = of.get("name", "") if tag == "textarea" else ""

    def handle_data(self, data: str) -> None:
        if self._text:
            self.typed[self._text] = self.typed.get(self._text, "") + data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        self._text = ""


def flaws(page: Fields, value: str) -> Iterator[str]:
    """Yield what a page that refuses a form does not say, or does not keep."""
    if "problems" not in page.ids:
        yield "there is no summary"
    for key, field in page.wrong.items():
        error = f"{key.removesuffix('_0')}_error"
        if error not in page.ids or error not in field.get("aria-describedby", ""):
            yield f"{key}: nothing stands at the field"
        if key not in page.links:
            yield f"{key}: the summary does not lead to it"
        kept = page.typed.get(field["name"], value)
        if kept.strip() != value.strip():
            yield f"{key}: {kept[:12]!r} in the place of what was typed"


def test_a_form_that_refuses_says_so_at_the_field_and_in_the_summary_and_keeps_what_was_typed(
    browser: Browser, ids: dict[str, Any]
) -> None:
    faults, refusing = [], set()
    for pattern in PATTERNS:
        for value in NONSENSE:
            answer = undone(browser, "post", url_of(pattern, ids), dict.fromkeys(SENT, value))
            if answer.status_code == 422:
                refusing.add(str(pattern.name))
                page = Fields(answer.content.decode())
                faults += [(pattern.name, value[:12], flaw) for flaw in flaws(page, value)]
    assert faults == []
    assert refusing == REFUSING


def test_what_is_not_there_is_not_found(browser: Browser, ids: dict[str, Any]) -> None:
    found = []
    for pattern in PATTERNS:
        numbers = [name for name in pattern.pattern.converters if name.endswith("_id")]
        for number in (0, 10**18, 10**30) if numbers else ():
            url = url_of(pattern, ids | dict.fromkeys(numbers, number))
            codes = {undone(browser, method, url, {}).status_code for method in ("get", "post")}
            found += [] if codes <= {404, 405} else [(url, codes)]
    assert found == []
