"""What a listener has loaded, with what keeps it current: made, tried and replaced as one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from twoway.gateway.checks import Checks
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
        self.checks = [Checks(one) for one in (options, *(inner for _, inner in options.names))]
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
