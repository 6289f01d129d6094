"""What is typed to plan a campaign: names and servers, the method, and when its batches begin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from campaigns.forms.base import PageForm, style_field
from campaigns.models import Batch, Campaign, Connector, Server
from campaigns.selectors.methods import METHODS, Method
from campaigns.services import batches
from campaigns.services.refusals import SENTENCES
from migrator.errors import Side
from migrator.stores import STORES
from migrator.transfer.verify import VerifyLevel

_PAST: Final = timedelta(minutes=2)  # somebody types "now", and sends a moment later


class MomentField(forms.DateTimeField):
    """A day and a time in the reader's zone."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        wrong = {"invalid": gettext_lazy("Enter a day and a time, as 2030-03-01 22:00.")}
        super().__init__(widget=widget, required=False, error_messages=wrong, **kwargs)

    def to_python(self, value: Any) -> datetime | None:
        """Refuse years in which nobody moves; near its ends a calendar cannot be counted in."""
        at = super().to_python(value)
        if at is not None and not 1970 <= at.year <= 2999:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return at


class _ServerField(forms.ModelChoiceField):  # type: ignore[type-arg]  # takes none at run time
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.path or obj.host})"


class _ConnectorField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


def _fit_for(side: Side) -> QuerySet[Server]:
    """Return the servers from which, or to which, mail can be moved."""
    kinds = [name for name, kind in STORES.items() if getattr(kind, side)]
    return Server.objects.filter(kind__in=kinds).order_by("name")


