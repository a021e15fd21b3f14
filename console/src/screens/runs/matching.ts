import type { Source } from './merged'

/** Rows that are searched before the list asks whether to go on. */
const SEARCHED = 1_000
const ENOUGH = 25

/** The rows of a list that `matches`, page by page: a page ends after some matches, or after many rows without them. */
export function matching<T>(source: Source<T>, matches: (row: T) => boolean): Source<T> {
  return async (cursor, signal) => {
    const items: T[] = []
    let next = cursor
    for (let searched = 0; searched < SEARCHED && items.length < ENOUGH; ) {
      const page = await source(next, signal)
      items.push(...page.items.filter(matches))
      if (!page.next_cursor) return { items, next_cursor: null }
      next = page.next_cursor
      searched += Math.max(page.items.length, 1)
    }
    return { items, next_cursor: next ?? null }
  }
}
