"""A visitor's share of Gradio's queue: bounds on what waits, an end to what nobody waits for."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import gradio as gr
from gradio.server_messages import ProcessCompletedMessage

BATCHES, BATCHES_EACH = 8, 2
"""Batches that may wait, in all and of one address."""

EVENTS_EACH = 128
"""Other events of one address that may wait."""

UNREAD_EACH = 48
"""Sessions of one address whose answers may lie unread; over them the oldest are forgotten."""

UNREAD = 15.0
"""Seconds after which an event in the queue is dropped where nobody listens."""

FORGET = 60.0
"""Seconds after which all answers that nobody has fetched are forgotten."""


class QueueGuard:
    """Stands before ``push`` of a page's queue, which no setting of Gradio's bounds by visitor.

    Args:
        page: whose queue it is; ``page.queue(…)`` must have been called.
        reading: number of open streams by session, as :class:`demo.serving.gate.Gate` counts them.
        batch: the concurrency id of batches.
    """

    def __init__(self, page: gr.Blocks, reading: Counter[str], batch: str):
        self.page, self.reading, self.batch = page, reading, batch
        self.queue = page._queue
        self._push = self.queue.push
        self._owners: dict[str, tuple[str, float]] = {}  # session → address, time of its last event
        self._tasks: set[asyncio.Task] = set()  # asyncio itself keeps only weak references
        self._swept = time.monotonic()
        self.queue.push = self.push  # type: ignore[method-assign]

    @property
    def in_place(self) -> bool:
        """Whether the page still asks here."""
        return self.page._queue.push == self.push

    async def push(self, body: Any, request: Any, username: str | None):
        """As ``Queue.push``: (whether it is accepted, event id or sentence, state)."""
        if time.monotonic() - self._swept > FORGET / 3:  # here: the queue belongs to this thread
            await self.sweep()
        address = request.client.host if request.client else ""
        fn = self.page.fns.get(body.fn_index)
        if fn is None:
            return False, "There is no such event.", "error"
        if problem := self._full(address, fn.concurrency_id):
            return False, problem, "queue_full"
        done, event_id, state = await self._push(body=body, request=request, username=username)
        if done and isinstance(event_id, str):
            session = body.session_hash or event_id
            self._owners.pop(session, None)  # to the end: they are in the order of their last event
            self._owners[session] = (address, time.monotonic())
            task = asyncio.create_task(self._drop_unread(session, event_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await self._make_room(address)
        return done, event_id, state

    def listens(self, session: str | None) -> bool:
        """Whether somebody reads the answers of a session."""
        return bool(session) and self.reading[session] > 0  # type: ignore[index]

    async def sweep(self) -> None:
        """Forget the answers that nobody has fetched in :data:`FORGET` seconds."""
        now = self._swept = time.monotonic()
        for session, (_, last) in list(self._owners.items()):
            if now - last > FORGET and not self.listens(session):
                await self._forget(session)

    async def _make_room(self, address: str) -> None:
        """Forget the oldest unread answers of an address that has too many of them."""
        pending = self.queue.pending_event_ids_session
        unread = [
            session
            for session, (owner, _) in self._owners.items()
            if owner == address and pending.get(session) and not self.listens(session)
        ]
        for session in unread[:-UNREAD_EACH]:
            await self._forget(session)

    async def _forget(self, session: str) -> None:
        """Gradio keeps up to 2,000 sessions' answers, however large, for ever."""
        self._owners.pop(session, None)
        # First: an event that is alive and has no session ends the queue's loop with a KeyError.
        await self.queue.clean_events(session_hash=session)
        if session in self.queue.pending_messages_per_session:
            del self.queue.pending_messages_per_session[session]
        for event in self.queue.pending_event_ids_session.pop(session, set()):
            self.queue.event_ids_to_events.pop(event, None)

    def _full(self, address: str, concurrency_id: str) -> str:
        """Why an event is not taken; '' where it is."""
        waiting = self.queue.event_queue_per_concurrency_id.get(concurrency_id)
        if concurrency_id == self.batch and waiting is not None:
            mine = sum(_host(event) == address for event in waiting.queue)
            if mine >= BATCHES_EACH or len(waiting.queue) >= BATCHES:
                return "Too many batches are waiting; please try again when yours is done."
        queues = self.queue.event_queue_per_concurrency_id.items()
        mine = sum(
            _host(event) == address for i, q in queues if i != self.batch for event in q.queue
        )
        if concurrency_id != self.batch and mine >= EVENTS_EACH:
            return "Too many requests of yours are waiting; please try again in a few seconds."
        return ""

    async def _drop_unread(self, session: str, event_id: str) -> None:
        await asyncio.sleep(UNREAD)
        if self.listens(session) or not self._undone(event_id):
            return
        await self.queue.clean_events(event_id=event_id)
        messages = self.queue.pending_messages_per_session.get(session)
        if messages is not None:  # who comes to read it yet is not left waiting
            late = {"error": "Nobody waited for this answer; please ask again."}
            message = ProcessCompletedMessage(output=late, success=False)
            message.event_id = event_id
            messages.put_nowait(message)

    def _undone(self, event_id: str) -> bool:
        """Whether an event waits or is worked on."""
        waiting = [q.queue for q in self.queue.event_queue_per_concurrency_id.values()]
        running = [job for job in self.queue.active_jobs if job]
        return any(event._id == event_id for events in [*waiting, *running] for event in events)


def _host(event: Any) -> str:
    client = event.request.client
    return client.host if client else ""
