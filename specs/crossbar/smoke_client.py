"""Smoke test: join a router, subscribe and publish, register and call, leave; once for each serializer.

Run by the installed stack's own interpreter: ``smoke_client.py ws://127.0.0.1:8080/ realm1 cbor json``.
It exits with 0 only when every serializer did all of it.
"""

from __future__ import annotations

import sys
from typing import Any

from autobahn.twisted.component import Component
from autobahn.wamp.types import PublishOptions
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import react

PREFIX = "com.example.smoke."
SECONDS = 60


def talk(reactor: Any, url: str, realm: str, serializer: str) -> Any:
    """Return a Deferred that fails unless the whole conversation was had."""
    transport = {"type": "websocket", "url": url, "serializers": [serializer], "max_retries": 10}
    component = Component(transports=[transport], realm=realm)
    finished = []

    @component.on_join
    @inlineCallbacks
    def joined(session: Any, details: Any) -> Any:
        # A router that silently fell back to another serializer would make this test pass in vain.
        assert details.serializer == serializer, details.serializer
        event: Any = Deferred()
        yield session.subscribe(event.callback, PREFIX + "topic")
        yield session.register(lambda a, b: a + b, PREFIX + "add")
        total = yield session.call(PREFIX + "add", 2, 3)
        options = PublishOptions(acknowledge=True, exclude_me=False)
        yield session.publish(PREFIX + "topic", {"text": "häß", "number": 7}, options=options)
        received = yield event
        assert (total, received) == (5, {"text": "häß", "number": 7}), (total, received)
        finished.append(serializer)
        yield session.leave()

    def check(result: Any) -> None:
        if not finished:
            raise RuntimeError(f"{serializer}: {result}")
        print("ok", serializer, flush=True)

    return component.start(reactor).addTimeout(SECONDS, reactor).addBoth(check)


@inlineCallbacks
def main(reactor: Any, url: str, realm: str, *serializers: str) -> Any:
    """Have the conversations one after the other."""
    for serializer in serializers:
        yield talk(reactor, url, realm, serializer)


# autobahn's own run() exits with 0 even when it never connected; react() does not.
react(main, sys.argv[1:])
