import { useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { TERMINAL } from '../../client'
import { Badge, Card, Heading, humanize, JsonView, Loaded, useResource } from '../../ui'
import { Decision } from '../approvals/decision'
import { RunActions } from './actions'
import { Details } from './details'
import { LiveText } from './live-text'
import { Output } from './output'
import { type AnyRun, nameOf, stepOfInterest } from './state'
import { Attempts, StepDetail } from './step'
import { Steps } from './steps'
import { type LiveRun, useRun } from './use-run'
import './run.css'

export default function Run({ params }: ScreenProps) {
  const id = params.id ?? ''
  return <RunPage id={id} key={id} />
}

function RunPage({ id }: { id: string }) {
  const live = useRun(id)
  return <Loaded of={live.run}>{(run) => <Shown run={run} live={live} />}</Loaded>
}

function Shown({ run, live }: { run: AnyRun; live: LiveRun }) {
  const agents = useResource((signal) => ask(api.GET('/api/agents', { signal })), [])
  const title =
    agents.data?.items.find(({ agent_type: type }) => run.kind === 'agent' && type === run.agent_type)?.title ??
    humanize(nameOf(run))
  const waiting = run.steps.filter((step) => step.status === 'waiting')
  return (
    <>
      <Heading title={title} lead={<Lead run={run} />}>
        <RunActions run={run} replace={live.replace} />
      </Heading>
      <Progress run={run} />
      {run.error && <RunError run={run} />}
      {run.kind === 'workflow' &&
        waiting.map((step) => (
          <Card key={step.key} title="Waiting for a decision" class="asks">
            <Decision
              runId={run.id}
              step={step.key}
              message={step.message ?? ''}
              approvers={step.approvers ?? 'owner'}
              deadline={step.deadline_at}
              onDecided={live.replace}
            />
          </Card>
        ))}
      <div class="split">
        <div class="stack">
          {run.kind === 'agent' ? <OfAgent run={run} live={live} /> : <OfWorkflow run={run} live={live} />}
        </div>
        <div class="stack">
          <Details run={run} />
          <Card title="Input">
            <JsonView value={run.kind === 'agent' ? run.input : run.inputs} label="Input" />
          </Card>
        </div>
      </div>
    </>
  )
}

function Lead({ run }: { run: AnyRun }) {
  const waits = run.steps.some((step) => step.status === 'waiting')
  return (
    <span class="run-lead">
      {waits && run.status === 'running' ? (
        <Badge status="waiting" label="Waiting for approval" />
      ) : (
        <Badge status={run.status} />
      )}
      {run.kind === 'workflow' ? (
        <Link href={`/workflows/${run.workflow_id}`}>
          Workflow {run.workflow_id}, version {run.workflow_version}
        </Link>
      ) : (
        <Link href={`/playground/${run.agent_type}`}>{run.agent_type}</Link>
      )}
    </span>
  )
}

function Progress({ run }: { run: AnyRun }) {
  if (TERMINAL.has(run.status)) return null
  const percent = Math.round(run.progress * 100)
  return (
    <div
      class="progress"
      role="progressbar"
      aria-label="Progress"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      title={`${percent}%`}
    >
      <span style={{ width: `${percent}%` }} />
    </div>
  )
}

function RunError({ run }: { run: AnyRun }) {
  return (
    <div class={run.status === 'failed' ? 'run-failure' : 'run-failure mild'} role="alert">
      <p>{run.error}</p>
      {run.error_code && <code>{run.error_code}</code>}
    </div>
  )
}

function OfAgent({ run, live }: { run: Extract<AnyRun, { kind: 'agent' }>; live: LiveRun }) {
  const step = run.steps[0]
  const text = live.texts[step?.key ?? '']
  return (
    <>
      <Card title="Reply">
        {run.status === 'completed' ? (
          <Output value={run.result ?? step?.output} label="Result" />
        ) : run.status === 'running' ? (
          <LiveText label="Live text" text={text ?? ''} truncated={live.truncated} retryingWith={live.retryingWith} />
        ) : (
          <p class="quiet">{WITHOUT[run.status]}</p>
        )}
      </Card>
      {step && <Steps run={run} selected={undefined} onSelect={() => undefined} />}
      {step && step.errors.length > 0 && (
        <Card>
          <Attempts step={step} />
        </Card>
      )}
    </>
  )
}

const WITHOUT: Record<string, string> = {
  queued: 'Waiting for a worker.',
  failed: 'The run ended without a reply.',
  cancelled: 'The run was cancelled before it had a reply.',
}

function OfWorkflow({ run, live }: { run: Extract<AnyRun, { kind: 'workflow' }>; live: LiveRun }) {
  const [chosen, setChosen] = useState<string | undefined>(undefined)
  const step = run.steps.find(({ key }) => key === chosen) ?? stepOfInterest(run.steps)
  return (
    <>
      <Steps run={run} selected={step?.key} onSelect={setChosen} />
      {step && (
        <StepDetail step={step} texts={live.texts} truncated={live.truncated} retryingWith={live.retryingWith} />
      )}
    </>
  )
}
