// Products, remembered: the write checks what an order says of them, so that a price that has changed is never charged.
import { Refused } from './refused.js'

const REMEMBERED = 100_000

export class Catalogue {
  constructor (sql) {
    this.sql = sql
    this.known = new Map()
  }

  // What the order asks for, a Map from product to quantity, in its order.
  async find (wanted) {
    let articles = this.remembered(wanted)
    if (articles === undefined) {
      await this.read(wanted)
      articles = this.remembered(wanted)
    }
    if (articles.some(article => article.currency !== articles[0].currency)) {
      throw new Refused(400, 'CURRENCY_MIXED', 'The products have different currencies.')
    }
    return articles
  }

  remembered (wanted) {
    const articles = []
    for (const productId of wanted.keys()) {
      const article = this.known.get(productId)
      if (article === undefined) return undefined
      articles.push(article)
    }
    return articles
  }

  // Reads the products again; refuses the order where they cannot be ordered so.
  async read (wanted) {
    if (this.known.size > REMEMBERED) this.known.clear()
    for (const productId of wanted.keys()) this.known.delete(productId)
    const rows = await this.sql`
      SELECT product_id, title, price_minor, currency, active, stock FROM products WHERE product_id = ANY(${[...wanted.keys()]})`
    const found = new Map(rows.map(row => [row.product_id, row]))
    for (const [productId, quantity] of wanted) {
      const row = found.get(productId)
      if (row === undefined) throw new Refused(404, 'PRODUCT_NOT_FOUND', `There is no product ${productId}.`)
      if (!row.active) throw new Refused(400, 'PRODUCT_INACTIVE', `${productId} cannot be ordered.`)
      if (row.stock < quantity) {
        throw new Refused(400, 'OUT_OF_STOCK', `Only ${row.stock} of ${productId} are left and ${quantity} were asked for.`)
      }
    }
    for (const row of rows) {
      this.known.set(row.product_id, { title: row.title, price: row.price_minor, currency: row.currency })
    }
  }
}
