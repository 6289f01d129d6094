"""*Moving to Secondary Domains* of the guide, by the panel: plain names become names of a domain, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from campaigns.models import Account, AllowedAddress, Batch, Server
from campaigns.services import batches, campaigns, imports
from campaigns.services.imports import Cutting
from campaigns.services.rosters import Reading
from tests.live.test_runs import work_to_the_end
from tests.rigs import check
from tests.rigs.base import HOST
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import Dovecot

pytestmark = pytest.mark.django_db(transaction=True)
OLD = {"anna": "of anna, 5 stones", "bert": "of bert, 7 stones", "anna-2": "of the other, 9 stones"}
NEW = {"anna": "anna@second.test", "bert": "bert@second.test", "anna-2": "anna@third.test"}


class DomainDovecot(Dovecot):
    """A Dovecot with domains: who is called alike in two of them is two."""

    def _config(self) -> str:
        return super()._config().replace("%Ln", "%Lu")


@pytest.fixture
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(OLD) as old, DomainDovecot({NEW[user]: password for user, password in OLD.items()}) as new:
        for user in OLD:
            line = Dialogue(old.account(user))
            line.append(b"INBOX", [(b"()", f"Subject: of {user}\r\n\r\nx\r\n".encode())])
            line.close()
        yield old, new


def titles(server: Dovecot, user: str) -> list[str]:
    return [seen.title for seen in check.read(server.account(user)).folders[b"INBOX"].messages]


@pytest.mark.req("S-92")
def test_each_domain_is_a_batch_of_its_own_and_people_of_one_name_stay_two(
    servers: tuple[Dovecot, Dovecot], tmp_path: Path
) -> None:
    AllowedAddress.objects.create(host=HOST)
    rows = [
        Server.objects.create(name=name, host=HOST, port=server.imap, security="plain")
        for name, server in zip(("old", "new"), servers, strict=True)
    ]
    campaign = campaigns.create("the move", source=rows[0], target=rows[1], actor="test", recipe="secondary")
    listed = tmp_path / "list.tsv"
    lines = [f"anna\t{OLD['anna']}\t", f"bert\t{OLD['bert']}\t", f"anna-2\t{OLD['anna-2']}\tanna@third.test"]
    listed.write_text("\n".join(["Name\tPassword\tNewName", *lines]) + "\n")
    reading = Reading(target_domain="second.test")
    made = imports.take_in(campaign, listed, reading, cutting=Cutting(is_by_domain=True), actor="test").batches
    assert [batch.name for batch in made] == ["1 second.test", "2 third.test"]
    for batch, moved in zip(made, (["anna", "bert"], ["anna", "bert", "anna-2"]), strict=True):
        batches.start(batch, actor="test")
        Batch.objects.filter(pk=batch.pk).update(go_at=timezone.now())
        work_to_the_end()
        done = Account.objects.filter(state="done").order_by("pk").values_list("source_login", "target_login")
        assert list(done) == [(user, NEW[user]) for user in moved]
    assert {user: titles(servers[1], NEW[user]) for user in OLD} == {user: [f"of {user}"] for user in OLD}
