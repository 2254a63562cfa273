"""The alerts on causes: what is about to fail, or fails without a caller seeing it."""

from codegen.observability import business, upkeep
from codegen.observability.alerts import PAGE, TICKET, Alert, Case, threshold

_BREAKER = 'weft_client_breaker_state{job="weft",service="order",weft_service="user"}'
_UP = 'up{job="weft",service="order",instance="a"}'


def alerts(services: list[str]) -> list[Alert]:
    """Every alert that is not on an objective."""
    return [
        *_parts(services),
        *_saturation(),
        *_resources(),
        *_queues(),
        *business.money_and_messages(),
        *business.partners(),
        *upkeep.trust(),
        *upkeep.machines(),
    ]


def _parts(services: list[str]) -> list[Alert]:
    gone = " or ".join(f'absent(up{{job="weft",service="{name}"}} == 1)' for name in services)
    others = {f'up{{job="weft",service="{name}",instance="b"}}': "1+0x300" for name in services if name != "order"}
    return [
        Alert(
            "ServiceGone", PAGE, gone, "1m", "no replica of {{ $labels.service }} answers",
            "No process of the service answers Prometheus: it is stopped, it crashes, or it cannot be reached.",
            "Its state on the platform (`kubectl get pods`, `docker compose ps`) and the last lines of its log: a process says in one sentence why it does not start.",
            "Undo what was changed. Calls of other services wait behind circuit breakers and queues; nothing needs repair afterwards.",
            "overview",
            (
                Case({_UP: "1+0x60 0+0x200", **others}, "59m", 0),
                Case({_UP: "1+0x60 0+0x200", **others}, "63m", 1),
                Case({_UP: "1+0x60 0+0x20 1+0x100", **others}, "2h", 0),
            ),
        ),
        threshold(
            "ReplicaDown", TICKET, 'up{job=~"weft|weft-edge"} == 0', "5m", "{{ $labels.instance }} of {{ $labels.service }} does not answer", "overview",
            "One process does not answer Prometheus; others of its service may.",
            "Its state on the platform, and its log.",
            "Delete the pod or restart the container; look for the cause if it happens again.",
            _UP, "1+0x200", "0+0x30",
        ),
        threshold(
            "EdgeGone", PAGE, 'absent(up{job="weft-edge"} == 1)', "1m", "no edge answers: nobody reaches the mesh", "edge",
            "No edge answers Prometheus, so none serves callers.",
            "Its state on the platform and its log: a wrong setting is one sentence. Its certificates: an edge needs both of its own.",
            "Undo what was changed; restart it.",
            'up{job="weft-edge",service="edge",instance="e"}', "1+0x200", "0+0x30",
        ),
        threshold(
            "EdgeSeesNoReplica", PAGE, 'max by (envoy_cluster_name) (envoy_cluster_membership_healthy{job="weft-edge"}) == 0', "1m",
            "edges have no healthy replica of {{ $labels.envoy_cluster_name }}", "edge",
            "The edges' health checks fail for every replica, so its calls get 503.",
            "Whether the service is ready (`/readyz`), whether its name resolves where the edge runs, and whether certificates are valid.",
            "Restart the service where it hangs; mend names or certificates.",
            'envoy_cluster_membership_healthy{job="weft-edge",envoy_cluster_name="order"}', "2+0x200", "0+0x30",
        ),
        threshold(
            "BreakerOpen", TICKET, 'max by (service, weft_service) (weft_client_breaker_state{job="weft"}) == 2', "2m",
            "{{ $labels.service }} has given up on {{ $labels.weft_service }} for now", "rpc",
            "A circuit breaker is open: of a service, of `cache` (Valkey), of a payment provider, or of the relay of events.",
            "The dashboard RPC, of the service that is named; for `cache`, Valkey itself.",
            "Help the dependency; the breaker closes by itself, with one probe.",
            _BREAKER, "0+0x200", "2+0x30",
        ),
        threshold(
            "ReplicaRestarts", TICKET, 'changes(process_start_time_seconds{job="weft"}[15m]) > 2', "0m",
            "{{ $labels.instance }} of {{ $labels.service }} starts again and again", "overview",
            "A process has started three times or more within a quarter of an hour.",
            "Why it ended: exit code, the last lines of its log, `OOMKilled`.",
            "Undo the release, or give it the memory that it needs.",
            'process_start_time_seconds{job="weft",service="order",instance="a"}', "1+0x200", "1+100x30",
        ),
    ]  # fmt: skip


