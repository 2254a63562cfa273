// The ids of the bench: a prefix and a UUIDv7 in Crockford's base 32.
import { randomFillSync } from 'node:crypto'

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const POOL = Buffer.alloc(16 * 512)
let used = POOL.length

function random () {
  if (used === POOL.length) {
    randomFillSync(POOL)
    used = 0
  }
  used += 16
  return POOL.subarray(used - 16, used)
}

export function newEtag () {
  return random().toString('hex', 0, 8)
}

export function newId (prefix) {
  const bytes = random()
  const now = Date.now()
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  // 128 bits are 26 letters of five bits, the first of which has three.
  let text = ALPHABET[bytes[0] >> 5]
  let value = bytes[0] & 31
  let bits = 5
  for (let index = 1; index < 16; index++) {
    value = (value << 8) | bytes[index]
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += ALPHABET[(value >> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return `${prefix}_${text}`
}
