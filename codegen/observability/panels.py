"""The seven dashboards: what each panel shows, in which unit, and the query behind it."""

from dataclasses import dataclass, field

WEFT, EDGE = 'job="weft"', 'job="weft-edge"'
_OK = f'{WEFT},rpc_response_status_code="OK"'
MAX_PANELS = 12


@dataclass(frozen=True)
class Panel:
    """A graph over time, a line for each series. `unit` is Grafana's name of it; `legend` names the labels of a line."""

    title: str
    description: str
    unit: str
    query: str
    legend: str


@dataclass(frozen=True)
class Dashboard:
    """A page of panels; `name` is its file and part of its address."""

    name: str
    title: str
    panels: list[Panel] = field(default_factory=list)


def _rate(metric: str, by: str, labels: str = WEFT) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _or_none(query: str) -> str:
    """Zero where nothing has been counted yet: a graph without a line says nothing."""
    return f"{query} or vector(0)"


def _quantile(share: float, metric: str, by: str, labels: str = WEFT) -> str:
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', f'{by}, le', labels)})"


_CALLS = "rpc_server_call_duration_seconds"
_EDGE_CALLS = "envoy_weft_edge_requests"
_SERVICE, _METHOD, _INSTANCE = "{{service}}", "{{rpc_method}}", "{{service}} {{instance}}"


def dashboards() -> list[Dashboard]:
    """All of them, in the order in which one opens them."""
    return [_overview(), _rpc(), _edge(), _queues(), _data(), _payments(), _deliveries()]


def _overview() -> Dashboard:
    return Dashboard("overview", "Weft: overview", [
        Panel("Calls", "Calls that the edges answered, by service.", "reqps", "weft:edge_calls:rate5m", _SERVICE),
        Panel("Share of failures", "Calls that failed for a reason of ours (500, 502, 503, 504); the objective is below 0.1 %.", "percentunit", "weft:edge_failures:ratio5m or weft:edge_calls:rate5m * 0", _SERVICE),
        Panel("Budget used in a month", "Share of the month's budget of errors that the last three days have used, for the time that is known.", "percentunit", "(weft:edge_failures:ratio3d or weft:edge_calls:rate3d * 0) / 0.001 / 10", _SERVICE),
        Panel("Slowest of a hundred calls", "99th percentile of served calls, by service.", "s", _quantile(0.99, _CALLS, "service", _OK), _SERVICE),
        Panel("Replicas", "Processes that answer Prometheus.", "short", 'sum by (service) (up{job=~"weft|weft-edge"})', _SERVICE),
        Panel("Processor", "Cores in use.", "short", _rate("process_cpu_seconds_total", "service"), _SERVICE),
        Panel("Memory", "Resident memory of each process.", "bytes", f"process_resident_memory_bytes{{{WEFT}}}", _INSTANCE),
        Panel("Oldest job", "Age of the oldest due job of any queue.", "s", f"max by (service) (weft_queue_oldest_seconds{{{WEFT}}})", _SERVICE),
        Panel("Breakers", "0 closed, 1 probing, 2 open: what each service has given up on for now.", "short", f"max by (service, weft_service) (weft_client_breaker_state{{{WEFT}}})", "{{service}} → {{weft_service}}"),
        Panel("Age of revocations", "Since a process last knew every revoked token.", "s", f"max by (service) (weft_revocations_age_seconds{{{WEFT}}})", _SERVICE),
        Panel("Lost telemetry and usage", "Spans, log lines and counts that could not be handed over.", "cps", f"{_rate('weft_spans_lost_total', 'service')} + {_rate('weft_logs_lost_total', 'service')} + {_rate('weft_usage_lost_calls_total', 'service')}", _SERVICE),
        Panel("Open files", "Share of the descriptors that a process may have.", "percentunit", f"max by (service) (process_open_fds{{{WEFT}}} / process_max_fds{{{WEFT}}})", _SERVICE),
    ])  # fmt: skip


def _rpc() -> Dashboard:
    return Dashboard("rpc", "Weft: RPC", [
        Panel("Calls by method", "Served calls.", "reqps", f"topk(15, {_rate(f'{_CALLS}_count', 'rpc_method')} > 0)", _METHOD),
        Panel("Calls by code", "Served calls by gRPC code.", "reqps", f"{_rate(f'{_CALLS}_count', 'service, rpc_response_status_code')} > 0", "{{service}} {{rpc_response_status_code}}"),
        Panel("Median", "50th percentile of served calls.", "s", _quantile(0.5, _CALLS, "service", _OK), _SERVICE),
        Panel("Slowest of a hundred", "99th percentile by method; the fifteen slowest.", "s", f"topk(15, {_quantile(0.99, _CALLS, 'rpc_method', _OK)} > 0)", _METHOD),
        Panel("In progress", "Calls in progress in each process; it sheds load above 256.", "short", f"weft_rpc_server_in_flight{{{WEFT}}}", _INSTANCE),
        Panel("Event loop", "99th percentile of how late the event loop runs.", "s", _quantile(0.99, "weft_event_loop_lag_seconds", "service, instance"), _INSTANCE),
        Panel("Calls between services", "Calls that services make, by method.", "reqps", f"{_rate('rpc_client_call_duration_seconds_count', 'service, rpc_method')} > 0", "{{service}} → {{rpc_method}}"),
        Panel("Calls between services, slowest of twenty", "95th percentile, retries included.", "s", _quantile(0.95, "rpc_client_call_duration_seconds", "service"), _SERVICE),
    ])  # fmt: skip


