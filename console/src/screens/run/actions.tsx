import { useState } from 'preact/hooks'
import { useLocation } from 'wouter-preact'
import { api, apiUrl, ask } from '../../api'
import { TERMINAL } from '../../client'
import { ActionButton, Button, Confirm, CopyButton, toast } from '../../ui'
import { type AnyRun, curlOf } from './state'

export function cancelRun(run: AnyRun): Promise<AnyRun> {
  return run.kind === 'agent'
    ? ask(api.POST('/api/agents/runs/{request_id}/cancel', { params: { path: { request_id: run.id } } }))
    : ask(
        api.POST('/api/agents/workflows/runs/{workflow_run_id}/cancel', {
          params: { path: { workflow_run_id: run.id } },
        }),
      )
}

export function retryRun(run: AnyRun): Promise<AnyRun> {
  return run.kind === 'agent'
    ? ask(api.POST('/api/agents/runs/{request_id}/retry', { params: { path: { request_id: run.id } } }))
    : ask(
        api.POST('/api/agents/workflows/runs/{workflow_run_id}/retry', {
          params: { path: { workflow_run_id: run.id } },
        }),
      )
}

/** The id of the new run. */
export async function replayRun(run: AnyRun): Promise<string> {
  if (run.kind === 'agent') {
    const made = await ask(
      api.POST('/api/agents/runs/{request_id}/replay', { params: { path: { request_id: run.id } } }),
    )
    return made.request_id
  }
  const made = await ask(
    api.POST('/api/agents/workflows/runs/{workflow_run_id}/replay', {
      params: { path: { workflow_run_id: run.id } },
    }),
  )
  return made.workflow_run_id
}

export function RunActions({ run, replace }: { run: AnyRun; replace: (run: AnyRun) => void }) {
  const [, navigate] = useLocation()
  const [asking, setAsking] = useState(false)
  const ended = TERMINAL.has(run.status)
  const retryable = run.status === 'failed' || run.status === 'cancelled'
  return (
    <>
      <CopyButton small={false} label="Copy as curl" text={() => curlOf(run, apiUrl())} />
      {ended && (
        <ActionButton
          icon="play"
          title="Make a new run with the same input"
          action={async () => {
            const id = await replayRun(run)
            toast('A new run with the same input has started.', 'good')
            navigate(`/runs/${id}`)
          }}
        >
          Replay
        </ActionButton>
      )}
      {retryable && (
        <ActionButton
          kind="primary"
          icon="refresh"
          title="Let this run go on from where it ended"
          action={async () => {
            replace(await retryRun(run))
            toast('The run goes on.', 'good')
          }}
        >
          Retry
        </ActionButton>
      )}
      {!ended && (
        <Button kind="danger" icon="stop" onClick={() => setAsking(true)}>
          Cancel
        </Button>
      )}
      {asking && (
        <Confirm
          title="Cancel this run?"
          text="Steps that have not begun are skipped, and a running step stops within a second. It can be retried later."
          verb="Cancel the run"
          danger
          action={async () => {
            replace(await cancelRun(run))
            toast('The run is being cancelled.')
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
