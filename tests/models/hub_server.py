"""A server on this machine that answers as the Hugging Face Hub's API does, for downloads and small
commits, over real HTTP; repositories are in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_of_a_test"


class Hub(BaseHTTPRequestHandler):
    """Answers from ``repos``: name → branch, tag or commit → file → bytes.

    Attributes:
        asked: method and path of each request.
    """

    protocol_version = "HTTP/1.1"
    repos: dict[str, dict[str, dict[str, bytes]]]
    asked: list[str]

    def do_GET(self):
        self.answer()

    do_HEAD = do_POST = do_GET

    def answer(self):
        self.asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0].strip("/")
        if path == "api/repos/create":
            return self.create(json.loads(body))
        if path == "api/validate-yaml":
            return self.json({"errors": [], "warnings": []})
        if found := re.fullmatch(r"api/models/([^/]+/[^/]+)(?:/(\w+)/(.+))?", path):
            return self.model(*found.groups(), body)
        if found := re.fullmatch(r"([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self.file(*found.groups())
        return self.json({"error": "not here"}, 404)

    def allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def create(self, asked):
        if not self.allowed():
            return self.json({"error": "Unauthorized"}, 401)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        known = name in self.repos
        self.repos.setdefault(name, {"main": {}})
        return self.json({"url": f"{self.home}/{name}", "id": name}, 409 if known else 200)

    def model(self, name, what, rest, body):
        if name not in self.repos:
            return self.json({"error": "Repository not found"}, 404, "RepoNotFound")
        branches = self.repos[name]
        if what == "branch":
            branches.setdefault(rest, dict(branches["main"]))
            return self.json({})
        files = self.at(name, rest or "main")
        if files is None:
            return self.json({"error": "Invalid rev id"}, 404, "RevisionNotFound")
        if what == "preupload":
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                     for f in json.loads(body)["files"]]  # fmt: skip
            return self.json({"files": modes})
        if what == "commit":
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    files[value["path"]] = base64.b64decode(value["content"])
            oid = self.sha(files)
            return self.json({"success": True, "commitOid": oid, "hookOutput": "",
                              "commitUrl": f"{self.home}/{name}/commit/{oid}"})  # fmt: skip
        if what == "tree":
            return self.json(
                [
                    {"type": "file", "path": f, "size": len(data), "oid": self.sha({f: data})}
                    for f, data in sorted(files.items())
                ]
            )
        siblings = [{"rfilename": f} for f in sorted(files)]
        return self.json({"id": name, "sha": self.sha(files), "siblings": siblings})

    def at(self, name, revision):
        branches = self.repos[name]
        if revision in branches:
            return branches[revision]
        return next((f for f in branches.values() if self.sha(f) == revision), None)

    def file(self, name, revision, file):
        files = self.at(name, revision) if name in self.repos else None
        if files is None or file not in files:
            return self.json({"error": "Entry not found"}, 404, "EntryNotFound")
        data = files[file]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", self.sha(files))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def json(self, answer, status=200, code=None):
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @staticmethod
    def sha(files) -> str:
        digest = hashlib.sha1()
        for name in sorted(files):
            digest.update(name.encode() + files[name])
        return digest.hexdigest()

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def log_message(self, *args):
        pass


@contextmanager
def serving() -> Iterator[tuple[str, type[Hub]]]:
    """The server's address and its repositories, as long as this is open."""
    handler = type("OwnHub", (Hub,), {"repos": {}, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()
