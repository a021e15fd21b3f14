// Prints what a browser loads of the console, gzipped, and fails beyond the bound.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'

const BOUND = 150 * 1024
const folder = process.argv[2]

const sizes = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => [relative(folder, path), gzipSync(readFileSync(path), { level: 6 }).length])
  .sort((one, other) => other[1] - one[1])
const total = sizes.reduce((sum, [, size]) => sum + size, 0)
if (process.argv.includes('--all') || total > BOUND) {
  for (const [name, size] of sizes) console.log(`${String(size).padStart(8)}  ${name}`)
}
console.log(`console: ${(total / 1024).toFixed(1)} KB gzipped in ${sizes.length} files, of at most ${BOUND / 1024} KB`)
process.exit(total > BOUND ? 1 : 0)
