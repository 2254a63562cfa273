"""The queue: one stream of Valkey, read by one group of workers; a message is acknowledged when its task is done."""

from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from taskiq import SimpleRetryMiddleware, TaskiqMiddleware
from taskiq.middlewares.opentelemetry_middleware import OpenTelemetryMiddleware
from taskiq_redis import RedisStreamBroker

from bench.peers import telemetry
from bench.peers.settings import Settings as PeerSettings
from bench.peers.taskiq_background.settings import Settings

SETTINGS = Settings()  # type: ignore[call-arg]  # what has no default is in the environment
PEER = PeerSettings()  # type: ignore[call-arg]  # the same

_middlewares: list[TaskiqMiddleware] = [SimpleRetryMiddleware(default_retry_count=5)]
if telemetry.start(PEER, "peer-e"):
    AsyncPGInstrumentor().instrument()
    HTTPXClientInstrumentor().instrument()
    _middlewares.append(OpenTelemetryMiddleware())
# From the first message on, also of those that came before the first worker.
broker = RedisStreamBroker(SETTINGS.valkey_url, consumer_id="0", maxlen=1_000_000).with_middlewares(*_middlewares)
