// The application: routes, checks, one error shape.
import { SpanStatusCode } from '@opentelemetry/api'
import Fastify from 'fastify'
import postgres from 'postgres'

import { Customers } from './customers.js'
import { Refused } from './refused.js'
import { errorOut, orderIn, orderOut, pageIn, pageOut, userOut } from './schemas.js'
import { Orders } from './store.js'
import { Verifier } from './tokens.js'
import { Tracing } from './tracing.js'

const JSON_TYPE = 'application/json; charset=utf-8'
const errors = { '4xx': errorOut, '5xx': errorOut }

export async function build (env = process.env) {
  const sql = postgres(env.PEER_DATABASE_URL.replace('+asyncpg', ''), {
    max: Number(env.PEER_POOL_SIZE),
    // Amounts are far below 2^53; times go to JSON as text.
    types: {
      bigint: { to: 20, from: [20], parse: Number, serialize: String },
      date: { to: 1184, from: [1184], parse: value => new Date(value).toISOString(), serialize: String }
    }
  })
  const tracing = new Tracing(env)
  const verifier = new Verifier(env)
  const customers = new Customers(env)
  const orders = new Orders(sql, tracing)
  const app = Fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } })
  app.decorateRequest('span', null)
  app.addHook('onRequest', (request, reply, done) => {
    request.span = tracing.request(request.method, request.routeOptions.url ?? '', request.headers)
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    request.span.setAttribute('http.response.status_code', reply.statusCode)
    request.span.end()
    done()
  })
  app.addHook('onClose', () => Promise.all([sql.end(), tracing.close()]))
  app.setErrorHandler(answer)

  app.post('/v1/orders', {
    schema: { body: orderIn, response: errors },
    onRequest: async request => { request.caller = verifier.caller(request, 'orders.write') }
  }, async (request, reply) => {
    const key = request.headers['idempotency-key'] ?? ''
    if (key.length < 1 || key.length > 255) {
      throw new Refused(400, 'IDEMPOTENCY_KEY_MISSING', 'The call needs an idempotency-key.')
    }
    const customerId = await customers.check(request.caller, request.body.customerId)
    const { body, replayed } = await orders.place(request.span, request.caller, key, customerId, request.body)
    if (replayed) reply.header('idempotency-replayed', 'true')
    // The stored bytes as they are, which the compiled serialisation wrote.
    return reply.code(201).type(JSON_TYPE).send(body)
  })

  app.get('/v1/orders/:orderId', { schema: { response: { 200: orderOut, ...errors } } }, request => {
    return orders.get(request.span, verifier.caller(request, 'orders.read'), request.params.orderId)
  })

  app.get('/v1/orders', { schema: { querystring: pageIn, response: { 200: pageOut, ...errors } } }, request => {
    const size = Math.min(Number(request.query.pageSize) || 50, 1000)
    return orders.page(request.span, verifier.caller(request, 'orders.read'), size, request.query.pageToken)
  })

  app.get('/v1/users/:userId', { schema: { response: { 200: userOut, ...errors } } }, async request => {
    verifier.caller(request, 'users.read')
    const [user] = await sql`
      SELECT user_id AS "userId", email, display_name AS "displayName", locale, state, partner_id AS "partnerId",
             create_time AS "createTime", update_time AS "updateTime" FROM users WHERE user_id = ${request.params.userId}`
    if (user === undefined) throw new Refused(404, 'USER_NOT_FOUND', 'There is no such user.')
    return user
  })

  // Before the first request.
  await sql`SELECT 1`
  return app
}

function answer (error, request, reply) {
  const status = error.statusCode ?? 500
  if (status >= 500) {
    request.span.recordException(error)
    request.span.setStatus({ code: SpanStatusCode.ERROR })
    console.error(error)
    return reply.code(500).send({ code: 500, reason: 'INTERNAL', message: 'The request failed.' })
  }
  return reply.code(status).send({ code: status, reason: error.reason ?? 'REQUEST_INVALID', message: error.message })
}
