// Two spans a request, the server's and the statement's, of the stock SDK without its instrumentation.
import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BasicTracerProvider, BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler
} from '@opentelemetry/sdk-trace-base'

const propagator = new W3CTraceContextPropagator()

export class Tracing {
  constructor (env) {
    const url = env.PEER_OTLP_ENDPOINT
    this.provider = new BasicTracerProvider({
      resource: resourceFromAttributes({ 'service.name': 'peer-d' }),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(Number(env.PEER_TRACE_RATIO)) }),
      spanProcessors: url ? [new BatchSpanProcessor(new OTLPTraceExporter({ url }), { maxQueueSize: 16384 })] : []
    })
    this.tracer = this.provider.getTracer('peer-d')
  }

  request (method, route, headers) {
    const parent = 'traceparent' in headers ? propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter) : ROOT_CONTEXT
    const attributes = { 'http.request.method': method, 'http.route': route, 'url.scheme': 'http' }
    return this.tracer.startSpan(`${method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent)
  }

  async statement (within, text, run) {
    const attributes = { 'db.system.name': 'postgresql', 'db.query.text': text }
    const span = this.tracer.startSpan('SELECT peer', { kind: SpanKind.CLIENT, attributes }, trace.setSpan(ROOT_CONTEXT, within))
    try {
      return await run()
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.code })
      throw error
    } finally {
      span.end()
    }
  }

  close () {
    return this.provider.shutdown()
  }
}

export function traceparent (span) {
  const { traceId, spanId, traceFlags } = span.spanContext()
  return `00-${traceId}-${spanId}-0${traceFlags}`
}
