"""Every failure switch: what it does, what shows it, which alerts it fires. `make gen` writes `docs/faults.md` from it.

A switch is read at its point by `switches.on(SLOW_DATABASE)`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A switch. `shows` is a dashboard and its panels; `services` are those that have its point, all where empty.

    `of_mesh`: done to a part of the local mesh from outside, by `deploy.local`; no setting of a process turns it on.
    """

    name: str
    does: str
    dashboard: str
    shows: str
    alerts: tuple[str, ...]
    services: tuple[str, ...] = ()
    of_mesh: bool = False


SLOW_DATABASE = "slow-database"
NO_DATABASE = "no-database"
NO_CACHE = "no-cache"
OLD_TRANSACTION = "old-transaction"
LOOP_BLOCKED = "loop-blocked"
CALLS_WAIT = "calls-wait"
HANGS = "hangs"
CRASHES = "crashes"
MEMORY_LEAK = "memory-leak"
FEW_FILES = "few-files"
CLOCK_SKEW = "clock-skew"
QUEUE_STALLS = "queue-stalls"
OUTBOX_STOPS = "outbox-stops"
JOBS_DIE = "jobs-die"
REVOCATIONS_STOP = "revocations-stop"
TELEMETRY_LOST = "telemetry-lost"
USAGE_LOST = "usage-lost"
RETENTION_STOPS = "retention-stops"
PROVIDER_DECLINES = "provider-declines"
PROVIDER_SILENT = "provider-silent"
BOOKS_DIFFER = "books-differ"
SMTP_DEFERS = "smtp-defers"
SMS_REFUSED = "sms-refused"
WEBHOOKS_UNANSWERED = "webhooks-unanswered"
FROZEN = "frozen"
CERTIFICATE_ENDS = "certificate-ends"

_ALL = (
    Fault(SLOW_DATABASE, "Every use of a database connection takes 1.2 s longer, and holds it meanwhile.", "data", "Connections, Waiting for a connection; in RPC: Slowest of a hundred", ("CallsAreSlow", "DatabasePoolIsShort")),
    Fault(NO_DATABASE, "Every use of the database fails, as if the server were gone.", "overview", "Share of failures; in RPC: Calls by code", ("ErrorBudgetBurnsFast",)),
    Fault(NO_CACHE, "Every command to Valkey fails. Only calls that read it show that.", "data", "Valkey; in Overview: Breakers", ("BreakerOpen",), ("user",)),
    Fault(OLD_TRANSACTION, "A transaction is begun and left open.", "data", "Oldest transaction", ("TransactionIsOld",)),
    Fault(LOOP_BLOCKED, "The event loop is blocked for 0.6 s, again and again.", "rpc", "Event loop, Slowest of a hundred", ("EventLoopLags",)),
    Fault(CALLS_WAIT, "Every call takes three seconds longer, and is in progress meanwhile.", "rpc", "In progress, Median; in Edge: Open calls", ("EdgeRefuses",)),
    Fault(HANGS, "The event loop is blocked for as long as the switch is on: the process listens, and answers nothing but `/metrics`.", "edge", "Healthy replicas; in Overview: Share of failures", ("EdgeSeesNoReplica", "ErrorBudgetBurnsFast")),
    Fault(CRASHES, "The process ends with 1, ten seconds after each start.", "overview", "Replicas", ("ReplicaRestarts",)),
    Fault(MEMORY_LEAK, "The process takes 20 MB a second, up to 460 MB more than it had.", "overview", "Memory", ("MemoryIsShort",)),
    Fault(FEW_FILES, "The process may open only five files more than it has.", "overview", "Open files", ("FilesAreShort",)),
    Fault(CLOCK_SKEW, "The process's clock is two minutes ahead.", "data", "Clocks", ("ClockIsOff",)),
    Fault(QUEUE_STALLS, "Workers take no job of any queue but the outbox.", "queues", "Ready jobs, Oldest job", ("MoneyWaits", "QueueStalls")),
    Fault(OUTBOX_STOPS, "The relay publishes no event.", "queues", "Events published, Oldest job of `outbox`", ("QueueStalls",), ("user", "order")),
    Fault(JOBS_DIE, "The first job of each batch becomes a dead letter, the outbox's excepted; `queues replay` brings them back.", "queues", "Dead jobs in an hour", ("JobsDie",)),
    Fault(REVOCATIONS_STOP, "What the user service says of revocations is not heard; after 30 s, calls that change something are refused.", "overview", "Age of revocations", ("RevocationsAreOld", "ErrorBudgetBurnsFast")),
    Fault(TELEMETRY_LOST, "Spans and log lines do not reach their receiver; standard output has the lines.", "overview", "Lost telemetry and usage", ("TelemetryIsLost",)),
    Fault(USAGE_LOST, "Calls of partners' clients are counted nowhere.", "overview", "Lost telemetry and usage", ("UsageIsLost",)),
    Fault(RETENTION_STOPS, "Sweeps delete nothing, and end as if expired rows were left.", "data", "Sweeps that were not done", ("RetentionIsBehind",)),
    Fault(PROVIDER_DECLINES, "Every payment is declined, without asking the provider.", "payments", "Payments", ("PaymentsAreDeclined",), ("order",)),
    Fault(PROVIDER_SILENT, "The payment provider does not respond within five seconds.", "payments", "Payments, Oldest payment job; in Overview: Breakers", ("BreakerOpen", "MoneyWaits"), ("order",)),
    Fault(BOOKS_DIFFER, "In the daily comparison, the payment provider has a charge that we do not know.", "payments", "Discrepancies in a day", ("BooksDiffer",), ("order",)),
    Fault(SMTP_DEFERS, "The mail server answers 451, try again later.", "deliveries", "Waiting; in Queues: Jobs by outcome", ("JobsAreRetried",), ("notification",)),
    Fault(SMS_REFUSED, "The provider of text messages refuses each for good.", "deliveries", "Failures by reason", ("DeliveriesFail",), ("notification",)),
    Fault(WEBHOOKS_UNANSWERED, "No receiver of webhooks can be connected to.", "deliveries", "Webhooks", ("WebhooksFail",), ("notification",)),
    Fault(FROZEN, "The processes of a part are stopped (SIGSTOP): a service, or `envoy`. They keep their ports and answer nothing.", "overview", "Replicas, Share of failures", ("ServiceGone", "EdgeGone", "ReplicaDown", "EdgeSeesNoReplica", "ErrorBudgetBurnsFast"), of_mesh=True),
    Fault(CERTIFICATE_ENDS, "The edge's certificate for calls to services ends in two days.", "edge", "Days of certificates", ("CertificateEnds", "CertificateEndsSoon"), ("envoy",), of_mesh=True),
)  # fmt: skip
FAULTS = {fault.name: fault for fault in _ALL}
"""By name."""
OF_PROCESS = frozenset(name for name, fault in FAULTS.items() if not fault.of_mesh)
"""Those that a process has points for."""
