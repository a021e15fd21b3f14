// Prints what @asyncapi/parser finds wrong with the document named by DOCUMENT, and which operations it reads there.
import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'

const { document, diagnostics } = await new Parser().parse(readFileSync(process.env.DOCUMENT, 'utf8'))
const faults = diagnostics.filter(({ severity }) => severity < 2)
console.log(
  JSON.stringify({
    faults: faults.map(({ path, message }) => `${path.join('.')}: ${message}`),
    operations: document?.operations().all().map((operation) => operation.id()),
  }),
)
