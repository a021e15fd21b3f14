import { api, ask, type WorkflowRun } from '../../api'
import { Badge, humanize, JsonView, Loaded, useResource } from '../../ui'
import { Output } from '../run/output'

/** What a decision rests on: the run's inputs, and the outputs of the steps before, the nearest first. */
export function Before({ runId, step }: { runId: string; step: string }) {
  const run = useResource(
    (signal) =>
      ask(
        api.GET('/api/agents/workflows/runs/{workflow_run_id}', {
          params: { path: { workflow_run_id: runId } },
          signal,
        }),
      ),
    [runId],
  )
  return (
    <div class="before">
      <Loaded of={run}>
        {(found) => (
          <>
            {earlier(found, step).map((one, index) => (
              <details key={one.key} open={index === 0}>
                <summary>
                  {humanize(one.key)} <Badge status={one.status} />
                </summary>
                {one.output === null || one.output === undefined ? (
                  <p class="quiet">{one.error ?? 'No output.'}</p>
                ) : (
                  <Output value={one.output} label={`Output of ${one.key}`} />
                )}
              </details>
            ))}
            <details>
              <summary>Inputs</summary>
              <JsonView value={found.inputs} label="Inputs" />
            </details>
          </>
        )}
      </Loaded>
    </div>
  )
}

/** The steps that one needs, directly or through others, the nearest first. */
export function earlier(run: WorkflowRun, key: string): WorkflowRun['steps'] {
  const byKey = new Map(run.steps.map((step) => [step.key, step]))
  const found: string[] = []
  let reached = byKey.get(key)?.needs ?? []
  while (reached.length > 0) {
    const fresh = [...new Set(reached)].filter((one) => !found.includes(one))
    found.push(...fresh)
    reached = fresh.flatMap((one) => byKey.get(one)?.needs ?? [])
  }
  return found.flatMap((one) => byKey.get(one) ?? [])
}
