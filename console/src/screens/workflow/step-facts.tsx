import type { ComponentChildren } from 'preact'
import { Link } from 'wouter-preact'
import { Facts, formatDuration, formatNumber, JsonView } from '../../ui'
import type { Step } from './steps'

/** What a step does, in its own words. */
export function StepFacts({ step }: { step: Step }) {
  const facts: [string, ComponentChildren][] = []
  if (step.agent) facts.push(['Agent', <Link href={`/playground/${step.agent}`}>{step.agent}</Link>])
  if (step.kind === 'approval')
    facts.push(['Decided by', step.approvers === 'admin' ? 'an administrator' : 'the owner, or an administrator'])
  if (step.needs?.length) facts.push(['After', step.needs.join(', ')])
  if (step.retry?.attempts) facts.push(['Attempts', formatNumber(step.retry.attempts)])
  if (step.timeout)
    facts.push([step.kind === 'approval' ? 'Decided within' : 'Timeout', formatDuration(step.timeout * 1000)])
  if (step.on_error === 'continue') facts.push(['Where it fails', 'the run goes on without it'])
  if (step.max_parallel && step.kind === 'map') facts.push(['At once', formatNumber(step.max_parallel)])
  const expressions: [string, string | undefined][] = [
    ['Only when', step.when],
    ['For each item of', step.over],
    ['Asks', step.message],
  ]
  return (
    <div class="stack">
      {step.title && <p>{step.title}</p>}
      {facts.length > 0 && <Facts items={facts} />}
      {expressions.map(([name, text]) =>
        text ? (
          <div key={name}>
            <h3>{name}</h3>
            <code>{text}</code>
          </div>
        ) : null,
      )}
      {step.input !== undefined && (
        <div>
          <h3>Input</h3>
          <JsonView value={step.input} label={`Input of ${step.key}`} />
        </div>
      )}
    </div>
  )
}
