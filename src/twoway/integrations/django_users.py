"""Django's own users for proven callers; needs django.contrib.auth in INSTALLED_APPS.

AUTHENTICATION_BACKENDS = ["twoway.integrations.django_users.PeerBackend"]
MIDDLEWARE = [
    "twoway.integrations.django.PeerMiddleware",
    …,
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "twoway.integrations.django_users.PeerUserMiddleware",
]
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import sync_to_async
from cryptography.x509.oid import NameOID
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware
from django.utils.functional import SimpleLazyObject

from twoway.credential import attribute_of
from twoway.integrations.django import peer as peer_of
from twoway.trust import Peer


class PeerBackend(ModelBackend):
    """The Django user that belongs to a proven caller, as RemoteUserBackend does for REMOTE_USER.

    `username` says which: the common name, where there is exactly one, unless you override it. `create_unknown_user` makes users as they come;
    it is off, since a certificate alone need not mean an account.
    """

    create_unknown_user = False

    def username(self, peer: Peer) -> str | None:
        # Which of several common names is meant, readers do not agree about.
        names = attribute_of(peer.leaf.subject, NameOID.COMMON_NAME)
        return names[0] if len(names) == 1 else None

    def authenticate(self, request: Any, peer: Peer | None = None, **_: Any) -> Any:
        """The active user of this peer, or None. A password is never looked at."""
        if not isinstance(peer, Peer) or not (name := self.username(peer)):
            return None
        model: Any = auth.get_user_model()
        if self.create_unknown_user:
            user, _created = model._default_manager.get_or_create(**{model.USERNAME_FIELD: name})
        else:
            user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    async def aauthenticate(self, request: Any, peer: Peer | None = None, **more: Any) -> Any:
        """As authenticate. ModelBackend's own would look at the password."""
        return await sync_to_async(self.authenticate)(request, peer, **more)


@sync_and_async_middleware
def PeerUserMiddleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:  # noqa: N802
    """Makes `request.user` the user of `request.peer`, for this request only: no session outlives the proof.

    Whoever has no certificate, or no user, is AnonymousUser, whatever the session says.
    """

    def attach(request: HttpRequest) -> None:
        def user() -> Any:
            if not hasattr(request, "_twoway_user"):
                found = auth.authenticate(request, peer=peer_of(request))
                request._twoway_user = found or AnonymousUser()
            return request._twoway_user

        async def auser() -> Any:
            if not hasattr(request, "_twoway_user"):
                found = await auth.aauthenticate(request, peer=peer_of(request))
                request._twoway_user = found or AnonymousUser()
            return request._twoway_user

        request.user = SimpleLazyObject(user)
        request.auser = auser

    if iscoroutinefunction(get_response):

        async def later(request: HttpRequest) -> Any:
            attach(request)
            return await get_response(request)

        return later

    def now(request: HttpRequest) -> Any:
        attach(request)
        return get_response(request)

    return now
