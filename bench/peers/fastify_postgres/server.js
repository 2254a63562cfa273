// Serves peer (d): `node server.js host:port workers`; a worker per core, whose connections the primary hands out in turn.
import cluster from 'node:cluster'

import { build } from './app.js'

const [address, workers] = process.argv.slice(2)

if (cluster.isPrimary) {
  process.on('SIGTERM', () => cluster.disconnect(() => process.exit(0)))
  for (let number = 0; number < Number(workers); number++) cluster.fork()
} else {
  const [host, port] = address.split(':')
  const app = await build()
  await app.listen({ host, port: Number(port) })
  console.log('worker ready')
  process.on('disconnect', () => app.close().then(() => process.exit(0)))
}