class ServersForm(PageForm):
    """Page one: what the campaign is called, from where and to where."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("As you speak of it, for example “University mail 2030”."),
        error_messages={"required": gettext_lazy("Give the campaign a name.")},
    )
    source = _ServerField(
        _fit_for(Side.SOURCE),
        label=gettext_lazy("Old server"),
        empty_label=gettext_lazy("Choose one"),
        help_text=gettext_lazy("Where the mail is now."),
        error_messages={"required": gettext_lazy("Choose the old server.")},
    )
    target = _ServerField(
        _fit_for(Side.TARGET),
        label=gettext_lazy("New server"),
        empty_label=gettext_lazy("Choose one"),
        help_text=gettext_lazy("Where it goes."),
        error_messages={"required": gettext_lazy("Choose the new server.")},
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("source") and found.get("source") == found.get("target"):
            self.add_error("target", gettext("Old and new are the same server. Choose another one."))
        return found


def _room(room: Connector.Room, label: Any, help_text: Any) -> _ConnectorField:
    return _ConnectorField(
        Connector.objects.filter(room=room).order_by("name"),
        required=False,
        label=label,
        empty_label=gettext_lazy("None"),
        help_text=help_text,
    )


class MethodForm(PageForm):
    """Page two: the method, the connections it uses, and the options, all with a default."""

    CONNECTIONS: Final = Campaign.CONNECTORS
    OPTIONS: Final = (
        "services",
        "verify_level",
        "catch_up_days",
        "catch_up_minutes",
        "refresh_hours",
        "copies_deleted",
    )

    method = forms.ChoiceField(
        label=gettext_lazy("Method"), choices=[(one.key, one.title) for one in METHODS], widget=forms.RadioSelect
    )
    source_directory = _room(
        Connector.Room.DIRECTORY,
        gettext_lazy("Directory of the old server"),
        gettext_lazy("Locks people on the old server while their last mail is copied."),
    )
    target_directory = _room(
        Connector.Room.DIRECTORY,
        gettext_lazy("Directory of the new server"),
        gettext_lazy("Opens them on the new one afterwards. The same directory may govern both."),
    )
    source_sessions = _room(
        Connector.Room.SESSIONS,
        gettext_lazy("Ending open sessions"),
        gettext_lazy("Without it, a mail program left open may show the old mailbox until it is restarted."),
    )
    route = _room(
        Connector.Room.ROUTE,
        gettext_lazy("Route"),
        gettext_lazy("Leads mail and mail programs to the new server. Without it somebody changes that by hand."),
    )
    target_sessions = _room(
        Connector.Room.SESSIONS,
        gettext_lazy("Ending open sessions on the new server"),
        gettext_lazy("Needed only where people work on the new server before their old mail is there."),
    )
    hold = _room(
        Connector.Room.HOLD,
        gettext_lazy("Hold for new mail"),
        gettext_lazy("Keeps new mail waiting while somebody is moved. Without it, mail goes on to the old server."),
    )
    population = _room(
        Connector.Room.POPULATION,
        gettext_lazy("Making accounts"),
        gettext_lazy("Makes mailboxes that are not on the new server yet. Without it they must be there before."),
    )
    publication = _room(
        Connector.Room.PUBLICATION,
        gettext_lazy("Publishing changes"),
        gettext_lazy("For servers that read a copy of the directory, and must be told of a change."),
    )
    services = forms.ChoiceField(
        label=gettext_lazy("What is refused while somebody is moved"),
        choices=[
            ("", gettext_lazy("As the method has it")),
            ("reading", gettext_lazy("Reading only: they can send meanwhile")),
            ("reading,sending", gettext_lazy("Reading and sending")),
        ],
        required=False,
        help_text=gettext_lazy("A directory that cannot refuse one without the other refuses both."),
    )
    verify_level = forms.ChoiceField(
        label=gettext_lazy("How both sides are compared"),
        choices=[
            (VerifyLevel.COUNTS.value, gettext_lazy("By number of messages")),
            (VerifyLevel.LEDGER.value, gettext_lazy("Message by message")),
            (VerifyLevel.DIGEST.value, gettext_lazy("Message by message, and their whole content")),
        ],
        initial=VerifyLevel.LEDGER.value,
        help_text=gettext_lazy("The deeper, the longer a night takes. Message by message is right for most."),
    )
    catch_up_days = forms.IntegerField(
        label=gettext_lazy("Bring late mail over for (days)"),
        min_value=0,
        max_value=3650,
        initial=7,
        help_text=gettext_lazy("After the move, what still arrives on the old server follows. 0: not at all."),
    )
    catch_up_minutes = forms.IntegerField(
        label=gettext_lazy("Look for late mail every (minutes)"),
        min_value=1,
        max_value=10_080,
        initial=30,
        help_text=gettext_lazy("Longer is kinder to the old server."),
    )
    refresh_hours = forms.IntegerField(
        label=gettext_lazy("Copy ahead again every (hours)"),
        min_value=0,
        max_value=8760,
        initial=24,
        help_text=gettext_lazy("Keeps the last changes few while people wait for their night. 0: never."),
    )
    copies_deleted = forms.BooleanField(
        label=gettext_lazy("Copy messages that are marked as deleted, too"),
        required=False,
        help_text=gettext_lazy("Most mail programs hide them; left off, they stay behind and are counted."),
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        chosen = self.chosen()
        if chosen and chosen.is_governed and not found.get("source_directory") and "source_directory" in found:
            self.add_error(
                "source_directory",
                gettext("This method locks people through a directory. Choose one, or a method without."),
            )
        return found

    @property
    def has_rare_connections(self) -> bool:
        """True when a connection is chosen that few need, or one of them has an error."""
        return any(self[name].value() or self[name].errors for name in ("target_sessions", "population", "publication"))

    def chosen(self) -> Method | None:
        """Return the method that is chosen."""
        key = self.cleaned_data.get("method") if hasattr(self, "cleaned_data") else None
        return next((one for one in METHODS if one.key == key), None)

    def options(self) -> dict[str, Any]:
        """Return the options of ``services.campaigns``. A method that locks nobody uses no directory."""
        found, chosen = self.cleaned_data, self.chosen()
        assert chosen is not None
        connections = {name: found[name] for name in self.CONNECTIONS}
        if not chosen.is_governed:
            connections |= dict.fromkeys(name for name in connections if name.endswith(("_directory", "_sessions")))
        options = {name: found[name] for name in self.OPTIONS}
        options["services"] = [one for one in found["services"].split(",") if one]
        return {"recipe": chosen.recipe, **connections, **options}


class SettingsForm(MethodForm):
    """Name, method and options of a campaign that is there."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        error_messages={"required": gettext_lazy("Give the campaign a name.")},
    )


