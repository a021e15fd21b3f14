import { useEffect, useRef } from 'preact/hooks'
import { seesAll } from '../../auth/session'
import { connections, listen } from '../../auth/sockets'

/** Administrators' lists have rows of other users, without their events. */
const EVERY_MS = 5_000
const PAUSE_MS = 400

/** Calls `refresh` soon after the user's own runs changed, after a lost connection, and for administrators in intervals. */
export function useRunChanges(refresh: () => void): void {
  const latest = useRef(refresh)
  latest.current = refresh
  const state = connections.value.workflows
  const before = useRef(state)

  useEffect(() => {
    if (state === 'open' && before.current !== 'open' && before.current !== undefined) latest.current()
    before.current = state
  }, [state])

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = undefined
        latest.current()
      }, PAUSE_MS)
    }
    const end = listen('workflows', (frame) => {
      if (frame.type === 'workflow_status_update') soon()
    })
    return () => {
      clearTimeout(timer)
      end()
    }
  }, [])

  useEffect(() => {
    if (!seesAll.value) return undefined
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') latest.current()
    }, EVERY_MS)
    return () => clearInterval(timer)
  }, [seesAll.value])
}
