"""The alerts about what has to be kept up."""

from codegen.observability.alerts import PAGE, TICKET, Alert, threshold


def trust() -> list[Alert]:
    """Revocations, certificates and retention."""
    expiry = 'envoy_cluster_ssl_certificate_expiration_unix_time_seconds{job="weft-edge",envoy_cluster_name="order",envoy_tls_certificate="client"}'
    return [
        threshold(
            "RevocationsAreOld", PAGE, 'max by (service, instance) (weft_revocations_age_seconds{job="weft"}) > 120', "1m",
            "{{ $labels.instance }} of {{ $labels.service }} last heard of revocations {{ $value | humanizeDuration }} ago", "overview",
            "A process does not hear which tokens are revoked, so it may still take one that is.",
            "Whether the user service answers this process.",
            "Help the user service; restart the process.",
            'weft_revocations_age_seconds{job="weft",service="order",instance="a"}', "0+0x200", "60+60x40",
        ),
        threshold(
            "CertificateEnds", TICKET, 'min by (envoy_cluster_name, envoy_tls_certificate) (envoy_cluster_ssl_certificate_expiration_unix_time_seconds{job="weft-edge"}) - time() < 14 * 86400', "10m",
            "a certificate of the edge ({{ $labels.envoy_tls_certificate }}) ends in {{ $value | humanizeDuration }}", "edge",
            "Certificates are renewed a month before their end. This one was not.",
            "cert-manager's `Certificate` and its events; locally, `mesh.log`.",
            "Mend the issuer; `cmctl renew`, or `.venv/bin/python -m deploy.local rotate`.",
            expiry, "9000000+0x200", "1000000+0x40",
        ),
        threshold(
            "CertificateEndsSoon", PAGE, 'min by (envoy_cluster_name, envoy_tls_certificate) (envoy_cluster_ssl_certificate_expiration_unix_time_seconds{job="weft-edge"}) - time() < 3 * 86400', "10m",
            "a certificate of the edge ({{ $labels.envoy_tls_certificate }}) ends in {{ $value | humanizeDuration }}", "edge",
            "In three days, edges and services will refuse each other.",
            "As for CertificateEnds.",
            "As for CertificateEnds, now.",
            expiry, "9000000+0x200", "100000+0x40",
        ),
        threshold(
            "RetentionIsBehind", TICKET, 'sum by (service, table) (increase(weft_retention_behind_total{job="weft"}[1h])) > 30', "30m",
            "expired rows of {{ $labels.table }} of {{ $labels.service }} pile up", "data",
            "Sweeps end with expired rows left, again and again: rows are written faster than they are deleted.",
            "The size of the table, and whether something locks it.",
            "End what locks it; more replicas sweep more.",
            'weft_retention_behind_total{job="weft",service="order",table="outbox"}', "3000+0x400", "0+2x100", "95m",
        ),
    ]  # fmt: skip


def machines() -> list[Alert]:
    """The server of the database, clocks and files."""
    return [
        threshold(
            "TransactionIsOld", TICKET, 'max by (service) (weft_database_oldest_transaction_seconds{job="weft"}) > 120', "1m",
            "a transaction in the database of {{ $labels.service }} is open for {{ $value | humanizeDuration }}", "data",
            "While it is open, VACUUM removes nothing that was deleted since: tables and indexes grow. Those of services end by themselves after ten seconds.",
            "`SELECT pid, usename, application_name, state, query FROM pg_stat_activity ORDER BY xact_start`: mostly a person's, or a backup.",
            "`SELECT pg_terminate_backend(<pid>)`, unless it is a backup that is nearly done.",
            'weft_database_oldest_transaction_seconds{job="weft",service="order",instance="a"}', "1+0x200", "60+60x40",
        ),
        threshold(
            "ReplicationIsBehind", TICKET, 'max(weft_database_replication_behind_bytes{job="weft"}) > 1024 * 1024 * 1024', "5m",
            "a standby has yet to take {{ $value | humanize1024 }}B of the log", "data",
            "A standby is away or too slow. What is to take over would lose these changes, and the log fills the disk of the primary meanwhile.",
            "`SELECT slot_name, active, wal_status, restart_lsn FROM pg_replication_slots` on the primary, and the standby's own log.",
            "Mend the standby. Drop a slot that nobody uses: `SELECT pg_drop_replication_slot('<name>')`.",
            'weft_database_replication_behind_bytes{job="weft",service="order",instance="a"}', "1000+0x200", "2000000000+0x40",
        ),
        threshold(
            "ClockIsOff", TICKET, 'max by (service, instance) (abs(weft_clock_offset_seconds{job="weft"})) > 5', "1m",
            "the clock of {{ $labels.instance }} of {{ $labels.service }} and its database's differ by {{ $value | humanizeDuration }}", "data",
            "Codes, tokens and orders expire too early or too late where clocks differ.",
            "Which of the two is wrong: the other replicas say. `chronyc tracking` on the node.",
            "Mend the node's time service; until then, run no replica there.",
            'weft_clock_offset_seconds{job="weft",service="order",instance="a"}', "0+0x200", "-60+0x40",
        ),
        threshold(
            "TelemetryIsLost", TICKET, 'sum by (service) (rate(weft_spans_lost_total{job="weft"}[10m]) + rate(weft_logs_lost_total{job="weft"}[10m])) > 1', "30m",
            "{{ $labels.service }} loses spans or log lines", "overview",
            "The receiver of spans or log lines does not answer, or is too slow. Calls are not affected; traces have holes. Standard output has every line.",
            "The collector and what is behind it.",
            "Mend it, or lower `WEFT_TRACE_RATIO`.",
            'weft_spans_lost_total{job="weft",service="order"}', "30000+0x400", "0+600x60", "55m",
            others={'weft_logs_lost_total{job="weft",service="order"}': "0+0x500"},
        ),
        threshold(
            "FilesAreShort", TICKET, 'process_open_fds{job="weft"} / process_max_fds{job="weft"} > 0.8', "5m",
            "{{ $labels.instance }} of {{ $labels.service }} has nearly as many files open as it may", "overview",
            "A process will soon take no further connection.",
            "Whether streams grew in number, or descriptors leak.",
            "Restart the process; raise the limit.",
            'process_open_fds{job="weft",service="order",instance="a"}', "90+0x200", "950+0x40",
            others={'process_max_fds{job="weft",service="order",instance="a"}': "1024+0x250"},
        ),
    ]  # fmt: skip
