// The customer's look-up at the user service, and its short memory, as Weft's order service has it.
import { Refused } from './refused.js'

const REMEMBERED_MS = 30_000

export class Customers {
  constructor (env) {
    this.url = env.PEER_USERS_URL
    this.headers = { authorization: `Bearer ${env.PEER_USERS_TOKEN}` }
    this.known = new Map()
  }

  // The id of the one who buys; refuses who is no customer of the caller's.
  async check (caller, customerId) {
    if (!caller.partnerId) return caller.subject
    let known = this.known.get(customerId)
    if (known === undefined || known.until < Date.now()) {
      const reply = await fetch(`${this.url}/v1/users/${customerId}`, { headers: this.headers })
      known = { until: Date.now() + REMEMBERED_MS, partnerId: '' }
      if (reply.status !== 404) {
        if (!reply.ok) throw new Error(`the user service answered ${reply.status}`)
        known.partnerId = (await reply.json()).partnerId
        this.known.set(customerId, known)
      } else {
        await reply.arrayBuffer()
      }
    }
    if (known.partnerId !== caller.partnerId) throw new Refused(404, 'CUSTOMER_NOT_FOUND', 'The partner has no such customer.')
    return customerId
  }
}
