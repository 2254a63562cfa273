"""What every service is built on. It knows no domain and imports `contract`, `weft_client` and generated code only.

    app         the parts of one process: `build` adds handlers, workers and schedules; `start` and `stop` bracket its life
    process     the command line of a service: serve, migrate, bootstrap
    settings    what a process may be told, all as `WEFT_…`
    errors      the exceptions that become error reasons; `error_details` puts them into `google.rpc.Status`
    postgres    which server of the database is new enough
    server_state
                what the server of the database says of itself, as metrics
    ttl_cache   an in-process cache whose entries expire
    tasks       how they are ended for good
    clock, ids, times
                what almost every module needs

    values/     e-mail addresses, languages, currencies, time zones, texts
    commands/   commands of a service beside `serve`: queues, seed
    rpc/        a call, in and out: the server, the interceptor chain (authentication, authorization, validation,
                idempotency), pagination, deadlines; `builtin/` has health, reflection and the operators' QueueService
    queues/     work that outlives a call: queues, workers with retry and dead letters, the outbox, deduplication
    storage/    PostgreSQL and Valkey: statements, migrations, batching, batched reads, cache, retention
    security/   authentication: identity, tokens, TLS; signed tokens; encryption at rest
    telemetry/  traces, metrics, logs
    faults/     failure switches: what may be made to fail, and whether it is

docs/architecture.md follows a call, an event and a token through these files.
"""
