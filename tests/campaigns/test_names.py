"""The forms in which names are stored and looked up."""

from __future__ import annotations

import importlib

import pytest
from django.apps import apps

from campaigns.models import Account, AccountName
from campaigns.services import names
from tests.campaigns.factories import make_account


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Maria Garcia", ["maria", "garcia"]),
        ("Søren  Østergård-Łukasz", ["soren", "ostergard", "lukasz", "ostergardlukasz"]),
        ("O'Brien", ["brien", "obrien"]),
        ("m.garcia", ["garcia", "mgarcia"]),
        ("Straße", ["strasse"]),
        ("陈伟", ["陈伟"]),
        (" .. ", []),
        ("", []),
    ],
)
def test_a_text_is_taken_apart_into_words_without_capitals_accents_and_signs(text: str, words: list[str]) -> None:
    assert names.words_of(text) == words


def test_an_account_has_each_of_its_names_once() -> None:
    account = Account(
        source_login="M.Garcia@x.test", target_login="m.garcia@x.test", display_name="Maria Garcia",
        department="Physics", phone="+1 (555) 2-4417",
    )  # fmt: skip
    rows = {(row.kind, row.value) for row in names.rows_of(account, ["Maria.G@x.test"])}
    assert rows == {
        ("login", "m.garcia@x.test"), ("address", "maria.g@x.test"), ("name", "maria garcia"),
        ("phone", "155524417"), ("tail", "714425551"), ("word", "maria"), ("word", "garcia"), ("word", "physics"),
        ("word", "mgarcia"), ("part", "mariag"),
    }  # fmt: skip


def test_what_is_too_long_for_its_column_is_cut_off() -> None:
    account = Account(source_login="x" * 255, target_login="y", display_name="z" * 255, phone="1" * 64)
    assert max(len(row.value) for row in names.rows_of(account, ["a" * 300])) == names.LONGEST


@pytest.mark.django_db
def test_accounts_of_before_get_the_words_that_new_ones_have() -> None:
    account = make_account(display_name="Søren O'Brien", department="Law", phone="2-4417")
    also = ["info.desk@x.test"]
    rows = names.rows_of(account, also)
    fresh = {(row.kind, row.value) for row in rows if row.kind in (names.WORD, names.PART, names.TAIL)}
    AccountName.objects.bulk_create(row for row in rows if (row.kind, row.value) not in fresh)
    importlib.import_module("campaigns.migrations.0003_search").write_words(apps, None)
    assert fresh <= {*AccountName.objects.filter(account=account).values_list("kind", "value")}
    assert AccountName.objects.filter(account=account).count() == len(rows)
