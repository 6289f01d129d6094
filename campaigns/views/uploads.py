"""Bounds of what is sent to the panel, and the page for what is beyond them."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext

from campaigns.services import lists

_TOO_LONG: Final = "mailferry.file_too_long"


class Bounded(FileUploadHandler):
    """Stops keeping a file that is longer than any list; the page that asked for it says so."""

    received = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        self.received = 0
        super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        self.received += len(raw_data)
        if self.received > lists.MOST_OCTETS and self.request is not None:
            self.request.META[_TOO_LONG] = True
            raise StopUpload(connection_reset=False)
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Leave the file to the handlers after this one."""


def was_too_long(request: HttpRequest) -> bool:
    """True when a file was sent that is longer than any list."""
    return bool(request.META.get(_TOO_LONG))


def too_large(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say what cannot be taken: more than may be pasted, or a request that makes no sense."""
    if isinstance(exception, RequestDataTooBig):
        told = gettext("That is more than can be pasted. Save the list as a file, and upload it.")
        return render(request, "400.html", {"told": told}, status=413)
    return render(request, "400.html", {"told": gettext("Go back and try again.")}, status=400)
