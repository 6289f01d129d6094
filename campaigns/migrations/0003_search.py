from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from django.db import migrations, models

_ROWS_AT_ONCE = 500
_LONGEST = 255
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"})


def words_of(text: str) -> list[str]:
    """Return the words of a text as they were looked up when this migration was written."""
    decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_LETTERS)
    words = []
    for piece in "".join(sign for sign in decomposed if not unicodedata.combining(sign)).split():
        parts = re.findall(r"[^\W_]+", piece)
        words += parts if len(parts) < 2 else [*(part for part in parts if len(part) > 1), "".join(parts)]
    return [word[:_LONGEST] for word in words]


def derived(display_name: str, department: str, phone: str, logins: Iterable[str], addresses: Iterable[str]) -> Any:
    """Return the names, each as kind and value, that were not stored before."""
    words = [word for text in (display_name, department) for word in words_of(text)]
    words += [word for login in logins for word in words_of(login.partition("@")[0])]
    parts = [word for address in addresses for word in words_of(address.partition("@")[0])]
    pairs = [("word", word) for word in words] + [("part", word) for word in parts if word not in words]
    return dict.fromkeys([*pairs, ("tail", re.sub(r"\D", "", phone)[:_LONGEST][::-1])])


def write_words(apps: Any, _schema_editor: Any) -> None:
    """Give accounts that were imported before the single words by which they are found."""
    accounts, rows = apps.get_model("campaigns", "Account"), apps.get_model("campaigns", "AccountName")
    columns = ("pk", "display_name", "department", "phone", "source_login", "target_login")
    after, found = 0, list(accounts.objects.order_by("pk").values_list(*columns)[:_ROWS_AT_ONCE])
    while found:
        keys = [row[0] for row in found]
        addresses: dict[int, list[str]] = {}
        stored = rows.objects.filter(kind="address", account__in=keys)
        for key, value in stored.values_list("account_id", "value"):
            addresses.setdefault(key, []).append(value)
        fresh = []
        for key, display_name, department, phone, *logins in found:
            pairs = derived(display_name, department, phone, logins, addresses.get(key, ()))
            fresh += [rows(account_id=key, kind=kind, value=value) for kind, value in pairs if value]
        rows.objects.bulk_create(fresh, batch_size=_ROWS_AT_ONCE, ignore_conflicts=True)
        after = keys[-1]
        found = list(accounts.objects.filter(pk__gt=after).order_by("pk").values_list(*columns)[:_ROWS_AT_ONCE])


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0002_folder_rules"),
    ]

    operations = [
        migrations.AddField(
            model_name="account",
            name="told_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="accountname",
            name="value",
            field=models.CharField(max_length=255),
        ),
        migrations.AddIndex(
            model_name="account",
            index=models.Index(fields=["told_at"], condition=models.Q(("told_at__isnull", False)), name="account_told"),
        ),
        migrations.AddIndex(
            model_name="accountname",
            index=models.Index(
                fields=["value", "kind", "account"],
                name="account_name_beginning",
                opclasses=("varchar_pattern_ops", "varchar_pattern_ops", "int8_ops"),
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["at"], name="event_at"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                fields=["id"], condition=models.Q(("account__isnull", True)), name="event_without_account"
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["id"], condition=models.Q(("actor__isnull", False)), name="event_of_people"),
        ),
        migrations.RunPython(write_words, migrations.RunPython.noop),
    ]
