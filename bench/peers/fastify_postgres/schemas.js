// Requests and replies as JSON Schema, which Fastify compiles: the bounds of Weft's contract.
const ID = '[0-7][0-9a-hjkmnp-tv-z]{25}$'
const text = { type: 'string' }
const count = { type: 'integer' }

export const orderIn = {
  type: 'object',
  additionalProperties: false,
  required: ['lines', 'paymentMethod'],
  properties: {
    customerId: { type: 'string', pattern: `^$|^me$|^usr_${ID}`, default: '' },
    lines: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['productId', 'quantity'],
        properties: {
          productId: { type: 'string', pattern: `^prd_${ID}` },
          quantity: { type: 'integer', minimum: 1, maximum: 1000 }
        }
      }
    },
    paymentMethod: { type: 'string', pattern: '^pm_[A-Za-z0-9_]{1,96}$' },
    externalReference: { type: 'string', maxLength: 100, default: '' },
    note: { type: 'string', maxLength: 500, default: '' }
  }
}

const money = { type: 'object', properties: { amountMinor: count, currency: text } }

export const orderOut = {
  type: 'object',
  properties: {
    orderId: text,
    customerId: text,
    partnerId: text,
    lines: {
      type: 'array',
      items: { type: 'object', properties: { productId: text, title: text, quantity: count, unitPrice: money } }
    },
    total: money,
    state: text,
    paymentState: text,
    paymentId: text,
    externalReference: text,
    note: text,
    reason: text,
    etag: text,
    createTime: text,
    updateTime: text
  }
}

export const pageIn = {
  type: 'object',
  properties: {
    pageSize: { type: 'string', pattern: '^[0-9]{1,9}$', default: '50' },
    pageToken: { type: 'string', maxLength: 1000, default: '' }
  }
}

export const pageOut = { type: 'object', properties: { orders: { type: 'array', items: orderOut }, nextPageToken: text } }

export const userOut = {
  type: 'object',
  properties: {
    userId: text,
    email: text,
    displayName: text,
    locale: text,
    state: text,
    partnerId: text,
    createTime: text,
    updateTime: text
  }
}

export const errorOut = { type: 'object', properties: { code: count, reason: text, message: text } }
