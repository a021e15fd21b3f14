import { expect, test } from 'vitest'
import { matching } from '../src/screens/runs/matching'
import type { Source } from '../src/screens/runs/merged'

const { signal } = new AbortController()

/** Numbers from 0 to `count`, a hundred a page, and how many pages were read. */
function numbers(count: number) {
  const read = { pages: 0 }
  const source: Source<number> = async (cursor = '0') => {
    read.pages += 1
    const first = Number(cursor)
    const items = Array.from({ length: Math.min(100, count - first) }, (_, index) => first + index)
    return { items, next_cursor: first + 100 < count ? String(first + 100) : null }
  }
  return { source, read }
}

test('pages are read until there are enough matches, and the next page goes on after them', async () => {
  const { source } = numbers(500)
  const even = matching(source, (number) => number % 2 === 0)
  const first = await even(undefined, signal)
  expect(first.items).toHaveLength(50)
  expect(first.next_cursor).toBe('100')
  const second = await even(first.next_cursor ?? undefined, signal)
  expect(second.items[0]).toBe(100)
})

test('a search without matches stops after a thousand rows, and can be continued', async () => {
  const { source, read } = numbers(5_000)
  const page = await matching(source, () => false)(undefined, signal)
  expect(page).toEqual({ items: [], next_cursor: '1000' })
  expect(read.pages).toBe(10)
})

test('the end of the list is the end of the search', async () => {
  const { source } = numbers(250)
  const page = await matching(source, (number) => number === 249)(undefined, signal)
  expect(page).toEqual({ items: [249], next_cursor: null })
})
