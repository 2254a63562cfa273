"""While one address attacks, a caller from another is served: no call of it fails, none takes longer than a second."""

import multiprocessing
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.mesh import Mesh
from tests.soak.load.attackers import ATTACKS, Attack

pytestmark = pytest.mark.soak
SECONDS = 15
PAUSE = 0.05
LONGEST = 1.0


@pytest.fixture(scope="module")
def mesh(folder: Path) -> Iterator[Mesh]:
    """One replica of each service and one edge, with the bounds that it has by default."""
    started = Mesh(folder / "attacked", {"WEFT_REFUSALS": "100"}).start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def innocent(mesh: Mesh) -> Iterator[httpx.Client]:
    """A partner from an address of its own."""
    file = mesh.content
    with httpx.Client(base_url=file["edge"].replace("localhost", "127.0.0.1"), timeout=30) as http:
        credentials = (file["partner"]["client_id"], file["partner"]["client_secret"])
        granted = http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=credentials).json()
        http.headers["authorization"] = f"Bearer {granted['access_token']}"
        yield http


@pytest.fixture(scope="module")
def order(innocent: httpx.Client) -> dict[str, object]:
    """An order that the innocent caller may place again and again."""
    customer = innocent.post("/v1/users", json={"email": f"{uuid.uuid4().hex}@customer.example"}).json()
    products = innocent.get("/v1/products").json()["products"]
    plenty = max(products, key=lambda product: int(product["stock"]))
    lines = [{"productId": plenty["productId"], "quantity": 1}]
    return {"customerId": customer["userId"], "lines": lines, "paymentMethod": "pm_sandbox_ok"}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_innocent_are_served(attack: Attack, mesh: Mesh, innocent: httpx.Client, order: dict[str, object]) -> None:
    file = mesh.content
    token = innocent.post("/v1/auth:signIn", json=file["operator"]).json()["accessToken"]
    url = file["edge"].replace("localhost", "127.0.0.1")
    attacker = multiprocessing.get_context("spawn").Process(target=attack, args=(url, token), daemon=True)
    told: Counter[str] = Counter()
    longest = 0.0
    attacker.start()
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for method, path, more in (
                ("GET", "/v1/orders?pageSize=5", {}),
                ("POST", "/v1/orders", {"json": order, "headers": {"idempotency-key": uuid.uuid4().hex}}),
            ):
                begun = time.monotonic()
                try:
                    status = str(innocent.request(method, path, **more).status_code)
                except httpx.HTTPError as error:
                    status = type(error).__name__
                longest = max(longest, time.monotonic() - begun)
                told[f"{method} {status}"] += 1
            time.sleep(PAUSE)
        assert attacker.is_alive(), "the attacker gave up"
    finally:
        attacker.kill()
        attacker.join()
    print(f"\n{attack.__name__}: {dict(told)}, longest {longest:.2f} s")
    assert set(told) == {"GET 200", "POST 201"}
    assert longest < LONGEST
