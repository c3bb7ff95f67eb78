"""What requests may take of the API server, which Airflow's own pages and the heartbeats of all tasks need too.

A request about ClickHouse takes one of a few places, or is told at once to come back: it never waits in a queue. That
comes before everything else: the check of a login asks the metadata database in the event loop, and that of a right takes
one of the threads, so two hundred requests that are about to be refused would hold up Airflow's own for a second. Its work
is done in a thread of its own, never in one of those that Airflow's endpoints share. It is given a time (see
``ClickHouse``), and its queries are ended when its client is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio.to_thread
from fastapi import Depends, HTTPException, Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.settings import Settings

log = logging.getLogger(__name__)

LONGEST_BODY = 64 * 1024
RETRY_AFTER_SECONDS = 1
LOOK_SECONDS = 0.5


class Bounds:
    """ASGI middleware: a body is refused before it is read whole, and nobody keeps an answer that does not say so."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def receive_bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > LONGEST_BODY:
                raise HTTPException(413, f"The body is longer than {LONGEST_BODY} bytes.")
            return message

        async def send_unkept(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive_bounded, send_unkept)


class Places:
    """The requests about ClickHouse that this process is answering.

    :ivar available: WEB_ANALYTICS_API_MAX_REQUESTS as the last request has read it; before the first one its default.
    """

    def __init__(self) -> None:
        self.taken, self.available = 0, Settings.load({}).api_max_requests

    @contextmanager
    def one(self) -> Generator[None]:
        """A place until the work is done.

        :raises HTTPException: 503, all of them are taken.
        """
        if self.taken >= self.available:
            raise HTTPException(
                503,
                f"The API server is asking ClickHouse for {self.taken} requests already. Ask again in a moment.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


PLACES = Places()


async def _place() -> AsyncGenerator[None]:
    with PLACES.one():
        yield


# The first dependency of each endpoint that asks ClickHouse; a test fails for one where it is not. Given back before the
# answer is sent: who reads slowly keeps nobody else waiting.
Place = Depends(_place, scope="function")


def in_own_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a coroutine of a function that blocks; what has a place is run at once."""

    @functools.wraps(endpoint)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await _run(functools.partial(endpoint, *args, **kwargs))

    return run


async def _run(function: Callable[[], Any]) -> Any:
    # A limiter of this call's own: the default one is that of Airflow's endpoints.
    return await anyio.to_thread.run_sync(function, limiter=anyio.CapacityLimiter(1))


async def _gone(request: Request) -> None:
    # Not is_disconnected(): behind a BaseHTTPMiddleware, of which Airflow has some, that never finds out.
    while (await request.receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def ended_with_client(request: Request, clickhouse: ClickHouse) -> AsyncGenerator[None]:
    """Ends what a connection is asking as soon as nobody waits for the answer any more."""
    done, gone = asyncio.Event(), asyncio.create_task(_gone(request))

    async def end() -> None:
        await gone
        while not done.is_set():  # the endpoint may have a further question
            try:
                await _run(clickhouse.cancel_running_query)
            except Exception as error:
                # Whoever is gone need not be told; the query has an end of its own.
                log.warning("The query of a client that is gone could not be ended: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), LOOK_SECONDS)

    ending = asyncio.create_task(end())
    try:
        yield
    finally:
        done.set()
        gone.cancel()
        await asyncio.wait({ending})