class CopyForm(PageForm):
    """What a copy of a campaign is called."""

    name = forms.CharField(
        label=gettext_lazy("Name of the new campaign"),
        max_length=100,
        error_messages={"required": gettext_lazy("Give the campaign a name.")},
    )


class _TimesForm(PageForm):
    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        begins_at, ends_at = found.get("window_begins_at"), found.get("window_ends_at")
        if begins_at and ends_at and begins_at >= ends_at:
            self.add_error("window_ends_at", gettext("The window must end after it begins."))
        elif ends_at and ends_at < timezone.now() and "window_ends_at" in self.changed_data:
            self.add_error("window_ends_at", gettext("The window is over already. Choose a later end."))
        return found

    def _refuse_past(self, name: str, at: datetime | None) -> None:
        if at and at < timezone.now() - _PAST and name in self.changed_data:
            self.add_error(name, gettext("That time is over. Choose a later one, or none."))


_WINDOW_BEGINS: Final = {
    "label": gettext_lazy("Window begins"),
    "help_text": gettext_lazy("Nobody is moved before. Empty: as soon as you say go."),
}
_WINDOW_ENDS: Final = {
    "label": gettext_lazy("Window ends"),
    "help_text": gettext_lazy("No move begins after; who has begun is finished."),
}


class CuttingForm(_TimesForm):
    """How the accounts of a list are cut into batches, and when those begin."""

    size = forms.IntegerField(
        label=gettext_lazy("Accounts in a batch"), min_value=1, max_value=100_000, initial=batches.SIZE
    )
    is_by_domain = forms.BooleanField(
        label=gettext_lazy("Each domain in batches of its own"),
        required=False,
        help_text=gettext_lazy("The domain of the new name. Batches are called by it."),
    )
    begin = forms.ChoiceField(
        label=gettext_lazy("Begin to check and copy"),
        choices=[
            ("now", gettext_lazy("Now")),
            ("at", gettext_lazy("At the time below")),
            ("by_hand", gettext_lazy("When I press Start on its page")),
        ],
        initial="now",
    )
    starts_at = MomentField(label=gettext_lazy("Start time"))
    every_days = forms.IntegerField(
        label=gettext_lazy("Days between batches"),
        min_value=0,
        max_value=365,
        initial=0,
        help_text=gettext_lazy("Start and window of each next batch are so much later. 0: all at the same time."),
    )
    window_begins_at = MomentField(**_WINDOW_BEGINS)
    window_ends_at = MomentField(**_WINDOW_ENDS)
    canary = forms.IntegerField(
        label=gettext_lazy("First few"),
        min_value=0,
        max_value=1_000_000,
        initial=0,
        help_text=gettext_lazy("So many are moved first, then the batch waits for your word. 0: no wait."),
    )

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        if found.get("begin") == "at":
            if not found.get("starts_at") and "starts_at" not in self.errors:
                self.add_error("starts_at", gettext("Enter the time at which the first batch begins."))
            self._refuse_past("starts_at", found.get("starts_at"))
        return found

    @property
    def starts_now(self) -> bool:
        """True when the first batch is to be started at once."""
        return bool(self.cleaned_data["begin"] == "now")

    def timetable(self) -> batches.Timetable:
        """Return the timetable."""
        found = self.cleaned_data
        every = timedelta(days=found["every_days"]) if found["every_days"] else None
        starts_at = {"at": found["starts_at"], "now": timezone.now() if every else None, "by_hand": None}
        return batches.Timetable(starts_at[found["begin"]], found["window_begins_at"], found["window_ends_at"], every)


