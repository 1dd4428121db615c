"""Orders on Django, in one file; `app` is for WSGI, `asgi_app` for ASGI.

Run it: twoway serve django_orders:app --identity api
"""

import json

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost", "api.acme.example"],
    MIDDLEWARE=["twoway.integrations.django.PeerMiddleware"],
)

from twoway.integrations.django import allow  # noqa: E402 - Django wants its settings first


def who(request):
    return JsonResponse({"by": request.peer.describe()})


@allow(cn="orders")
def update(request):
    order = json.loads(request.body)
    return JsonResponse({"order_id": order["order_id"], "by": request.peer.describe()})


urlpatterns = [path("who", who), path("order/update", update)]
app = get_wsgi_application()
asgi_app = get_asgi_application()
