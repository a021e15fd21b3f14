import type { GraphProps } from '../../ui'

/** A step of a definition, as far as it is one. */
export interface Step {
  key: string
  title?: string
  kind?: string
  agent?: string
  needs?: string[]
  when?: string
  on_error?: string
  input?: unknown
  over?: string
  max_parallel?: number
  message?: string
  approvers?: string
  timeout?: number
  retry?: { attempts?: number; backoff?: number }
}

/** The steps of a definition, which may be incomplete: steps without a unique key are omitted. */
export function stepsOf(steps: unknown): Step[] {
  if (!Array.isArray(steps)) return []
  const seen = new Set<string>()
  return steps.flatMap((step: unknown) => {
    if (typeof step !== 'object' || step === null) return []
    const { key, needs } = step as Record<string, unknown>
    if (typeof key !== 'string' || key === '' || seen.has(key)) return []
    seen.add(key)
    const named = Array.isArray(needs) ? needs.filter((need) => typeof need === 'string') : []
    return [{ ...step, key, needs: named } as Step]
  })
}

export function nodesOf(steps: Step[], invalid: ReadonlySet<string> = new Set()): GraphProps['nodes'] {
  return steps.map((step) => ({
    id: step.key,
    label: step.key,
    note: noteOf(step),
    ...(invalid.has(step.key) ? { status: 'failed' } : {}),
  }))
}

export function edgesOf(steps: Step[]): { from: string; to: string }[] {
  return steps.flatMap((step) =>
    (step.needs ?? []).filter((need) => need !== step.key).map((from) => ({ from, to: step.key })),
  )
}

function noteOf(step: Step): string {
  if (step.kind === 'approval') return 'approval'
  const agent = typeof step.agent === 'string' ? step.agent : ''
  return step.kind === 'map' ? `each: ${agent}` : agent
}
