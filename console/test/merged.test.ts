import { expect, test } from 'vitest'
import { merged, refreshed, type Source } from '../src/screens/runs/merged'

interface Row {
  id: string
  created_at: string
}

const row = (at: number, id = `r${at}`): Row => ({ id, created_at: String(at).padStart(6, '0') })

/** A list of the API with pages of `size`, which counts how often it was asked. */
function source(rows: Row[], size: number): Source<Row> & { asked: () => number } {
  let asked = 0
  const read: Source<Row> = async (cursor) => {
    asked++
    const from = cursor ? Number(cursor) : 0
    const items = rows.slice(from, from + size)
    return { items, next_cursor: from + size < rows.length ? String(from + size) : null }
  }
  return Object.assign(read, { asked: () => asked })
}

async function all(read: Source<Row>): Promise<Row[][]> {
  const pages: Row[][] = []
  let cursor: string | null | undefined
  do {
    const page = await read(cursor ?? undefined, new AbortController().signal)
    pages.push(page.items)
    cursor = page.next_cursor
  } while (cursor)
  return pages
}

const down = (...times: number[]) => times.map((at) => row(at))

test.each([
  ['interleaved', down(9, 7, 5, 3, 1), down(8, 6, 4, 2)],
  ['one much newer', down(99, 98, 97, 96, 95, 94), down(3, 2, 1)],
  ['one empty', [], down(5, 4, 3, 2, 1)],
  ['both empty', [], []],
  ['of one moment', [row(5, 'c'), row(5, 'a')], [row(5, 'd'), row(5, 'b')]],
])('two lists are one, newest first, each row once: %s', async (_, one, other) => {
  for (const size of [1, 2, 3, 50]) {
    const pages = await all(merged([source(one, size), source(other, size)]))
    const expected = [...one, ...other].sort((a, b) =>
      a.created_at === b.created_at ? (a.id < b.id ? 1 : -1) : a.created_at < b.created_at ? 1 : -1,
    )
    expect(pages.flat()).toEqual(expected)
  }
})

test('a list that was read to its end is not asked again', async () => {
  const short = source(down(3), 2)
  await all(merged([source(down(9, 8, 7, 6, 5, 4), 2), short]))
  expect(short.asked()).toBe(1)
})

test('after the first page was read again, older rows stay and those that no longer match go', () => {
  const shown = down(9, 8, 7, 6, 5)
  const first = { items: down(11, 9, 7), next_cursor: 'more' }
  expect(refreshed(shown, first)).toEqual(down(11, 9, 7, 6, 5))
  expect(refreshed(shown, { items: down(11), next_cursor: null })).toEqual(down(11))
})
