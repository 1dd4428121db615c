"""What a listener has loaded, with what keeps it current: made, tried and replaced as one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from twoway.gateway.checks import Checks, Shared
from twoway.gateway.options import ListenerOptions
from twoway.tls import ClientSettings, LiveClient, LiveServer, ServerSettings
from twoway.tls.recorder import Recorder


class Material:
    """One listener's contexts, generation by generation; loaded and reloaded in whichever thread asks.

    `checks` has one entry for the listener itself and one for each of its names: what is fetched for it outlives
    a generation. Made only of what loads: raises ConfigError.
    """

    def __init__(self, options: ListenerOptions) -> None:
        self._options = options
        shared = Shared()
        self.checks = [Checks(one, shared) for one in (options, *(inner for _, inner in options.names))]
        for one in self.checks:
            one.prepare()
        self.recorder = Recorder(Path(options.record)) if options.record is not None else None
        prepare = self.recorder.prepare if self.recorder is not None else None
        self.server = LiveServer(self._server_settings(), prepare) if options.tls_in else None
        for one in self.checks:
            one.first_staple()
        self.client = LiveClient(self._client_settings()) if options.tls_out else None
        self.shadow = options.shadow_policy()
        self.via = options.proxy()

    @property
    def number(self) -> int:
        """The generation in force."""
        if self.server is not None:
            return self.server.current.number
        assert self.client is not None
        return self.client.current.generation

    def revocation(self) -> dict[str, list[dict[str, Any]]]:
        """What is known of lists, answers and staples, each told once, ready for JSON."""
        told: dict[str, list[dict[str, Any]]] = {"crls": [], "ocsp": [], "staples": [], "crl_fetches": []}
        seen: set[object] = set()
        for one in self.checks:
            found = {
                "crls": one.lists(),
                "ocsp": one.answers() if one.inquiry not in seen else (),
                "staples": one.staples(),
                "crl_fetches": one.fetches(without=seen),
            }
            for key, rows in found.items():
                told[key] += [row for row in rows if row not in told[key]]
            seen |= {one.inquiry, *one.sources}
        return told

    def reload(self) -> None:
        """Build and try everything anew; raises ConfigError and leaves what was."""
        shadow, via = self._options.shadow_policy(), self._options.proxy()
        client = self._client_settings() if self.client is not None else None
        if self.server is not None:
            self.server.reload(self._server_settings)
        if self.client is not None and client is not None:
            settings = client
            self.client.reload(lambda: settings)
        self.shadow, self.via = shadow, via

    def _server_settings(self) -> ServerSettings:
        names = tuple(
            (name, checks.server_settings())
            for (name, _), checks in zip(self._options.names, self.checks[1:], strict=True)
        )
        settings = self.checks[0].server_settings()
        return dataclasses.replace(settings, names=names, unknown_names=self._options.unknown_name)

    def _client_settings(self) -> ClientSettings:
        return self.checks[0].client_settings()
