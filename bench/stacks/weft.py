"""Starts the local mesh to be measured, gives it the data set, and says where its parts are."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.stacks import dataset
from bench.stacks.processes import NotReady, Process, free_port

START_SECONDS = 120


@dataclass
class Weft:
    """A running mesh: its mesh file, who may call, and what there is to order."""

    home: Path
    process: Process
    mesh: dict[str, Any]
    token: str = ""
    customers: list[str] = field(default_factory=list)
    products: list[str] = field(default_factory=list)

    @property
    def edges(self) -> list[str]:
        """`host:port` of each Envoy, for HTTP/1.1."""
        return [f"127.0.0.1:{url.rpartition(':')[2]}" for url in self.mesh["edges"]]

    @property
    def services(self) -> dict[str, list[str]]:
        """`host:port` of each replica, for gRPC."""
        return dict(self.mesh["services"])

    @property
    def groups(self) -> dict[str, list[int]]:
        """Every process that a request may touch; supervisor, mail sink and trace receiver are none."""
        names = [*self.mesh["services"], "envoy", "postgres", "valkey"]
        pids = json.loads((self.home / "mesh.json").read_text())["pids"]
        return {name: pids[name] if isinstance(pids[name], list) else [pids[name]] for name in names}

    def tls(self, service: str) -> dict[str, str]:
        """The mutual TLS of an internal caller, as `bench.load.rpc` takes it."""
        internal = self.mesh["internal"]
        return {
            "ca": self.mesh["ca"], "cert": internal["cert"], "key": internal["key"], "name": f"{service}.weft.internal",
        }  # fmt: skip

    def database(self, service: str) -> str:
        """The URL of a service's database."""
        password = json.loads((self.home / "secrets.json").read_text())["database_password"]
        port = json.loads((self.home / "run" / "ports.json").read_text())["postgres"]
        return f"postgresql://weft:{password}@127.0.0.1:{port}/weft_{service}"

    def fill(self) -> None:
        """Puts the data set in, over the edge, and takes a partner's token."""
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        limits = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(base_url=self.mesh["edge"], limits=limits, timeout=30) as http:
            partner = self.mesh["partner"]
            form = {"grant_type": "client_credentials"}
            granted = await http.post("/oauth2/token", data=form, auth=(partner["client_id"], partner["client_secret"]))
            self.token = granted.raise_for_status().json()["access_token"]
            bearer = {"authorization": f"Bearer {self.token}"}
            catalogue = [
                {
                    "title": row["title"],
                    "price": {"amountMinor": str(row["price_minor"]), "currency": row["currency"]},
                    "stock": str(row["stock"]),
                }
                for row in dataset.products()
            ]
            people = [{"email": f"{os.urandom(6).hex()}@example.com"} for _ in range(dataset.CUSTOMERS)]
            self.products = await _create_all(http, "/v1/products", bearer, catalogue, "productId")
            self.customers = await _create_all(http, "/v1/users", bearer, people, "userId")

    def renew(self) -> None:
        """Takes a new token where the old one might end during a run."""
        partner = self.mesh["partner"]
        granted = httpx.post(
            f"{self.mesh['edge']}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(partner["client_id"], partner["client_secret"]),
        )
        self.token = granted.raise_for_status().json()["access_token"]

    def stop(self) -> float:
        """Ends the mesh: the seconds that it took."""
        began = time.monotonic()
        self.process.stop(signal.SIGTERM)
        return time.monotonic() - began


async def _create_all(
    http: httpx.AsyncClient, path: str, headers: Mapping[str, str], bodies: list[dict[str, Any]], key: str
) -> list[str]:
    gate = asyncio.Semaphore(16)

    async def create(body: dict[str, Any]) -> str:
        async with gate:
            made = await http.post(path, json=body, headers={**headers, "idempotency-key": os.urandom(16).hex()})
        if made.status_code != 201:
            raise NotReady(f"POST {path} answered {made.status_code}: {made.text[:500]}")
        return str(made.json()[key])

    return list(await asyncio.gather(*map(create, bodies)))


def start(
    home: Path, *, otlp: str, ratio: float, replicas: int = 1, work: bool = False, env: Mapping[str, str] | None = None
) -> tuple[Weft, float]:
    """Starts the mesh in `home`, new or not: the mesh and the seconds until it was ready. Raises `NotReady`."""
    settings = {
        "WEFT_HOME": str(home),
        "WEFT_EDGE_PORT": str(free_port()),
        "WEFT_OTLP_ENDPOINT": otlp,
        "WEFT_TRACE_RATIO": str(ratio),
        "WEFT_REPLICAS": str(replicas),
        "WEFT_WORK": "true" if work else "false",
        **(env or {}),
    }
    began = time.monotonic()
    process = Process.python("deploy.local", "run", log=home.with_suffix(".log"), env=settings)
    try:
        process.wait_until_logged("ready http", 1, START_SECONDS)
    except BaseException:
        process.stop()
        raise
    seconds = time.monotonic() - began
    return Weft(home, process, json.loads((home / "mesh.json").read_text())), seconds
