import type { Workflow } from '../../api'
import type { Step } from '../workflow/steps'

/** As much fits on a line. */
const LINE = 88
/** Defaults of a step; the editor omits them. */
const DEFAULTS: Record<string, unknown> = {
  kind: 'agent',
  needs: [],
  on_error: 'fail',
  retry: { attempts: 3, backoff: 1 },
  approvers: 'owner',
  max_parallel: 5,
}
const APPROVAL_SECONDS = 7 * 24 * 3600

/** What a new workflow begins with. */
export const BEGINNING = {
  workflow_id: 'my_workflow',
  description: 'Qualifies a lead and drafts a reply.',
  inputs: {
    type: 'object',
    properties: { message: { type: 'string', minLength: 1 } },
    required: ['message'],
    examples: [{ message: 'We need a new website with a blog.' }],
  },
  steps: [
    { key: 'qualify', agent: 'lead_agent', input: { message: 'inputs.message' } },
    {
      key: 'reply',
      agent: 'content_agent',
      needs: ['qualify'],
      input: { topic: "'Our reply'", content_type: "'email'", brief: 'outputs.qualify.summary' },
    },
  ],
}

/** A stored version as its author would write it: without what is the default anyway. */
export function definitionOf(workflow: Workflow): Record<string, unknown> {
  return {
    workflow_id: workflow.workflow_id,
    ...(workflow.description ? { description: workflow.description } : {}),
    ...(workflow.inputs ? { inputs: workflow.inputs } : {}),
    steps: workflow.steps.map((step) => withoutDefaults(step as unknown as Step)),
  }
}

function withoutDefaults(step: Step): Record<string, unknown> {
  const entries = Object.entries(step).filter(([name, value]) => {
    if (name === 'timeout' && step.kind === 'approval') return value !== APPROVAL_SECONDS
    return !(name in DEFAULTS) || sorted(DEFAULTS[name]) !== sorted(value)
  })
  const first = ['key', 'title', 'kind', 'needs', 'when', 'agent']
  const rank = ([name]: [string, unknown]) => (first.includes(name) ? first.indexOf(name) : first.length)
  return Object.fromEntries(entries.sort((one, other) => rank(one) - rank(other)))
}

/** The text of a value whose fields are in any order. */
function sorted(value: unknown): string {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return JSON.stringify(isObject ? Object.entries(value).sort() : value)
}

/** JSON in which short lists and objects stand on one line. */
export function formatJson(value: unknown, indent = ''): string {
  const short = oneLine(value)
  if (short.length + indent.length <= LINE || typeof value !== 'object' || value === null) return short
  const inner = `${indent}  `
  const lines = Array.isArray(value)
    ? value.map((item) => inner + formatJson(item, inner))
    : Object.entries(value).map(([name, item]) => `${inner}${JSON.stringify(name)}: ${formatJson(item, inner)}`)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${lines.join(',\n')}\n${indent}${close}`
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${oneLine(item)}`)
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`
}
