"""Keys and a registry for tests of attestations. The registry keeps what is pushed, and lists referrers as zot does."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.registries import Exchange, Site, needed, site

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PASSWORD = "correct horse"


def openssl(*arguments: str) -> None:
    subprocess.run([needed("openssl"), *arguments], check=True, capture_output=True)


def make_keys(folder: Path, kind: str, *, password: str | None = None) -> tuple[Path, Path]:
    """A private key and its public half, by openssl; ``kind`` is ``ed25519`` or ``ec``."""
    private, public = folder / f"{kind}.key", folder / f"{kind}.pub"
    wanted = (
        ["-algorithm", "ed25519"] if kind == "ed25519" else ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    )
    locked = ["-aes-256-cbc", "-pass", f"pass:{password}"] if password else []
    openssl("genpkey", *wanted, *locked, "-out", str(private))
    opened = ["-passin", f"pass:{password}"] if password else []
    openssl("pkey", "-in", str(private), *opened, "-pubout", "-out", str(public))
    return private, public


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Shelf:
    """What the registry has, and how it behaves.

    ``lists`` is whether it has the referrers interface; ``page`` how many it lists at a time; ``at_once`` whether it
    takes a blob in one request; ``place`` makes the Location of an upload; ``checks`` whether If-Match means something.
    """

    lists: bool = True
    page: int = 2
    at_once: bool = True
    checks: bool = False
    place: str = "/v2/team/app/blobs/uploads/{id}?_state=a%2Fb"
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pieces: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, manifest: dict[str, Any], tag: str | None = None) -> str:
        data = json.dumps(manifest).encode()
        digest = sha256(data)
        self.manifests[digest] = data
        if tag:
            self.tags[tag] = digest
        return digest

    def put_image(self) -> str:
        """A manifest with a configuration and no layer, under the tag ``1``."""
        config = json.dumps(
            {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
        ).encode()
        self.blobs[sha256(config)] = config
        kind = "application/vnd.oci.image.config.v1+json"
        described = {"mediaType": kind, "digest": sha256(config), "size": len(config)}
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": []}
        return self.put(manifest, "1")

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        found = []
        for own, data in self.manifests.items():
            said = json.loads(data)
            if said.get("subject", {}).get("digest") == digest:
                kept = {key: said[key] for key in ("artifactType", "annotations") if key in said}
                found.append({"mediaType": said["mediaType"], "digest": own, "size": len(data), **kept})
        return found

    def respond(self, exchange: Exchange) -> None:
        with self.lock:
            self._respond(exchange)

    def _respond(self, exchange: Exchange) -> None:
        seen = exchange.seen
        path = seen.path.removeprefix("/v2/team/app/")
        head, _, rest = path.partition("/")
        if seen.path == "/v2/":
            exchange.send(200, b"{}")
        elif head == "referrers" and self.lists:
            self._list(exchange, rest)
        elif head == "manifests" and seen.method == "PUT":
            self._keep(exchange, rest)
        elif head == "manifests" and (data := self.manifests.get(self.tags.get(rest, rest))) is not None:
            exchange.send(200, data, Content_Type=json.loads(data)["mediaType"], ETag=f'"{sha256(data)}"')
        elif head == "blobs" and seen.method in ("POST", "PUT", "PATCH"):
            self._upload(exchange, rest)
        elif head == "blobs" and rest in self.blobs:
            exchange.send(200, self.blobs[rest] if seen.method == "GET" else b"")
        else:
            exchange.send(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')

    def _list(self, exchange: Exchange, digest: str) -> None:
        start = int(exchange.seen.query.get("last", ["0"])[0])
        lines = self.referrers(digest)
        more = {}
        if start + self.page < len(lines):
            more["Link"] = f'</v2/team/app/referrers/{digest}?last={start + self.page}>; rel="next"'
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": lines[start : start + self.page]}
        exchange.send(
            200, json.dumps(body).encode(), Content_Type=OCI_INDEX, OCI_Filters_Applied="artifactType", **more
        )

    def _keep(self, exchange: Exchange, wanted: str) -> None:
        data, headers = exchange.seen.body, exchange.seen.headers
        there = self.tags.get(wanted)
        unmet = ("if-match" in headers and headers["if-match"] != f'"{there}"') or (
            "if-none-match" in headers and there
        )
        if self.checks and unmet:
            self.refused += 1
            exchange.send(412)
            return
        digest = sha256(data)
        self.manifests[digest] = data
        if not wanted.startswith("sha256:"):
            self.tags[wanted] = digest
        subject = json.loads(data).get("subject")
        handled = {"OCI_Subject": subject["digest"]} if subject and self.lists else {}
        exchange.send(201, Location=f"/v2/team/app/manifests/{digest}", **handled)

    def _upload(self, exchange: Exchange, rest: str) -> None:
        seen = exchange.seen
        upload = rest.rpartition("/")[2]
        if seen.method == "POST":
            exchange.send(202, Location=self.place.format(id=f"u{len(self.pieces)}"))
            self.pieces[f"u{len(self.pieces)}"] = b""
        elif seen.query.get("_state") != ["a/b"] or upload not in self.pieces:
            exchange.send(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
        elif seen.method == "PATCH":
            assert re.fullmatch(r"0-\d+", seen.headers["content-range"])
            self.pieces[upload] += seen.body
            exchange.send(202, Location=self.place.format(id=upload))
        elif seen.body and not self.at_once:
            exchange.send(400, b'{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}')
        else:
            data = self.pieces[upload] + seen.body
            assert seen.query["digest"] == [sha256(data)]
            self.blobs[sha256(data)] = data
            exchange.send(201, Location="/somewhere")


@contextlib.contextmanager
def registry_of(shelf: Shelf) -> Iterator[Site]:
    """The shelf as a registry with the repository ``team/app``."""
    with site(shelf.respond) as running:
        yield running
