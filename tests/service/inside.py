"""The service within the process of a test: its application is asked directly, what it works with is at hand."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from scanner.config import gather
from scanner.report import Report
from scanner.results import states
from scanner.results.database import Database
from scanner.results.keeping import Basis, keep
from scanner.service import jobs
from scanner.service.api import Service, application
from scanner.service.carrier import Carrier
from scanner.service.jobs import Job, State, content_of
from scanner.service.metrics import Metrics
from scanner.service.tokens import tokens_of
from scanner.serving import serving_of


@dataclass(kw_only=True)
class Inside:
    """A service and its application."""

    service: Service
    app: FastAPI

    def ask(self, path: str, body: Any = None, *, method: str | None = None, **headers: str) -> httpx.Response:
        """One request; every answer is an answer."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
                sent = {name.replace("_", "-"): value for name, value in headers.items()}
                how = method or ("GET" if body is None else "POST")
                return await client.request(how, path, content=content, headers=sent)

        return asyncio.run(ask())

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        return jobs.listed(self.service.database, states=list(State), most=1000)

    def keep(self, *reports: Report, digest: str, circumstances: str | None = None) -> list[int]:
        """Reports of a digest, of the circumstances of now unless others are said; their ids."""
        circumstances = circumstances or self.service.circumstances()
        content = content_of(digest, circumstances)
        terms, serial = states.parted(circumstances)
        basis = Basis(asked=digest, terms=terms, serial=serial)
        with self.service.database.writing() as connection:
            return keep(connection, reports, content=content, basis=basis)


@contextmanager
def inside(
    folder: Path, *, top: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None, **section: Any
) -> Iterator[Inside]:
    """A service on SQLite, without workers."""
    file = folder / "cgscan.yaml"
    file.write_text(json.dumps({**(top or {}), "serve": {"folder": str(folder / "data"), **section}}))
    settings = gather({"config": str(file)}, {"HOME": str(folder)})
    serving = serving_of(file, {"HOME": str(folder)})
    path = folder / "cgscan.sqlite"
    path.write_bytes(_empty())
    database = Database(f"sqlite:///{path}")
    service = Service(
        database=database,
        carrier=Carrier(None, folder / "data"),
        metrics=Metrics(),
        settings=settings,
        serving=serving,
        tokens=tokens_of(serving, environment or {}),
    )
    try:
        yield Inside(service=service, app=application(service))
    finally:
        service.carrier.close()
        database.close()


@functools.cache
def _empty() -> bytes:
    """A database with its tables, which take longer to make than most of what is asked of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cgscan.sqlite")
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()
        return path.read_bytes()


def token(name: str, *rights: str) -> dict[str, Any]:
    """An entry of ``serve.tokens``; the token is the name, made long enough."""
    return {"name": name, "rights": list(rights), "sha256": hashlib.sha256(long(name).encode()).hexdigest()}


def long(name: str) -> str:
    """The token of that name."""
    return name * 20
