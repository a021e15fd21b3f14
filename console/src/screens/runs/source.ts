import { type AgentRunItem, api, ask, type paths, type WorkflowRunItem } from '../../api'
import { matching } from './matching'
import { merged, type Source } from './merged'

/** A run in the list, of either kind. */
export type RunItem = AgentRunItem | WorkflowRunItem

export const FILTERS = ['status', 'of', 'user', 'range', 'from', 'to', 'code', 'text'] as const
export type RunFilters = Record<(typeof FILTERS)[number], string>

export const STATUSES = ['queued', 'running', 'completed', 'failed', 'cancelled'] as const
/** Codes that a run may end with; any other can be written into the address. */
export const ERROR_CODES = [
  'CANCELLED',
  'INTERNAL',
  'MODELS_UNAVAILABLE',
  'PROVIDER_ERROR',
  'REJECTED',
  'STEP_FAILED',
  'TIMEOUT',
  'TOO_MANY_INTERRUPTIONS',
]

const HOUR = 3_600_000
export const RANGES: Record<string, { label: string; ms: number }> = {
  '1h': { label: 'Last hour', ms: HOUR },
  '24h': { label: 'Last 24 hours', ms: 24 * HOUR },
  '7d': { label: 'Last 7 days', ms: 7 * 24 * HOUR },
  '30d': { label: 'Last 30 days', ms: 30 * 24 * HOUR },
}

/** The API's filter for the filters in the address. `of` is `agent`, `workflow`, `agent:<type>` or `workflow:<id>`. */
export function queryOf(filters: RunFilters, now = Date.now()) {
  const range = RANGES[filters.range]
  const custom = filters.range === 'custom'
  return {
    status: (filters.status || undefined) as RunItem['status'] | undefined,
    error_code: filters.code || undefined,
    user_id: filters.user || undefined,
    created_after: range ? new Date(now - range.ms).toISOString() : custom ? moment(filters.from) : undefined,
    created_before: custom ? moment(filters.to) : undefined,
  }
}

/** Of a local time such as `2026-01-31T12:00`. */
function moment(text: string): string | undefined {
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}

type AgentType = NonNullable<paths['/api/agents/runs']['get']['parameters']['query']>['agent_type']

export function readRuns(filters: RunFilters): Source<RunItem> {
  const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean)
  const searched = words.length > 0
  const common = { ...queryOf(filters), limit: searched ? 200 : undefined }
  const [kind, name] = filters.of.split(':')
  const agents: Source<RunItem> = (cursor, signal) => {
    const query = { ...common, agent_type: name as AgentType, cursor, fields: searched ? 'input' : undefined }
    return ask(api.GET('/api/agents/runs', { params: { query }, signal }))
  }
  const workflows: Source<RunItem> = (cursor, signal) => {
    const query = { ...common, workflow_id: name, cursor, fields: searched ? 'inputs' : undefined }
    return ask(api.GET('/api/agents/workflows/runs', { params: { query }, signal }))
  }
  const runs = merged(kind === 'agent' ? [agents] : kind === 'workflow' ? [workflows] : [agents, workflows])
  return searched ? matching(runs, (run) => words.every((word) => textOf(run).includes(word))) : runs
}

/** What the text filter finds a run by: its name, input, error and current step. */
export function textOf(run: RunItem): string {
  const input = run.kind === 'agent' ? run.input : run.inputs
  return [nameOf(run), run.step, run.error_code, run.error, JSON.stringify(input)].join(' ').toLowerCase()
}

/** What a run is a run of. */
export function nameOf(run: RunItem): string {
  return run.kind === 'agent' ? run.agent_type : run.workflow_id
}
