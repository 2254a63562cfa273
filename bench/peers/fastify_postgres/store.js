// The order domain of peer (d): a statement for each request, with postgres.js. The function is that of peer (c).
import { createHash } from 'node:crypto'

import fastJson from 'fast-json-stringify'

import { Catalogue } from './catalogue.js'
import { newEtag, newId } from './ids.js'
import { Refused } from './refused.js'
import { orderIn, orderOut } from './schemas.js'
import { traceparent } from './tracing.js'

const ATTEMPTS = 3
const NOT_AS_SHOWN = 'WF001'
const UNIQUE_VIOLATION = '23505'
const canonical = fastJson(orderIn)
const render = fastJson(orderOut)

export class Orders {
  constructor (sql, tracing) {
    this.sql = sql
    this.tracing = tracing
    this.catalogue = new Catalogue(sql)
    this.columns = sql`
      o.order_id, o.customer_id, o.partner_id, o.payment_id, o.total_minor, o.currency, o.state, o.payment_state,
      o.external_reference, o.note, o.reason, o.etag, o.create_time, o.update_time,
      l.product_id, l.title, l.quantity, l.unit_price_minor`
  }

  // Places the order, or replays what the same key was answered with.
  async place (span, caller, key, customerId, body) {
    const fingerprint = createHash('sha256').update(canonical(body)).digest()
    try {
      return { body: await this.write(span, caller, key, fingerprint, customerId, body), replayed: false }
    } catch (error) {
      if (error.code !== UNIQUE_VIOLATION && !(error instanceof Refused)) throw error
      const [stored] = await this.sql`
        SELECT fingerprint, reply FROM idempotency WHERE caller = ${caller.subject} AND method = 'CreateOrder' AND key = ${key}`
      if (stored === undefined) {
        if (error.constraint_name === 'orders_external_reference') {
          throw new Refused(409, 'EXTERNAL_REFERENCE_TAKEN', 'The reference is in use.')
        }
        throw error
      }
      if (!fingerprint.equals(stored.fingerprint)) {
        throw new Refused(400, 'IDEMPOTENCY_KEY_REUSED', 'The key was used with another request.')
      }
      return { body: stored.reply, replayed: true }
    }
  }

  async write (span, caller, key, fingerprint, customerId, body) {
    const wanted = new Map()
    for (const { productId, quantity } of body.lines) wanted.set(productId, (wanted.get(productId) ?? 0) + quantity)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const order = await this.order(caller, customerId, wanted, body)
      const reply = Buffer.from(render(order))
      // In the order of their ids, in which they are locked.
      const lines = order.lines.map((line, position) => ({ ...line, position }))
      lines.sort((one, other) => one.productId < other.productId ? -1 : 1)
      const event = eventOf(caller, order)
      try {
        await this.tracing.statement(span, 'SELECT place_order', () => this.sql`SELECT place_order(
          ${caller.subject}, ${key}, ${fingerprint}, ${reply},
          ${order.orderId}, ${order.customerId}, ${order.partnerId}, ${order.paymentId}, ${order.total.amountMinor},
          ${order.total.currency}, ${order.externalReference}, ${order.note}, ${order.etag},
          ${body.paymentMethod}, ${order.createTime}, ${event.event_id}, ${event}, ${traceparent(span)},
          ${lines.map(line => line.productId)}, ${lines.map(line => line.position)}, ${lines.map(line => line.quantity)},
          ${lines.map(line => line.unitPrice.amountMinor)}, ${lines.map(line => line.title)})`)
        return reply
      } catch (error) {
        if (error.code !== NOT_AS_SHOWN) throw error
        await this.catalogue.read(wanted)
      }
    }
    throw new Refused(400, 'PRODUCT_CHANGED', 'The products change too often.')
  }

  async order (caller, customerId, wanted, body) {
    const articles = await this.catalogue.find(wanted)
    const currency = articles[0].currency
    const now = new Date().toISOString()
    const lines = []
    let total = 0
    for (const [productId, quantity] of wanted) {
      const article = articles[lines.length]
      lines.push({ productId, title: article.title, quantity, unitPrice: { amountMinor: article.price, currency } })
      total += article.price * quantity
    }
    return {
      orderId: newId('ord'),
      customerId,
      partnerId: caller.partnerId,
      lines,
      total: { amountMinor: total, currency },
      state: 'ORDER_STATE_PENDING',
      paymentState: 'PAYMENT_STATE_PENDING',
      paymentId: newId('pay'),
      externalReference: body.externalReference,
      note: body.note,
      reason: '',
      etag: newEtag(),
      createTime: now,
      updateTime: now
    }
  }

  async get (span, caller, orderId) {
    const { sql } = this
    const rows = await this.tracing.statement(span, 'SELECT orders', () => caller.partnerId
      ? sql`SELECT ${this.columns} FROM orders o JOIN order_lines l USING (order_id)
             WHERE o.order_id = ${orderId} AND o.partner_id = ${caller.partnerId} ORDER BY l.position`
      : sql`SELECT ${this.columns} FROM orders o JOIN order_lines l USING (order_id)
             WHERE o.order_id = ${orderId} AND o.customer_id = ${caller.subject} ORDER BY l.position`)
    if (rows.length === 0) throw new Refused(404, 'ORDER_NOT_FOUND', 'There is no such order.')
    return read(rows)
  }

  // A page of the caller's orders, newest first, and the key of the next one (empty on the last page).
  async page (span, caller, size, after) {
    const { sql } = this
    const owned = caller.partnerId ? sql`partner_id = ${caller.partnerId}` : sql`customer_id = ${caller.subject}`
    const rows = await this.tracing.statement(span, 'SELECT orders', () => sql`
      SELECT ${this.columns}
        FROM (SELECT * FROM orders WHERE ${owned} AND order_id < ${after || '~'} ORDER BY order_id DESC LIMIT ${size + 1}) o
        JOIN order_lines l USING (order_id) ORDER BY o.order_id DESC, l.position`)
    const orders = [...grouped(rows)].map(read)
    return { orders: orders.slice(0, size), nextPageToken: orders.length > size ? orders[size - 1].orderId : '' }
  }
}

// The rows of each order.
function grouped (rows) {
  const found = new Map()
  for (const row of rows) {
    if (found.has(row.order_id)) found.get(row.order_id).push(row)
    else found.set(row.order_id, [row])
  }
  return found.values()
}

function eventOf (caller, order) {
  return {
    event_id: newId('evt'),
    type: 'order.placed',
    aggregate_id: order.orderId,
    sequence: 1,
    actor: caller.subject,
    user_id: order.customerId,
    partner_id: order.partnerId,
    total: { amount_minor: order.total.amountMinor, currency: order.total.currency }
  }
}

function read (rows) {
  const first = rows[0]
  const { currency } = first
  return {
    orderId: first.order_id,
    customerId: first.customer_id,
    partnerId: first.partner_id,
    lines: rows.map(row => ({
      productId: row.product_id,
      title: row.title,
      quantity: row.quantity,
      unitPrice: { amountMinor: row.unit_price_minor, currency }
    })),
    total: { amountMinor: first.total_minor, currency },
    state: first.state,
    paymentState: first.payment_state,
    paymentId: first.payment_id,
    externalReference: first.external_reference,
    note: first.note,
    reason: first.reason,
    etag: first.etag,
    createTime: first.create_time,
    updateTime: first.update_time
  }
}