def _edge() -> Dashboard:
    return Dashboard("edge", "Weft: edge", [
        Panel("Calls by kind of client and plan", "What the edges answered.", "reqps", _rate(_EDGE_CALLS, "client, plan", EDGE), "{{client}} {{plan}}"),
        Panel("Calls by route", "The fifteen busiest routes.", "reqps", f"topk(15, {_rate(_EDGE_CALLS, 'route', EDGE)})", "{{route}}"),
        Panel("Answers", "By HTTP status.", "reqps", _rate(_EDGE_CALLS, "status", EDGE), "{{status}}"),
        Panel("Refused by limits", "429, by client and plan.", "reqps", _or_none(_rate(_EDGE_CALLS, "client, plan", f'{EDGE},status="429"')), "{{client}} {{plan}}"),
        Panel("Connections", "Callers' open connections.", "short", f'sum by (instance) (envoy_http_downstream_cx_active{{{EDGE},envoy_http_conn_manager_prefix="edge"}})', "{{instance}}"),
        Panel("Open calls", "Calls and streams in progress.", "short", f'sum by (instance) (envoy_http_downstream_rq_active{{{EDGE},envoy_http_conn_manager_prefix="edge"}})', "{{instance}}"),
        Panel("Healthy replicas", "Of each service, as the edges see it.", "short", f"min by (envoy_cluster_name) (envoy_cluster_membership_healthy{{{EDGE}}})", "{{envoy_cluster_name}}"),
        Panel("Ejected replicas", "Which the edges leave out for a while after failures.", "short", f"max by (envoy_cluster_name) (envoy_cluster_outlier_detection_ejections_active{{{EDGE}}})", "{{envoy_cluster_name}}"),
        Panel("Upstream time, slowest of a hundred", "99th percentile of what services take, as the edges see it.", "ms", _quantile(0.99, "envoy_cluster_upstream_rq_time", "envoy_cluster_name", EDGE), "{{envoy_cluster_name}}"),
        Panel("Days of certificates", "Until the first certificate of an edge ends.", "d", f"min by (envoy_tls_certificate) (envoy_cluster_ssl_certificate_expiration_unix_time_seconds{{{EDGE}}} - time()) / 86400", "{{envoy_tls_certificate}}"),
        Panel("Memory", "What Envoy has allocated.", "bytes", f"envoy_server_memory_allocated{{{EDGE}}}", "{{instance}}"),
    ])  # fmt: skip


def _queues() -> Dashboard:
    queue = "{{service}} {{queue}}"
    return Dashboard("queues", "Weft: queues and outbox", [
        Panel("Ready jobs", "Jobs that are due.", "short", f"max by (service, queue) (weft_queue_ready{{{WEFT}}})", queue),
        Panel("Oldest job", "Age of the oldest due job; of `outbox`: how late events are.", "s", f"max by (service, queue) (weft_queue_oldest_seconds{{{WEFT}}})", queue),
        Panel("Jobs by outcome", "Done, deferred because a dependency is away, to be repeated, dead.", "cps", _rate("weft_queue_jobs_total", "queue, outcome"), "{{queue}} {{outcome}}"),
        Panel("Dead jobs in an hour", "Which need a person.", "short", _or_none(f'sum by (service, queue) (increase(weft_queue_jobs_total{{{WEFT},outcome="dead"}}[1h]))'), queue),
        Panel("Events published", "Jobs of the outboxes that are done.", "cps", _rate("weft_queue_jobs_total", "service", f'{WEFT},queue="outbox",outcome="done"'), _SERVICE),
        Panel("Delay of events", "99th percentile, from a change to its event's arrival.", "s", _quantile(0.99, "weft_outbox_delay_seconds", "service"), _SERVICE),
    ])  # fmt: skip


