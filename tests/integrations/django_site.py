"""A Django project of the tests, in one file, with users in a database."""

from __future__ import annotations

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    SECRET_KEY="of the tests",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost"],
    TWOWAY_OPTIONAL=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "file:twoway-tests?mode=memory&cache=shared",
            "OPTIONS": {"uri": True},
        }
    },
    MIDDLEWARE=[
        "twoway.integrations.django.PeerMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "twoway.integrations.django_users.PeerUserMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["twoway.integrations.django_users.PeerBackend"],
)
django.setup()

from twoway.integrations.django import allow  # noqa: E402 - Django wants its settings first


def who(request: HttpRequest) -> JsonResponse:
    found = request.peer  # type: ignore[attr-defined]
    return JsonResponse({"by": found.describe() if found else None})


def user(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"user": request.user.get_username(), "known": request.user.is_authenticated})


async def user_later(request: HttpRequest) -> JsonResponse:
    found = await request.auser()
    return JsonResponse({"user": found.get_username(), "known": found.is_authenticated})


@allow(cn="orders")
def guarded(request: HttpRequest) -> JsonResponse:
    return JsonResponse({})


@allow(cn="orders")
async def guarded_later(request: HttpRequest) -> JsonResponse:
    await sync_to_async(lambda: None)()
    return JsonResponse({})


urlpatterns = [
    path("who", who),
    path("user", user),
    path("user-later", user_later),
    path("guarded", guarded),
    path("guarded-later", guarded_later),
]
