"""An S3 server on this machine, over real HTTP, that fails and dawdles as one in the cloud does."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip


class Shaky:
    """Moto's application, of which every 50th reading request fails and every 17th is slow.

    Attributes:
        asked: key → how often it was asked for.
        failed: how many requests failed.
        broken: endings of keys that never come.
        every: which request fails.
    """

    def __init__(self):
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._count = 0
        self.asked: Counter[str] = Counter()
        self.failed = 0
        self.broken: tuple[str, ...] = ()
        self.every = 50

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "GET":
            return self._app(environ, start_response)
        path = environ["PATH_INFO"]
        with self._lock:
            self._count += 1
            count = self._count
            self.asked[path] += 1
            fails = count % self.every == 0 or bool(self.broken and path.endswith(self.broken))
            self.failed += fails
        if count % 17 == 0:
            time.sleep(0.3)
        if fails:
            status = "503 Service Unavailable" if count % 100 else "500 Internal Server Error"
            start_response(status, [("Content-Type", "application/xml")])
            return [b"<Error><Code>InternalError</Code><Message>later</Message></Error>"]
        return self._app(environ, start_response)


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *args):
        pass


@contextmanager
def serving() -> Iterator[tuple[str, Shaky]]:
    """The server's address and what it does, as long as this is open."""
    shaky = Shaky()
    server = make_server("127.0.0.1", 0, shaky, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", shaky
    finally:
        server.shutdown()
        thread.join()


def bucket_with(address: str, files: dict[str, bytes], name: str = "shop") -> None:
    """Make a bucket and put files into it."""
    _client(address).create_bucket(Bucket=name)
    for key, data in files.items():
        put(address, key, data, name)


def put(address: str, key: str, data: bytes, name: str = "shop") -> None:
    """Put a file into a bucket."""
    _client(address).put_object(Bucket=name, Key=key, Body=data)


def _client(address: str):
    return boto3.client("s3", endpoint_url=address, aws_access_key_id="test",
                        aws_secret_access_key="test", region_name="us-east-1")  # fmt: skip