def _saturation() -> list[Alert]:
    slow = 'rpc_server_call_duration_seconds_bucket{job="weft",service="order",rpc_method="weft.order.v1.OrderService/GetOrder",rpc_response_status_code="OK",'
    lag = 'weft_event_loop_lag_seconds_bucket{job="weft",service="order",'
    return [
        Alert(
            "CallsAreSlow", TICKET,
            'histogram_quantile(0.99, sum by (service, le) (rate(rpc_server_call_duration_seconds_bucket{job="weft",rpc_response_status_code="OK"}[10m]))) > 1'
            ' and sum by (service) (rate(rpc_server_call_duration_seconds_count{job="weft",rpc_response_status_code="OK"}[10m])) > 1',
            "10m", "one call of a hundred of {{ $labels.service }} takes more than a second",
            "The 99th percentile of its calls is above a second, at more than one call a second.",
            "The dashboard RPC: which calls. Data: whether calls wait for a connection. A trace of a slow call shows where the time goes.",
            "More replicas where the processor is the bound; an index or a smaller page where it is the database.",
            "rpc",
            (
                Case({slow + 'le="1"}': "0+0x100", slow + 'le="2.5"}': "0+300x100", slow + 'le="+Inf"}': "0+300x100", slow.replace("_bucket", "_count").removesuffix(",") + "}": "0+300x100"}, "40m", 1),
                Case({slow + 'le="1"}': "0+0x100", slow + 'le="2.5"}': "0+3x100", slow + 'le="+Inf"}': "0+3x100", slow.replace("_bucket", "_count").removesuffix(",") + "}": "0+3x100"}, "40m", 0),
                Case({slow + 'le="1"}': "0+300x100", slow + 'le="2.5"}': "0+300x100", slow + 'le="+Inf"}': "0+300x100", slow.replace("_bucket", "_count").removesuffix(",") + "}": "0+300x100"}, "40m", 0),
            ),
        ),
        threshold(
            "ReplicaIsFull", PAGE, 'weft_rpc_server_in_flight{job="weft"} > 205', "5m", "{{ $labels.instance }} of {{ $labels.service }} is about to shed load", "rpc",
            "More than 80 % of the calls that a replica takes at once (256) are in progress. Above that it refuses some.",
            "Whether calls came in greater number (edge) or became slower (RPC, data).",
            "More replicas, if the database has room; otherwise find what became slow.",
            'weft_rpc_server_in_flight{job="weft",service="order",instance="a"}', "20+0x200", "240+0x40",
        ),
        Alert(
            "EventLoopLags", TICKET,
            'histogram_quantile(0.99, sum by (service, instance, le) (rate(weft_event_loop_lag_seconds_bucket{job="weft"}[5m]))) > 0.25',
            "5m", "the event loop of {{ $labels.instance }} of {{ $labels.service }} runs late",
            "Something holds the event loop of a process, or its machine has no processor for it. Every call of the process waits.",
            "The processor's use of its node, and `py-spy dump` of the process.",
            "More replicas or a larger node. If one call does it, that is a bug.",
            "rpc",
            (
                Case({lag + 'le="0.25"}': "0+0x60", lag + 'le="0.5"}': "0+240x60", lag + 'le="+Inf"}': "0+240x60"}, "30m", 1),
                Case({lag + 'le="0.25"}': "0+240x60", lag + 'le="0.5"}': "0+240x60", lag + 'le="+Inf"}': "0+240x60"}, "30m", 0),
            ),
        ),
    ]  # fmt: skip


def _resources() -> list[Alert]:
    overflow = 'sum by (envoy_cluster_name) (increase(envoy_cluster_upstream_rq_{}_overflow{{job="weft-edge"}}[2m]))'
    return [
        threshold(
            "DatabasePoolIsShort", TICKET, 'min_over_time(weft_database_pool_waiting{job="weft"}[3m]) > 0', "3m",
            "calls of {{ $labels.instance }} of {{ $labels.service }} wait for a database connection", "data",
            "Every connection of a process has been in use for minutes, and calls wait.",
            "Long statements and locks in PostgreSQL (`pg_stat_activity`), and its load.",
            "End what blocks; raise `WEFT_POOL_SIZE` where the server has connections to spare.",
            'weft_database_pool_waiting{job="weft",service="order",instance="a"}', "0+0x200", "5+0x40",
        ),
        threshold(
            "MemoryIsShort", TICKET, 'process_resident_memory_bytes{job="weft"} > 400 * 1024 * 1024', "10m",
            "{{ $labels.instance }} of {{ $labels.service }} takes {{ $value | humanize1024 }}B of memory", "overview",
            "A process has four times the memory that it has at rest, and will be killed at 512 MiB on Kubernetes.",
            "Whether all replicas grow (load) or one (a leak), and since which release.",
            "Restart the replica, which loses nothing; undo the release if it leaks.",
            'process_resident_memory_bytes{job="weft",service="order",instance="a"}', "100000000+0x200", "450000000+0x40",
        ),
        threshold(
            "EdgeRefuses", PAGE, f'{overflow.format("active")} > 20 or {overflow.format("pending")} > 20', "1m",
            "edges refuse calls to {{ $labels.envoy_cluster_name }}: too many are open", "edge",
            "An edge has as many calls open to a service as it may, and answers further ones with 503.",
            "Whether the service became slow (RPC), or callers sent more.",
            "More replicas; or lower the plan of who sends so much.",
            'envoy_cluster_upstream_rq_active_overflow{job="weft-edge",envoy_cluster_name="order"}', "3000+0x200", "0+60x40",
        ),
    ]  # fmt: skip