def _data() -> Dashboard:
    return Dashboard("data", "Weft: PostgreSQL and Valkey", [
        Panel("Connections", "Of all pools, busy and free.", "short", f"sum by (service, state) (weft_database_pool_connections{{{WEFT}}})", "{{service}} {{state}}"),
        Panel("Waiting for a connection", "Calls that have none.", "short", f"max by (service, instance) (weft_database_pool_waiting{{{WEFT}}})", _INSTANCE),
        Panel("Valkey", "The breaker of the cache: 0 closed, 1 probing, 2 open.", "short", f'max by (service) (weft_client_breaker_state{{{WEFT},weft_service="cache"}})', _SERVICE),
        Panel("Oldest transaction", "Open in each service's database, of those that its role may see.", "s", f"max by (service) (weft_database_oldest_transaction_seconds{{{WEFT}}})", _SERVICE),
        Panel("Replication", "Log that the slowest replication slot has not taken; 0 without standbys.", "bytes", f"max by (service) (weft_database_replication_behind_bytes{{{WEFT}}})", _SERVICE),
        Panel("Clocks", "How far each process's clock and its database's differ.", "s", f"abs(weft_clock_offset_seconds{{{WEFT}}})", _INSTANCE),
        Panel("Rows deleted by retention", "Expired rows, by table.", "cps", _or_none(f"{_rate('weft_retention_deleted_rows_total', 'service, table')} > 0"), "{{service}} {{table}}"),
        Panel("Sweeps that were not done", "Sweeps that ended with expired rows left.", "cps", _or_none(_rate("weft_retention_behind_total", "service, table")), "{{service}} {{table}}"),
    ])  # fmt: skip


def _payments() -> Dashboard:
    orders = "weft[.]order[.]v1[.]OrderService/(Create|Cancel)Order"
    return Dashboard("payments", "Weft: payments and orders", [
        Panel("Orders", "Orders that were placed or cancelled.", "reqps", _rate(f"{_CALLS}_count", "rpc_method", f'{_OK},rpc_method=~"{orders}"'), _METHOD),
        Panel("Refused orders", "Orders that were refused, by code.", "reqps", _or_none(_rate(f"{_CALLS}_count", "rpc_response_status_code", _REFUSED)), "{{rpc_response_status_code}}"),
        Panel("Slowest of a hundred orders", "99th percentile of placing one.", "s", _quantile(0.99, _CALLS, "rpc_method", f'{_OK},rpc_method="weft.order.v1.OrderService/CreateOrder"'), _METHOD),
        Panel("Payments", "By the state that a step led to, or why it led to none.", "cps", _rate("weft_payments_total", "mode, outcome"), "{{mode}} {{outcome}}"),
        Panel("Payment jobs", "By outcome.", "cps", _rate("weft_queue_jobs_total", "outcome", f'{WEFT},queue="payment_work"'), "{{outcome}}"),
        Panel("Oldest payment job", "How long money waits.", "s", f'max(weft_queue_oldest_seconds{{{WEFT},queue="payment_work"}})', "oldest"),
        Panel("Events of providers", "By what became of them.", "cps", _or_none(_rate("weft_provider_events_total", "provider, outcome")), "{{provider}} {{outcome}}"),
        Panel("Discrepancies in a day", "Between the providers' books and ours.", "short", _or_none(f"sum by (provider, kind) (increase(weft_payment_discrepancies_total{{{WEFT}}}[1d]))"), "{{provider}} {{kind}}"),
    ])  # fmt: skip


_REFUSED = f'{WEFT},rpc_response_status_code!="OK",rpc_method="weft.order.v1.OrderService/CreateOrder"'


def _deliveries() -> Dashboard:
    return Dashboard("deliveries", "Weft: deliveries", [
        Panel("Deliveries", "Attempts by channel and what they led to.", "cps", _rate("weft_deliveries_total", "channel, state"), "{{channel}} {{state}}"),
        Panel("Failures by reason", "Why what was sent did not arrive.", "cps", _or_none(_rate("weft_deliveries_total", "channel, reason", f'{WEFT},state!="SENT"')), "{{channel}} {{reason}}"),
        Panel("Events of providers", "What providers of mail and texts say of deliveries, by what became of it.", "cps", _or_none(_rate("weft_delivery_events_total", "provider, outcome")), "{{provider}} {{outcome}}"),
        Panel("Webhooks", "Attempts by outcome.", "cps", _or_none(_rate("weft_webhook_attempts_total", "outcome")), "{{outcome}}"),
        Panel("Refused addresses", "Webhooks whose address is not public.", "cps", "sum(rate(weft_webhook_addresses_refused_total[$__rate_interval]))", "refused"),
        Panel("Waiting", "Jobs that are due, by channel.", "short", f'max by (queue) (weft_queue_ready{{{WEFT},service="notification"}})', "{{queue}}"),
        Panel("Oldest", "Age of the oldest due job, by channel.", "s", f'max by (queue) (weft_queue_oldest_seconds{{{WEFT},service="notification"}})', "{{queue}}"),
    ])  # fmt: skip
