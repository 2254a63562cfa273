// Why a request is not done, in the words of every peer.
export class Refused extends Error {
  constructor (status, reason, message) {
    super(message)
    this.statusCode = status
    this.reason = reason
  }
}
