"""After everything that a person does, nothing that the mesh stores or writes has a personal value or a secret in the clear."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
import pytest
import redis
from psycopg import sql
from psycopg.conninfo import make_conninfo

from deploy.local.demo.scenario import Scenario
from tests.e2e.persons.canaries import Journey

pytestmark = pytest.mark.e2e


def written(value: str) -> set[bytes]:
    """How a value could be written: as it is, in other cases, in hex or base 64 at any offset, or in a URL."""
    forms = {
        value,
        value.lower(),
        quote(value),
        quote(value, safe=""),
        value.replace("-", ""),
        json.dumps(value)[1:-1],
        value.lstrip("+"),
    }
    raw = value.encode()
    forms |= {raw.hex(), raw.hex().upper()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw).decode()[(shift * 8 + 5) // 6 : (shift + len(raw)) * 8 // 6]
        forms |= {coded, coded.translate(str.maketrans("+/", "-_"))}
    return {form.encode() for form in forms}


def rows(mesh: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every row of every table of the three databases, as `pg_dump` writes them."""
    for service in mesh["services"]:
        url = psutil.Process(mesh["pids"][service][0]).environ()["WEFT_DATABASE_URL"]
        with psycopg.connect(make_conninfo(url, dbname=f"weft_{service}")) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                query = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))
                if table == "alembic_version":
                    continue
                with connection.cursor().copy(query) as copy:
                    yield f"{service}.{table}", b"\n".join(bytes(block) for block in copy)


def cached(mesh: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Every key of Valkey, with its value."""
    url = psutil.Process(mesh["pids"]["user"][0]).environ()["WEFT_REDIS_URL"]
    with redis.Redis.from_url(url) as valkey:
        read = {b"string": valkey.get, b"hash": valkey.hgetall, b"set": valkey.smembers,
                b"zset": lambda key: valkey.zrange(key, 0, -1, withscores=True),
                b"list": lambda key: valkey.lrange(key, 0, -1)}  # fmt: skip
        for key in valkey.scan_iter(count=1000):
            value = read.get(valkey.type(key), lambda _: b"")(key)
            yield "Valkey", key + b" " + (value if isinstance(value, bytes) else repr(value).encode())


def files(mesh: dict[str, Any], home: Path) -> Iterator[tuple[str, bytes]]:
    """Logs and spans."""
    for folder in (home / "logs", Path(mesh["traces"])):
        for file in folder.rglob("*"):
            if file.is_file():
                yield f"{folder.name}/{file.name}", file.read_bytes()


def processes(mesh: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """The arguments of every process."""
    for each in [psutil.Process(mesh["pids"]["mesh"]), *psutil.Process(mesh["pids"]["mesh"]).children(recursive=True)]:
        yield f"arguments of {each.pid}", " ".join(each.cmdline()).encode()


def leaks(journey: Journey, mesh: dict[str, Any], home: Path) -> set[tuple[str, str]]:
    """What is found where."""
    forms = {form: what for what, value in journey.values.items() for form in written(value)}
    # Eight digits occur by chance in longer numbers and ids.
    pattern = re.compile(b"|".join(
        rb"(?<![0-9a-fA-F])" + form + rb"(?![0-9a-fA-F])" if form.isdigit() else re.escape(form)
        for form in sorted(forms, key=len, reverse=True)
    ))  # fmt: skip
    found = set()
    for places in (rows(mesh), cached(mesh), files(mesh, home), processes(mesh)):
        for place, content in places:
            found |= {(place, forms[match.group()]) for match in pattern.finditer(content)}
    return found


def test_nothing_of_a_person_is_stored_or_written_in_the_clear(mesh: dict[str, Any], scenario: Scenario) -> None:
    journey = Journey(scenario)
    journey.run()
    home = Path(mesh["mail"]).parent
    assert len(journey.values) > 40
    assert leaks(journey, mesh, home) == set()
    # The search finds what is there: the user's id, which is no secret, is in all of these.
    seen = Journey(scenario)
    seen.values = {"user id": journey.account.user_id}
    assert any(True for _ in cached(mesh))
    assert {place.split(".")[0].split("/")[0] for place, _ in leaks(seen, mesh, home)} >= {
        "user",
        "order",
        "notification",
        "logs",
        "traces",
    }
