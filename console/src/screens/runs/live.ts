import { useEffect, useMemo, useRef } from 'preact/hooks'
import { seesAll } from '../../auth/session'
import { listen } from '../../auth/sockets'
import { oneAtATime } from './one-at-a-time'

/** Administrators' lists have rows of other users, without their events. */
const EVERY_MS = 5_000
const PAUSE_MS = 400

/** Calls `refresh` soon after the user's own runs changed, when the channel opens, and for administrators in intervals. */
export function useRunChanges(refresh: () => Promise<void>): void {
  const latest = useRef(refresh)
  latest.current = refresh
  // Of two reads that overlap, the older response could come last.
  const read = useMemo(() => oneAtATime(() => latest.current()), [])

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = undefined
        void read()
      }, PAUSE_MS)
    }
    const end = listen(
      'workflows',
      (frame) => {
        if (frame.type === 'workflow_status_update') soon()
      },
      () => void read(),
    )
    return () => {
      clearTimeout(timer)
      end()
    }
  }, [])

  useEffect(() => {
    if (!seesAll.value) return undefined
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void read()
    }, EVERY_MS)
    return () => clearInterval(timer)
  }, [seesAll.value])
}
