// Access tokens verified by fast-jwt, and remembered as long as they live.
import { createVerifier } from 'fast-jwt'

import { Refused } from './refused.js'

const CACHED = 10_000

export class Verifier {
  constructor (env) {
    this.check = createVerifier({
      key: env.PEER_JWT_PUBLIC_KEY,
      algorithms: ['ES256'],
      allowedAud: 'weft',
      allowedIss: env.PEER_ISSUER ?? 'https://weft.local',
      requiredClaims: ['exp', 'sub', 'aud', 'iss']
    })
    this.known = new Map()
  }

  caller (request, scope) {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '')
    let caller = this.known.get(token)
    if (caller === undefined || caller.expires <= Date.now()) {
      caller = this.read(token)
      if (this.known.size >= CACHED) this.known.clear()
      this.known.set(token, caller)
    }
    if (!caller.scopes.has(scope)) throw new Refused(403, 'SCOPE_MISSING', `The token lacks the scope ${scope}.`)
    return caller
  }

  read (token) {
    try {
      const claims = this.check(token)
      const scopes = new Set((claims.scope ?? '').split(' '))
      return { subject: claims.sub, partnerId: claims.partner ?? '', scopes, expires: claims.exp * 1000 }
    } catch {
      throw new Refused(401, 'UNAUTHENTICATED', 'The token is not valid.')
    }
  }
}
