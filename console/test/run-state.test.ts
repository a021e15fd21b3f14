import { expect, test } from 'vitest'
import type { AgentRun, WorkflowRun } from '../src/api'
import { emptyRun } from '../src/client'
import { earlier } from '../src/screens/approvals/before'
import { barsOf, curlOf, type Step, stepOfInterest, withStates } from '../src/screens/run/state'

const at = (seconds: number) => new Date(seconds * 1000).toISOString()

function step(key: string, changes: Partial<Step> = {}): Step {
  return {
    key,
    kind: 'agent',
    agent_type: 'chat_agent',
    needs: [],
    status: 'pending',
    attempt: 0,
    started_at: null,
    finished_at: null,
    duration_ms: null,
    provider: null,
    model: null,
    tokens: 0,
    prompt_tokens: 0,
    completion_tokens: 0,
    output: null,
    error: null,
    error_code: null,
    errors: [],
    ...changes,
  }
}

function run(kind: 'agent' | 'workflow', steps: Step[], changes: object = {}) {
  const common = { id: 'r', status: 'running', progress: 0, step: null, error: null, error_code: null, metadata: {} }
  const of = kind === 'agent' ? { agent_type: 'chat_agent', input: {} } : { workflow_id: 'w', inputs: {} }
  return { ...common, kind, ...of, steps, created_at: at(0), finished_at: null, ...changes } as unknown as
    | AgentRun
    | WorkflowRun
}

test('the states of events lie over what was read before them', () => {
  const read = run('workflow', [step('a', { status: 'running' }), step('b', { needs: ['a'] })])
  const states = [
    { key: 'a', status: 'completed' },
    { key: 'b', status: 'running' },
  ]
  const shown = withStates(read, { ...emptyRun(), status: 'running', progress: 0.5, steps: states })
  expect(shown.steps.map(({ status }) => status)).toEqual(['completed', 'running'])
  expect(shown.progress).toBe(0.5)
  const agent = withStates(run('agent', [step('chat_agent')]), { ...emptyRun(), status: 'cancelled', error: 'why' })
  expect(agent).toMatchObject({ status: 'cancelled', error: 'why', steps: [{ status: 'cancelled' }] })
})

test('bars show the wait for a worker, failed attempts and the work', () => {
  const failures = [{ attempt: 1, error: 'x', code: null, at: at(4) }]
  const first = step('a', { status: 'completed', started_at: at(2), finished_at: at(9), errors: failures, attempt: 2 })
  const second = step('b', { needs: ['a'] })
  const [one, two] = barsOf(run('workflow', [first, second]), 10_000)
  expect(one?.parts?.map(({ kind, start, end }) => [kind, start, end])).toEqual([
    ['wait', 0, 2000],
    ['failed', 2000, 4000],
    ['work', 4000, 9000],
  ])
  expect(two?.parts?.map(({ kind, start, end }) => [kind, start, end])).toEqual([['wait', 9000, 10_000]])
})

test('a step that will never begin has no bar', () => {
  const over = run('agent', [step('a', { status: 'cancelled' })], { status: 'cancelled', finished_at: at(1) })
  expect(barsOf(over, 9_000)[0]?.parts).toEqual([])
})

test('the step of interest waits, runs or failed; else it is the last that did something', () => {
  const done = step('a', { status: 'completed' })
  expect(stepOfInterest([done, step('b', { status: 'waiting' })])?.key).toBe('b')
  expect(stepOfInterest([step('x', { status: 'failed' }), done])?.key).toBe('x')
  expect(stepOfInterest([done, step('b', { status: 'skipped' })])?.key).toBe('a')
})

test('a curl line quotes its body for the shell', () => {
  const asked = run('agent', [], { input: { message: "What's $5?" } })
  expect(curlOf(asked, 'https://x')).toContain(`-d '{"agent_type":"chat_agent","input":{"message":"What'\\''s $5?"}}'`)
})

test('the steps before one are its direct and indirect needs, the nearest first', () => {
  const steps = [step('a'), step('b', { needs: ['a'] }), step('c', { needs: ['a', 'b'] }), step('other')]
  const found = earlier(run('workflow', [...steps, step('ask', { needs: ['c'] })]) as WorkflowRun, 'ask')
  expect(found.map(({ key }) => key)).toEqual(['c', 'a', 'b'])
})
