import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const SOURCES = join(import.meta.dirname, '..', 'src')

/** The classes that a style sheet gives a look of their own, outside of any other class. */
function classesOf(file: string): string[] {
  const text = readFileSync(join(SOURCES, file), 'utf8')
  return [...new Set([...text.matchAll(/^\.([a-z-]+) \{/gm)].map(([, name]) => name as string))]
}

test('a class has its look in one style sheet, since all of them reach every screen', () => {
  const sheets = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.css'))
  const owners = new Map<string, string[]>()
  for (const sheet of sheets)
    for (const name of classesOf(sheet)) owners.set(name, [...(owners.get(name) ?? []), sheet])
  expect(sheets.length).toBeGreaterThan(5)
  expect([...owners].filter(([, found]) => found.length > 1)).toEqual([])
})
