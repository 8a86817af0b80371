"""Gradio's queue under a crowd that does not listen, on a real page."""

import json
import time
from collections import Counter

import gradio as gr
import httpx
import pytest

from demo.serving import queue_guard
from demo.serving.queue_guard import QueueGuard


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(queue_guard, "UNREAD", 0.5)
    monkeypatch.setattr(queue_guard, "UNREAD_EACH", 3)
    with gr.Blocks() as blocks:
        text = gr.Textbox()
        text.change(slow, text, text, api_name="slow")
    blocks.queue()
    blocks.launch(prevent_thread_lock=True, quiet=True)
    QueueGuard(blocks, Counter(listener=1), "batch")  # the gate would count its stream
    yield blocks
    blocks.close()


def slow(text: str) -> str:
    time.sleep(0.3)
    return text + "!"


def join(page: gr.Blocks, session: str) -> None:
    body = {"fn_index": 0, "data": [session], "session_hash": session}
    httpx.post(f"{page.local_api_url}queue/join", json=body).raise_for_status()


def answer(page: gr.Blocks, session: str) -> dict:
    url = f"{page.local_api_url}queue/data?session_hash={session}"
    with httpx.stream("GET", url, timeout=20) as stream:
        for line in stream.iter_lines():
            message = json.loads(line[5:]) if line.startswith("data:") else {}
            if message.get("msg") in ("process_completed", "unexpected_error"):
                return message
    raise AssertionError("the stream ended without an answer")


def test_forgetting_a_session_whose_event_runs_or_waits_leaves_the_queue_alive(page):
    for i in range(12):  # one runs, the others wait; all but three are forgotten
        join(page, f"crowd{i}")
    assert "crowd0" not in page._queue.pending_messages_per_session
    join(page, "listener")
    assert answer(page, "listener")["output"]["data"] == ["listener!"]
    assert not page._queue.stopped


def test_who_listens_too_late_is_told_and_not_left_waiting(page):
    for i in range(4):  # 1.2 s of work: the last is dropped after 0.5 s
        join(page, f"crowd{i}")
    time.sleep(1)
    late = answer(page, "crowd3")
    assert not late["success"] and "please ask again" in late["output"]["error"]


def test_an_answer_that_is_ready_waits_for_its_reader(page):
    join(page, "visitor")
    time.sleep(1.2)  # ready after 0.3 s; nobody has fetched it after 0.5 s
    assert answer(page, "visitor")["output"]["data"] == ["visitor!"]