class BatchForm(_TimesForm):
    """Name, times and limits of one batch."""

    TIMES: Final = ("starts_at", "window_begins_at", "window_ends_at")

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        error_messages={"required": gettext_lazy("Give the batch a name.")},
    )
    starts_at = MomentField(
        label=gettext_lazy("Start time"),
        help_text=gettext_lazy("Then it begins to check and copy. Empty: when somebody presses Start."),
    )
    window_begins_at = MomentField(**_WINDOW_BEGINS)
    window_ends_at = MomentField(**_WINDOW_ENDS)

    is_together = forms.BooleanField(
        label=gettext_lazy("All together"),
        required=False,
        help_text=gettext_lazy(
            "Everybody takes a step before anybody takes the next: for servers that are locked or held as a whole. "
            "Left off, each person is moved by themselves, which locks them out for the shortest time."
        ),
    )
    is_stepwise = forms.BooleanField(
        label=gettext_lazy("Wait for a word before each step"),
        required=False,
        help_text=gettext_lazy("Only together: the batch pauses between its steps until somebody lets it go on."),
    )

    def __init__(self, *args: Any, batch: Batch, **kwargs: Any) -> None:
        shown = ("name", *self.TIMES, *batches.LIMITS, *batches.MODES)
        initial = {name: getattr(batch, name) for name in shown}
        super().__init__(*args, initial=initial, **kwargs)
        for name, (label, help_text) in LIMIT_WORDS.items():
            lowest, highest = batches.LIMITS[name]
            field = forms.IntegerField(label=label, help_text=help_text, min_value=lowest, max_value=highest)
            style_field(field)
            self.fields[name] = field
        if batch.started_at is not None:
            del self.fields["starts_at"]

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        self._refuse_past("starts_at", found.get("starts_at"))
        if found.get("is_stepwise") and not found.get("is_together"):
            self.add_error("is_stepwise", gettext(SENTENCES["batch.modes"]))
        return found

    def modes(self) -> dict[str, bool]:
        """Return the modes of ``services.batches``."""
        return {name: self.cleaned_data[name] for name in batches.MODES}

    def timetable(self, batch: Batch) -> batches.Timetable:
        """Return the times, as they were where the form does not ask."""
        return batches.Timetable(*(self.cleaned_data.get(name, getattr(batch, name)) for name in self.TIMES))

    def limits(self) -> dict[str, int]:
        """Return the limits of ``services.batches``."""
        return {name: self.cleaned_data[name] for name in batches.LIMITS}


LIMIT_WORDS: Final = {
    "canary": (
        gettext_lazy("First few"),
        gettext_lazy("So many are moved first, then the batch waits for your word. 0: no wait."),
    ),
    "parallel_cutovers": (
        gettext_lazy("Moved at the same time"),
        gettext_lazy("How many people are locked and moved at once. More is faster for all and slower for each."),
    ),
    "stop_at_failed_percent": (
        gettext_lazy("Stop when so many are not moved (percent)"),
        gettext_lazy("The batch pauses itself before a fault reaches everybody."),
    ),
    "cutover_seconds": (
        gettext_lazy("Longest lock of one person (seconds)"),
        gettext_lazy("Who is not through by then goes back to the old server, before anything was switched."),
    ),
    "ready_messages": (
        gettext_lazy("Copied ahead when fewer new messages than"),
        gettext_lazy("The last rounds of copying must bring less than this, so that the lock is short."),
    ),
    "ready_seconds": (
        gettext_lazy("… and a round takes less than (seconds)"),
        gettext_lazy("Both must hold before somebody counts as copied ahead."),
    ),
    "max_attempts": (
        gettext_lazy("Tries before somebody is asked"),
        gettext_lazy("What may pass by itself is tried again so often."),
    ),
}


class SplitForm(PageForm):
    """Into what size a batch is cut."""

    size = forms.IntegerField(
        label=gettext_lazy("Accounts in a batch"),
        min_value=1,
        max_value=100_000,
        help_text=gettext_lazy("The first ones stay in this batch, the others go into new ones of this size."),
        error_messages={"required": gettext_lazy("Enter how many accounts a batch shall have.")},
    )


def refused(form: forms.Form, sentence: str, field: str | None = None) -> None:
    """Put what a service has refused where the page shows it."""
    form.add_error(field, ValidationError(sentence))
