"""Which page answers which address. Each family of pages lists its own, as the JSON does."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, URLResolver, include, path

from campaigns.views import (
    account,
    after,
    alarms,
    batch,
    batch_ldif,
    batch_news,
    batch_proof,
    batch_survey,
    batches,
    beforehand,
    by_hand,
    campaign_list,
    campaign_new,
    campaign_steps,
    connectors,
    copying,
    dashboard,
    demo,
    lists,
    log,
    night,
    people,
    proof,
    reader,
    returning,
    servers,
    sign_in,
    staff,
)
from campaigns.views.first_link import choose_password, open_link
from campaigns.views.health import health
from campaigns.views.home import home
from campaigns.views.metrics import metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home, name="home"),
    path("first", choose_password, name="choose_password"),
    path("first/<str:token>", open_link, name="open_link"),
    path("healthz", health, name="health"),
    path("metrics", metrics, name="metrics"),
    path("api/", include("campaigns.api")),
    *sign_in.urlpatterns,
    *reader.urlpatterns,
    *demo.urlpatterns,
    *dashboard.urlpatterns,
    *people.urlpatterns,
    *log.urlpatterns,
    *servers.urlpatterns,
    *connectors.urlpatterns,
    *copying.urlpatterns,
    *staff.urlpatterns,
    *proof.urlpatterns,
    *campaign_list.urlpatterns,
    *campaign_steps.urlpatterns,
    *campaign_new.urlpatterns,
    *lists.urlpatterns,
    *batches.urlpatterns,
    *batch.urlpatterns,
    *batch_ldif.urlpatterns,
    *batch_news.urlpatterns,
    *batch_proof.urlpatterns,
    *batch_survey.urlpatterns,
    *night.urlpatterns,
    *alarms.urlpatterns,
    *by_hand.urlpatterns,
    *beforehand.urlpatterns,
    *returning.urlpatterns,
    *after.urlpatterns,
    *account.urlpatterns,
]

handler400: Final = "campaigns.views.uploads.too_large"
handler429: Final = "campaigns.views.sign_in.too_many"
