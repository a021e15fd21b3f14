import type { AgentRun, components, WorkflowRun } from '../../api'
import { type RunView, TERMINAL } from '../../client'
import { curl } from '../../live/curl'
import type { Bar } from '../../ui'

export type AnyRun = AgentRun | WorkflowRun
export type Step = components['schemas']['StepBody']

const STEP_ENDED = new Set(['completed', 'failed', 'skipped', 'cancelled'])

/** The run with the states that events brought after it was read. */
export function withStates(run: AnyRun, view: RunView): AnyRun {
  const states = statesOf(view.steps)
  const steps = run.steps.map((step) => {
    const state = run.kind === 'agent' ? ofAgent(view.status) : states.get(step.key)
    return state && state !== step.status ? { ...step, status: state as Step['status'] } : step
  })
  return {
    ...run,
    status: view.status as AnyRun['status'],
    progress: view.progress,
    step: view.step ?? run.step,
    error: TERMINAL.has(view.status) ? view.error : null,
    error_code: TERMINAL.has(view.status) ? view.errorCode : null,
    steps,
  } as AnyRun
}

/** By step key. */
function statesOf(steps: unknown[]): Map<string, string> {
  return new Map((steps as { key: string; status: string }[]).map(({ key, status }) => [key, status]))
}

function ofAgent(status: string): string {
  return status === 'queued' ? 'pending' : status
}

export function nameOf(run: AnyRun): string {
  return run.kind === 'agent' ? run.agent_type : run.workflow_id
}

export function tokensOf(run: AnyRun): number {
  return run.steps.reduce((sum, step) => sum + step.tokens, 0)
}

/** What a map has made of its list: steps like any other. */
export function itemsOf(step: Step): Step[] {
  return (step.items ?? []) as unknown as Step[]
}

/** The step to look at where nobody has chosen one: what goes on, what failed, else the last that did something. */
export function stepOfInterest(steps: Step[]): Step | undefined {
  for (const status of ['waiting', 'running', 'failed']) {
    const found = steps.find((step) => step.status === status)
    if (found) return found
  }
  return [...steps].reverse().find((step) => step.status === 'completed') ?? steps[0]
}

const at = (time: string | null | undefined) => (time ? new Date(time).getTime() : null)

/** The steps on one scale: waits for a worker, attempts that failed, and the work. */
export function barsOf(run: AnyRun, now: number): Bar[] {
  const ends = new Map(run.steps.map((step) => [step.key, at(step.finished_at)]))
  return run.steps.map((step) => {
    const start = at(step.started_at)
    const end = at(step.finished_at)
    const needs = step.needs.map((key) => ends.get(key) ?? null)
    const ready =
      needs.length === 0 ? at(run.created_at) : needs.includes(null) ? null : Math.max(...(needs as number[]))
    const parts: NonNullable<Bar['parts']> = []
    const over = TERMINAL.has(run.status) || STEP_ENDED.has(step.status)
    const waitEnd = start ?? (over ? null : now)
    if (ready !== null && waitEnd !== null && waitEnd > ready)
      parts.push({ kind: 'wait', start: ready, end: waitEnd, title: 'Waited for a worker' })
    if (start !== null) {
      let from = start
      for (const failure of step.errors) {
        const to = at(failure.at) ?? from
        parts.push({ kind: 'failed', start: from, end: to, title: `Attempt ${failure.attempt} failed` })
        from = to
      }
      const until = end ?? (over ? (at(run.finished_at) ?? from) : now)
      const failedLast = step.status === 'failed' && step.errors.length > 0
      if (!failedLast && until > from) parts.push({ kind: 'work', start: from, end: until, title: words(step) })
    }
    const note =
      step.errors.length > 0 && step.status !== 'failed'
        ? `attempt ${Math.max(step.attempt, step.errors.length + 1)}`
        : ''
    return {
      key: step.key,
      label: step.key.replace(/_/g, ' '),
      status: step.status,
      start: start ?? (parts.length ? ready : null),
      end: end ?? (over ? at(run.finished_at) : null),
      parts,
      ...(note ? { note } : {}),
    }
  })
}

function words(step: Step): string {
  if (step.kind === 'approval') return 'Waited for a decision'
  return step.attempt > 1 ? `Attempt ${step.attempt}` : 'Worked'
}

/** The request that makes such a run, for a shell. */
export function curlOf(run: AnyRun, url: string): string {
  const [path, body] =
    run.kind === 'agent'
      ? ['/api/agents/invoke', { agent_type: run.agent_type, input: run.input }]
      : ['/api/agents/workflows/execute', { workflow_id: run.workflow_id, inputs: run.inputs, async: true }]
  return curl('POST', path, body, url)
}
