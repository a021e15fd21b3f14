import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type AgentRun, ApiError, api, ask, type WorkflowRun } from '../../api'
import { follow } from '../../auth/sockets'
import { applyRunEvent, emptyRun, type RunEvent, type RunView } from '../../client'
import { type Resource, useResource } from '../../ui'
import { type AnyRun, withStates } from './state'

/** Between two reads of the run while its states change quickly. */
const PAUSE_MS = 300
/** Between two drawings of the text that comes in. */
const DRAW_MS = 60

/** A run of either kind; the console's address does not distinguish them. */
export async function readRun(id: string, kind: AnyRun['kind'] | undefined, signal?: AbortSignal): Promise<AnyRun> {
  const options = signal ? { signal } : {}
  const agent = (): Promise<AgentRun> =>
    ask(api.GET('/api/agents/runs/{request_id}', { params: { path: { request_id: id } }, ...options }))
  const workflow = (): Promise<WorkflowRun> =>
    ask(
      api.GET('/api/agents/workflows/runs/{workflow_run_id}', {
        params: { path: { workflow_run_id: id } },
        ...options,
      }),
    )
  if (kind) return kind === 'agent' ? agent() : workflow()
  try {
    return await agent()
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return workflow()
    throw error
  }
}

export interface LiveRun {
  /** As the API has it, with the newest states of the events over it. */
  run: Resource<AnyRun>
  /** What running steps have written so far, by their keys. */
  texts: Record<string, string>
  /** The beginning of a text is missing: it outgrew what is stored of running steps. */
  truncated: boolean
  retryingWith: string | null
  /** Show the run that an action returned. */
  replace: (run: AnyRun) => void
}

interface Read {
  run: AnyRun
  /** How many states had come when it was asked for. */
  states: number
}

/** A run while it happens: read from the API, and again after each change that its topic brings. */
export function useRun(id: string): LiveRun {
  const kind = useRef<AnyRun['kind'] | undefined>(undefined)
  const states = useRef(0)
  const view = useRef<RunView>(emptyRun())
  const [shown, setShown] = useState<{ view: RunView; states: number }>({ view: view.current, states: 0 })

  const read = useResource<Read>(
    async (signal) => {
      const before = states.current
      const run = await readRun(id, kind.current, signal)
      kind.current = run.kind
      return { run, states: before }
    },
    [id],
  )

  useEffect(() => {
    kind.current = undefined
    view.current = emptyRun()
    states.current = 0
    setShown({ view: view.current, states: 0 })
    let reading: ReturnType<typeof setTimeout> | undefined
    let drawing: ReturnType<typeof setTimeout> | undefined
    const readSoon = () => {
      reading ??= setTimeout(() => {
        reading = undefined
        read.reload()
      }, PAUSE_MS)
    }
    const drawSoon = () => {
      drawing ??= setTimeout(() => {
        drawing = undefined
        setShown({ view: view.current, states: states.current })
      }, DRAW_MS)
    }
    const end = follow<RunEvent>('workflows', `workflow_run:${id}`, {
      onEvent: (frame) => {
        view.current = applyRunEvent(view.current, frame)
        if (frame.data.delta === undefined) {
          states.current++
          readSoon()
        }
        drawSoon()
      },
    })
    return () => {
      clearTimeout(reading)
      clearTimeout(drawing)
      end()
    }
  }, [id])

  const found = read.data
  const run = useMemo(() => {
    if (!found || found.states >= shown.states) return found?.run
    return withStates(found.run, shown.view)
  }, [found, shown])
  return {
    run: {
      ...read,
      data: run,
      update: (change) => read.update((now) => ({ ...now, run: change(now.run) })),
    },
    texts: shown.view.texts,
    truncated: shown.view.truncated,
    retryingWith: shown.view.retryingWith,
    replace: (next) => read.update(() => ({ run: next, states: states.current })),
  }
}
