import { useEffect, useRef, useState } from 'preact/hooks'
import { follow } from '../../auth/sockets'
import { type Resource, useResource } from '../../ui'
import type { RangeParams } from './range'

/** What each part of the dashboard is given: the range, and a number that grows when its figures may have changed. */
export interface Part {
  params: RangeParams
  changed: number
}

type Topic = 'kpis' | 'lead_trends' | 'conversation_trends'

/** Figures without a topic are read this long after the last change of those with one. */
const DEBOUNCE_MS = 2_000
/** Runs and calls to models have no topic here: their figures are read again while somebody looks. */
const POLL_MS = 30_000

/** Follow figures of a range. Returns a number that grows after a change, once nothing more comes for a moment. */
export function useLive<T>(topic: Topic, params: RangeParams, key: string, onData: (data: T) => void): number {
  const [changes, setChanges] = useState(0)
  const latest = useRef(onData)
  latest.current = onData
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let begun = false
    const unsubscribe = follow<T>('analytics', topic, {
      params: { ...params },
      onEvent: ({ data, snapshot }) => {
        latest.current(data)
        // After a lost connection a snapshot stands for changes that nobody saw.
        const first = snapshot && !begun
        begun = true
        if (first) return
        clearTimeout(timer)
        timer = setTimeout(() => setChanges((before) => before + 1), DEBOUNCE_MS)
      },
    })
    return () => {
      clearTimeout(timer)
      unsubscribe()
    }
  }, [topic, key])
  return changes
}

/** Figures of a range, read again after changes; with `poll` also every half minute while the page is looked at. */
export function useFigures<T>(part: Part, read: (signal: AbortSignal) => Promise<T>, poll = false): Resource<T> {
  const figures = useResource(read, [JSON.stringify(part.params)])
  useEffect(() => {
    if (part.changed > 0) figures.reload()
  }, [part.changed])
  useEffect(() => {
    if (!poll) return undefined
    const timer = setInterval(() => !document.hidden && figures.reload(), POLL_MS)
    return () => clearInterval(timer)
  }, [poll])
  return figures
}
