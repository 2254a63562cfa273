"""The alerts about money, messages and partners."""

from codegen.observability.alerts import PAGE, TICKET, Alert, Case, threshold


def money_and_messages() -> list[Alert]:
    """Payments, and what is sent to people."""
    mails = 'weft_deliveries_total{job="weft",service="notification",channel="EMAIL",reason="REFUSED",state="FAILED"}'
    sent = 'weft_deliveries_total{job="weft",service="notification",channel="EMAIL",reason="",state="SENT"}'
    failed = 'weft_payments_total{job="weft",service="order",mode="LIVE",outcome="FAILED"}'
    authorized = failed.replace("FAILED", "AUTHORIZED")
    decided = 'sum(increase(weft_payments_total{{job="weft",mode="LIVE",outcome=~"{}"}}[15m]))'
    return [
        threshold(
            "BooksDiffer", PAGE, 'sum by (provider, kind) (increase(weft_payment_discrepancies_total{job="weft"}[1h])) > 0', "0m",
            "the books of {{ $labels.provider }} and ours differ: {{ $labels.kind }}", "payments",
            "The reconciliation has found a payment that the provider knows otherwise than we do. It is money.",
            "The list of open discrepancies (`ListDiscrepancies`), and the events of the payment.",
            "An operator resolves each one, with a reason. None is resolved by itself.",
            'weft_payment_discrepancies_total{job="weft",service="order",provider="stripe",kind="AMOUNT"}', "3000+0x200", "0+60x40",
        ),
        Alert(
            "DeliveriesFail", TICKET,
            'sum by (channel) (increase(weft_deliveries_total{job="weft",state="FAILED"}[30m])) > 10'
            ' and sum by (channel) (increase(weft_deliveries_total{job="weft",state="FAILED"}[30m]))'
            ' > 0.2 * sum by (channel) (increase(weft_deliveries_total{job="weft"}[30m]))',
            "5m", "more than a fifth of what goes out by {{ $labels.channel }} fails",
            "Mails, texts or pushes are refused for good.",
            "The dashboard deliveries: by which reason. The provider's own status.",
            "Mend the sender's reputation or credentials; what has failed is not repeated.",
            "deliveries",
            (
                Case({mails: "0+20x100", sent: "0+20x100"}, "50m", 1),
                Case({mails: "0+20x100", sent: "0+400x100"}, "50m", 0),
                Case({mails: "0+0x40 1+0x60", sent: "0+0x100"}, "50m", 0),
            ),
        ),
        Alert(
            "PaymentsAreDeclined", TICKET,
            f'{decided.format("FAILED")} > 10 and {decided.format("FAILED")} > 0.5 * {decided.format("FAILED|AUTHORIZED")}',
            "2m", "most payments are declined",
            "The provider declines more payments than it authorizes: its rules have changed, our account is limited, or somebody tries stolen cards.",
            "The dashboard payments, and the failure codes of the orders (`GetOrder`). The provider's own status.",
            "Ask the provider. Against card testing: lower the limits of who places the orders, or close their accounts.",
            "payments",
            (
                Case({failed: "0+5x100", authorized: "0+2x100"}, "30m", 1),
                Case({failed: "0+5x100", authorized: "0+50x100"}, "30m", 0),
                Case({failed: "0+0x20 1+0x100", authorized: "0+0x120"}, "30m", 0),
                Case({failed: "0+5x40 200+0x100", authorized: "0+2x150"}, "90m", 0),
            ),
        ),
    ]  # fmt: skip


def partners() -> list[Alert]:
    """What partners notice."""
    unanswered = 'weft_webhook_attempts_total{job="weft",service="notification",outcome="CONNECTION"}'
    answered = unanswered.replace("CONNECTION", "SUCCEEDED")
    forged = 'sum by (provider) (increase(weft_{}_events_total{{job="weft",outcome="badly signed"}}[15m]))'
    return [
        Alert(
            "WebhooksFail", TICKET,
            'sum(increase(weft_webhook_attempts_total{job="weft",outcome!="SUCCEEDED"}[15m])) > 20'
            ' and sum(increase(weft_webhook_attempts_total{job="weft",outcome!="SUCCEEDED"}[15m]))'
            ' > 0.8 * sum(increase(weft_webhook_attempts_total{job="weft"}[15m]))',
            "2m", "nearly no webhook reaches its receiver",
            "One receiver that is away is its partner's to mend. Where nearly all attempts fail, we are the likelier cause: no way out, no names, no certificates of authorities.",
            "The dashboard deliveries: by which outcome; `ListWebhookDeliveries` of an endpoint has the answers.",
            "Mend the way out. Attempts are repeated for three days, and endpoints are disabled only after that.",
            "deliveries",
            (
                Case({unanswered: "0+10x100", answered: "0+1x100"}, "30m", 1),
                Case({unanswered: "0+10x100", answered: "0+30x100"}, "30m", 0),
                Case({unanswered: "0+0x20 1+0x100", answered: "0+0x120"}, "30m", 0),
                Case({unanswered: "0+10x40 400+0x100", answered: "0+1x150"}, "90m", 0),
            ),
        ),
        threshold(
            "EventsOfProvidersAreForged", TICKET, f'{forged.format("provider")} > 10 or {forged.format("delivery")} > 10', "0m",
            "events that claim to be from {{ $labels.provider }} are badly signed", "payments",
            "Somebody forges events, or our secret is not the provider's any more. Nothing of them is believed.",
            "Whether properly signed events still come.",
            "If none do, set `WEFT_STRIPE_WEBHOOK_SECRET` again, `WEFT_SENDGRID_EVENT_KEYS`, or the token in `WEFT_SMS_URL`. Otherwise nothing.",
            'weft_provider_events_total{job="weft",service="order",provider="stripe",outcome="badly signed"}', "3000+0x200", "0+60x40",
        ),
        threshold(
            "UsageIsLost", TICKET, 'sum by (service) (increase(weft_usage_lost_calls_total{job="weft"}[15m])) > 0', "0m",
            "calls of partners of {{ $labels.service }} are counted nowhere", "overview",
            "A process could not report what it has counted for partners' bills, and has given it up.",
            "Whether the user service answers (`weft_client_breaker_state`).",
            "Help the user service. The calls are in the access log, if they matter.",
            'weft_usage_lost_calls_total{job="weft",service="order"}', "3000+0x200", "0+60x40",
        ),
    ]  # fmt: skip
