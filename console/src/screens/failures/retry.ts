import { api, ask } from '../../api'
import type { AgentName, Group } from './dead-letter'

/** The most runs that one request retries. */
const BATCH = 200

interface Narrowed {
  created_after?: string | undefined
  user_id?: string | undefined
}

/** Lets the failed runs of a group go on. Returns how many did. Those that fail again meanwhile are not retried again. */
export async function retryGroup(group: Group, narrowed: Narrowed): Promise<number> {
  const common = {
    ...(narrowed.created_after ? { created_after: narrowed.created_after } : {}),
    ...(narrowed.user_id ? { user_id: narrowed.user_id } : {}),
    ...(group.error_code ? { error_code: group.error_code } : {}),
    limit: BATCH,
  }
  let count = 0
  for (let round = 0; round < Math.ceil(group.count / BATCH); round++) {
    const done = await ask(
      group.kind === 'agent'
        ? api.POST('/api/agents/runs/retry', { body: { ...common, agent_type: group.agent_type as AgentName } })
        : api.POST('/api/agents/workflows/runs/retry', { body: { ...common, workflow_id: group.workflow_id } }),
    )
    count += done.retried
    if (!done.more) break
  }
  return count
}

/** Lets one failed run go on. */
export async function retryRun(kind: Group['kind'], id: string): Promise<void> {
  if (kind === 'agent')
    await ask(api.POST('/api/agents/runs/{request_id}/retry', { params: { path: { request_id: id } } }))
  else
    await ask(
      api.POST('/api/agents/workflows/runs/{workflow_run_id}/retry', { params: { path: { workflow_run_id: id } } }),
    )
}
