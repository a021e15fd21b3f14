import { useEffect, useState } from 'preact/hooks'
import { ApiError } from '../api/errors'
import { follow } from '../auth/sockets'
import { applyRunEvent, emptyRun, type RunEvent, type RunView, TERMINAL } from '../client'

export interface LiveRun {
  /** Undefined until its first snapshot. */
  view: RunView | undefined
  error: ApiError | undefined
  ended: boolean
}

/**
 * A run as it happens: exact while it streams, after a reconnect, and when it is opened late. Null follows none; another
 * `round` follows it anew.
 */
export function useLiveRun(id: string | null, round = 0): LiveRun {
  const [view, setView] = useState<RunView | undefined>(undefined)
  const [error, setError] = useState<ApiError | undefined>(undefined)
  useEffect(() => {
    setView(undefined)
    setError(undefined)
    if (id === null) return undefined
    // Tokens come faster than a screen shows them: what came since the last frame is drawn at once.
    let current = emptyRun()
    let frame = 0
    const draw = () => {
      frame = 0
      setView(current)
    }
    const unsubscribe = follow<RunEvent>('workflows', `workflow_run:${id}`, {
      onEvent: (event) => {
        current = applyRunEvent(current, event)
        // A hidden tab draws no frames, but its state must be current.
        if (document.hidden || TERMINAL.has(current.status)) draw()
        else frame ||= requestAnimationFrame(draw)
      },
      onError: ({ message }) => setError(new ApiError(404, 'NOT_FOUND', message)),
    })
    return () => {
      cancelAnimationFrame(frame)
      unsubscribe()
    }
  }, [id, round])
  return { view, error, ended: view !== undefined && TERMINAL.has(view.status) }
}

/** The text that a run writes now: of its present step, or of the only one that has any. */
export function liveText(view: RunView): string {
  if (view.step !== null && view.texts[view.step]) return view.texts[view.step] as string
  return Object.values(view.texts).find((text) => text !== '') ?? ''
}
