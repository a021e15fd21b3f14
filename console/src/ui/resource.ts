import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type ApiError, asApiError } from '../api/errors'

export interface Resource<T> {
  data: T | undefined
  error: ApiError | undefined
  loading: boolean
  /** Reloads it; the shown data stays meanwhile. */
  reload: () => void
  /** Change what is shown, for instance by what an event brought. Nothing happens once `deps` have changed. */
  update: (change: (data: T) => T) => void
}

interface State<T> {
  data: T | undefined
  error: ApiError | undefined
  loading: boolean
}

const NOTHING = { data: undefined, error: undefined, loading: true }
/** Milliseconds before a request that failed offline is retried. */
const RETRY_MS = 5_000

/** Data of the API for a screen, reloaded when `deps` change. Lost connections are retried silently. */
export function useResource<T>(read: (signal: AbortSignal) => Promise<T>, deps: readonly unknown[]): Resource<T> {
  const [state, setState] = useState<State<T>>(NOTHING)
  const latest = useRef(read)
  latest.current = read
  const running = useRef<AbortController | undefined>(undefined)
  const retry = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)

  const reload = useCallback(() => {
    clearTimeout(retry.current)
    running.current?.abort()
    const controller = new AbortController()
    running.current = controller
    const { signal } = controller
    setState((before) => ({ ...before, loading: true }))
    latest.current(signal).then(
      (data) => {
        if (!signal.aborted) setState({ data, error: undefined, loading: false })
      },
      (reason) => {
        if (signal.aborted) return
        const error = asApiError(reason)
        setState((before) => ({ ...before, error, loading: false }))
        if (error.code === 'OFFLINE' || error.status === 503) retry.current = setTimeout(reload, RETRY_MS)
      },
    )
  }, [])

  useEffect(() => {
    setState(NOTHING)
    reload()
    return () => {
      clearTimeout(retry.current)
      running.current?.abort()
    }
  }, deps)

  // A response that was requested for other `deps` may come late, and would be merged into these data.
  const subject = useMemo(() => ({}), deps)
  const shown = useRef(subject)
  shown.current = subject
  const update = useCallback(
    (change: (data: T) => T) => {
      if (shown.current !== subject) return
      setState((before) => (before.data === undefined ? before : { ...before, data: change(before.data) }))
    },
    [subject],
  )
  return { ...state, reload, update }
}

export interface Page<T> {
  items: T[]
  next_cursor?: string | null
}

export interface Pages<T> {
  items: T[] | undefined
  error: ApiError | undefined
  loading: boolean
  /** Whether there are further pages. */
  more: boolean
  loadMore: () => void
  reload: () => void
  update: (change: (items: T[]) => T[]) => void
}

/** A list of the API, page by page by its cursors: `usePages((cursor, signal) => ask(api.GET(...)), [filters])`. */
export function usePages<T>(
  read: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>,
  deps: readonly unknown[],
): Pages<T> {
  const first = useResource((signal) => read(undefined, signal), deps)
  const [busy, setBusy] = useState(false)
  const [failed, setFailed] = useState<ApiError | undefined>(undefined)
  const page = first.data
  const cursor = page?.next_cursor ?? undefined

  const loadMore = async () => {
    if (!cursor || busy) return
    setBusy(true)
    setFailed(undefined)
    try {
      const next = await read(cursor, new AbortController().signal)
      first.update((now) =>
        now.next_cursor === cursor
          ? { items: [...now.items, ...next.items], next_cursor: next.next_cursor ?? null }
          : now,
      )
    } catch (reason) {
      setFailed(asApiError(reason))
    }
    setBusy(false)
  }
  return {
    items: page?.items,
    error: first.error ?? failed,
    loading: first.loading || busy,
    more: cursor !== undefined,
    loadMore: () => void loadMore(),
    reload: first.reload,
    update: (change) => first.update((now) => ({ ...now, items: change(now.items) })),
  }
}

/** The present time, renewed every `ms` while `running`: for ages and for durations that go on. */
export function useNow(ms = 1000, running = true): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!running) return undefined
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), ms)
    return () => clearInterval(timer)
  }, [ms, running])
  return now
}