def _queues() -> list[Alert]:
    jobs = 'weft_queue_jobs_total{job="weft",service="order",queue="payment_work",outcome="dead"}'
    oldest = 'weft_queue_oldest_seconds{job="weft",service="order",queue="'
    return [
        threshold(
            "MoneyWaits", PAGE, 'max by (service, queue) (weft_queue_oldest_seconds{job="weft",queue="payment_work"}) > 120', "2m",
            "the oldest payment job waits for {{ $value | humanizeDuration }}", "queues",
            "Payments are not authorized, captured or refunded: the provider is away, or no worker takes jobs.",
            "The breaker of the provider, the log of the order service, and whether the queue is paused (`python -m services.order queues list`).",
            "Resume the queue; wait for the provider, which uses up no attempt. Orders expire by themselves, and release their stock.",
            oldest + 'payment_work"}', "0+0x200", "300+0x40",
        ),
        threshold(
            "QueueStalls", TICKET, 'max by (service, queue) (weft_queue_oldest_seconds{job="weft",queue!="payment_work"}) > 600', "5m",
            "the oldest job of {{ $labels.queue }} of {{ $labels.service }} waits for {{ $value | humanizeDuration }}", "queues",
            "Jobs are not worked on: a dependency is away, the queue is paused, or there are more jobs than workers can do.",
            "The breakers, `queues list` of the service, and whether the number of ready jobs grows.",
            "Resume the queue; help the dependency; more replicas.",
            oldest + 'outbox"}', "0+0x200", "900+0x40",
        ),
        threshold(
            "QueueIsLong", TICKET, 'max by (service, queue) (weft_queue_ready{job="weft"}) > 50000', "10m",
            "{{ $value | humanize }} jobs of {{ $labels.queue }} of {{ $labels.service }} are ready", "queues",
            "Jobs come faster than workers do them.",
            "Whether the number still grows, and what the workers wait for.",
            "More replicas; the work is shared between them.",
            'weft_queue_ready{job="weft",service="order",queue="outbox"}', "0+0x200", "90000+0x40",
        ),
        threshold(
            "JobsDie", TICKET, 'sum by (service, queue) (increase(weft_queue_jobs_total{job="weft",outcome="dead"}[15m])) > 0', "0m",
            "jobs of {{ $labels.queue }} of {{ $labels.service }} cannot succeed", "queues",
            "A job has become a dead letter: an error that no attempt will mend. It is kept for 90 days.",
            "`python -m services.<service> queues jobs <queue>` shows the jobs, each with its error.",
            "Mend the cause, then `queues replay`; or `queues discard` what nobody needs.",
            jobs, "3000+0x200", "0+60x40",
        ),
        Alert(
            "JobsAreRetried", TICKET,
            'sum by (service, queue) (increase(weft_queue_jobs_total{job="weft",outcome="retried"}[10m])) > 20'
            ' and sum by (service, queue) (increase(weft_queue_jobs_total{job="weft",outcome="retried"}[10m]))'
            ' > 0.5 * sum by (service, queue) (increase(weft_queue_jobs_total{job="weft"}[10m]))',
            "2m", "most jobs of {{ $labels.queue }} of {{ $labels.service }} fail, and are to be repeated",
            "What the jobs need refuses them for now: a mail server that answers 4xx, a provider that does not respond. Each has some attempts left.",
            "The log of the service, which has the refusals; the dashboard deliveries, or payments.",
            "Help the dependency, or pause the queue until it is well (`queues pause`): a paused job uses up no attempt.",
            "queues",
            (
                Case({jobs.replace("dead", "retried"): "0+20x100", jobs.replace("dead", "done"): "0+5x100"}, "30m", 1),
                Case({jobs.replace("dead", "retried"): "0+20x100", jobs.replace("dead", "done"): "0+50x100"}, "30m", 0),
                Case({jobs.replace("dead", "retried"): "0+1x100", jobs.replace("dead", "done"): "0+0x100"}, "30m", 0),
                Case({jobs.replace("dead", "retried"): "0+20x40 800+0x100", jobs.replace("dead", "done"): "0+5x150"}, "90m", 0),
            ),
        ),
    ]  # fmt: skip
