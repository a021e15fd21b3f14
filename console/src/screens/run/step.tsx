import type { ComponentChildren } from 'preact'
import { Age, Badge, Card, Duration, Facts, formatNumber, humanize, useNow } from '../../ui'
import { LiveText } from './live-text'
import { Output } from './output'
import { itemsOf, type Step } from './state'

interface Props {
  step: Step
  texts: Record<string, string>
  truncated: boolean
  retryingWith: string | null
}

/** One step of a workflow: its state, what it writes or made, and the errors of its attempts. */
export function StepDetail({ step, ...live }: Props) {
  return (
    <Card title={humanize(step.key)} actions={<Badge status={step.status} />}>
      <StepFacts step={step} />
      <StepWork step={step} {...live} />
      <Attempts step={step} />
      {step.kind === 'map' && <Items step={step} {...live} />}
    </Card>
  )
}

function StepFacts({ step }: { step: Step }) {
  const now = useNow(1000, step.status === 'running' || step.status === 'waiting')
  const started = step.started_at ? new Date(step.started_at).getTime() : null
  const took = step.duration_ms ?? (started !== null && step.finished_at === null ? now - started : null)
  const deadline: [string, ComponentChildren][] =
    step.kind === 'approval' ? [['Decided by', step.approvers === 'admin' ? 'An administrator' : 'The owner']] : []
  const work: [string, ComponentChildren][] =
    step.kind === 'approval'
      ? deadline
      : [
          ['Agent', step.agent_type ? humanize(step.agent_type) : '–'],
          ...(step.kind === 'map'
            ? []
            : ([
                ['Produced by', producerOf(step)],
                ['Tokens', step.tokens ? formatNumber(step.tokens) : '–'],
                ['Attempts', String(step.attempt)],
              ] as [string, ComponentChildren][])),
        ]
  return (
    <Facts
      items={[
        ...work,
        ['Started', <Age key="age" time={step.started_at} />],
        [step.kind === 'approval' ? 'Waited' : 'Took', <Duration key="took" ms={took} />],
      ]}
    />
  )
}

export function producerOf({ provider, model }: { provider: string | null; model: string | null }) {
  if (!provider) return '–'
  if (provider === 'fallback') return "The agent's rules"
  return model ? `${model} (${provider})` : provider
}

/** The text of a running step, or the output of one that has ended. */
function StepWork({ step, texts, truncated, retryingWith }: Props) {
  if (step.status === 'running' && step.kind !== 'map')
    return <LiveText label="Live text" text={texts[step.key] ?? ''} truncated={truncated} retryingWith={retryingWith} />
  if (step.status === 'pending')
    return <p class="quiet step-note">It begins when the steps that it needs have ended.</p>
  if (step.status === 'waiting') return null
  if (step.status === 'skipped') return <p class="quiet step-note">Its condition was not met, so it was left out.</p>
  if (step.output === null || step.output === undefined || itemsOf(step).length > 0) return null
  return <Output value={step.output} label={`Output of ${step.key}`} />
}

/** Why attempts failed. */
export function Attempts({ step }: { step: Step }) {
  if (step.errors.length === 0) return step.error ? <p class="error-text step-note">{step.error}</p> : null
  return (
    <div class="attempts">
      <h3>Failed attempts</h3>
      <ol class="list">
        {step.errors.map((failure) => (
          <li key={`${failure.attempt} ${failure.at}`}>
            <span class="attempt-number">{failure.attempt}</span>
            <div>
              <p>{failure.error}</p>
              <p class="quiet small">
                {failure.code && <code>{failure.code}</code>} <Age time={failure.at} />
              </p>
            </div>
          </li>
        ))}
      </ol>
    </div>
  )
}

function Items({ step, ...live }: Props) {
  const items = itemsOf(step)
  if (items.length === 0) return null
  const done = items.filter((item) => item.status === 'completed').length
  return (
    <div class="items">
      <h3>
        Items <span class="quiet">{`${done} of ${items.length} done`}</span>
      </h3>
      {items.map((item, index) => (
        <details key={item.key}>
          <summary>
            <span>Item {index + 1}</span>
            <Badge status={item.status} />
            <span class="spacer" />
            <Duration ms={item.duration_ms} />
          </summary>
          <StepWork step={{ ...item, kind: 'agent' }} {...live} />
          <Attempts step={item} />
        </details>
      ))}
    </div>
  )
}
