import { Link } from 'wouter-preact'
import { api, ask } from '../../api'
import { seesAll } from '../../auth/session'
import { ActionButton, Age, Button, Card, Id, PagedTable, toast, useFilters, usePages } from '../../ui'
import { type AgentName, type Group, targetOf } from './dead-letter'
import { retryRun } from './retry'

interface Failed {
  id: string
  user_id?: string | null
  error?: string | null
  attempts: number
  created_at: string
}

const SHOWN = 20

interface Props {
  group: Group
  createdAfter: string | undefined
  user: string | undefined
  onRetried: () => void
}

/** The failed runs of a group, each with a link and a retry of its own. */
export function GroupRuns({ group, createdAfter, user, onRetried }: Props) {
  const [, setFilters] = useFilters(['group'])
  const pages = usePages<Failed>(
    (cursor, signal) => {
      const query = {
        status: 'failed' as const,
        limit: SHOWN,
        cursor,
        created_after: createdAfter,
        user_id: user,
        error_code: group.error_code ?? undefined,
      }
      return group.kind === 'agent'
        ? ask(
            api.GET('/api/agents/runs', {
              params: { query: { ...query, agent_type: group.agent_type as AgentName } },
              signal,
            }),
          )
        : ask(
            api.GET('/api/agents/workflows/runs', {
              params: { query: { ...query, workflow_id: group.workflow_id ?? undefined } },
              signal,
            }),
          )
    },
    [group.id, group.count],
  )
  const retry = async (id: string) => {
    await retryRun(group.kind, id)
    toast('The run goes on', 'good')
    pages.update((items) => items.filter((run) => run.id !== id))
    onRetried()
  }
  return (
    <Card
      title={`${targetOf(group)}: ${group.error_code}`}
      class="group-runs"
      actions={
        <Button small kind="ghost" icon="close" aria-label="Hide the runs" onClick={() => setFilters({ group: '' })} />
      }
    >
      <PagedTable
        label="Runs of the group"
        pages={pages}
        empty={<p class="quiet">All of them go on.</p>}
        rowKey={({ id }) => id}
        href={({ id }) => `/runs/${id}`}
        columns={[
          {
            name: 'Run',
            cell: ({ id }) => (
              <Link href={`/runs/${id}`}>
                <code>{id.slice(0, 8)}</code>
              </Link>
            ),
          },
          { name: 'Error', kind: 'wide', cell: ({ error }) => <span class="clamped">{error}</span> },
          ...(seesAll.value
            ? [
                {
                  name: 'User',
                  kind: 'narrow' as const,
                  cell: (run: Failed) => (run.user_id ? <Id value={run.user_id} /> : <span class="quiet">–</span>),
                },
              ]
            : []),
          { name: 'Created', cell: (run) => <Age time={run.created_at} /> },
          {
            name: 'Actions',
            cell: ({ id }) => (
              <ActionButton small icon="refresh" aria-label={`Retry run ${id.slice(0, 8)}`} action={() => retry(id)}>
                Retry
              </ActionButton>
            ),
          },
        ]}
      />
    </Card>
  )
}
