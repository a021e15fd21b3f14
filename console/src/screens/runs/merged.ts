import type { Page } from '../../ui'

/** What lists are merged by: newest first, as the API sorts them. */
interface Dated {
  id: string
  created_at: string
}

interface SourceState<T> {
  /** Read, and older than what the other source has not shown yet. */
  rest: T[]
  /** Undefined: not read yet. Null: read to its end. */
  cursor: string | null | undefined
}

export type Source<T> = (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>

/**
 * Several lists of the API as one, newest first, page by page. The cursor of a page holds the cursors of its sources, and
 * what was read of one while another may have newer rows.
 */
export function merged<T extends Dated>(sources: Source<T>[]): Source<T> {
  return async (cursor, signal) => {
    const before: SourceState<T>[] = cursor
      ? JSON.parse(cursor)
      : sources.map((): SourceState<T> => ({ rest: [], cursor: undefined }))
    const states = await Promise.all(before.map((state, index) => filled(state, sources[index] as Source<T>, signal)))
    // A source with further pages may have rows just below its last one, so nothing older may be shown yet.
    const floor = states.filter(({ cursor: next }) => next !== null).map(({ rest }) => rest[rest.length - 1])
    const shown = (row: T) => floor.every((last) => last === undefined || newestFirst(row, last) <= 0)
    const items = states.flatMap(({ rest }) => rest.filter(shown)).sort(newestFirst)
    const next = states.map((state) => ({ ...state, rest: state.rest.filter((row) => !shown(row)) }))
    const more = next.some(({ rest, cursor: on }) => rest.length > 0 || on !== null)
    return { items, next_cursor: more ? JSON.stringify(next) : null }
  }
}

async function filled<T>(state: SourceState<T>, read: Source<T>, signal: AbortSignal): Promise<SourceState<T>> {
  if (state.rest.length > 0 || state.cursor === null) return state
  const page = await read(state.cursor, signal)
  return { rest: page.items, cursor: page.next_cursor ?? null }
}

export function newestFirst(one: Dated, other: Dated): number {
  if (one.created_at !== other.created_at) return one.created_at < other.created_at ? 1 : -1
  return one.id < other.id ? 1 : one.id > other.id ? -1 : 0
}

/** The list after its first page was read again: what is older than that page stays. */
export function refreshed<T extends Dated>(items: T[], first: Page<T>): T[] {
  const last = first.items[first.items.length - 1]
  if (!first.next_cursor) return first.items
  if (!last) return items
  return [...first.items, ...items.filter((row) => newestFirst(row, last) > 0)]
}
