import { Link } from 'wouter-preact'
import { api, ask, type WorkflowRunItem } from '../../api'
import { useReloads } from '../../live/reloads'
import { Age, Badge, between, Card, Duration, PagedTable, usePages } from '../../ui'

const SHOWN = 10
/** Events come in bursts; the list is read again once for each of these, in milliseconds. */
const PAUSE_MS = 700

/** The newest runs of a workflow, live. */
export function RecentRuns({ id }: { id: string }) {
  const pages = usePages<WorkflowRunItem>(
    (cursor, signal) =>
      ask(
        api.GET('/api/agents/workflows/runs', { params: { query: { workflow_id: id, limit: SHOWN, cursor } }, signal }),
      ),
    [id],
  )
  useReloads(
    'workflows',
    ({ data }) => (data as { workflow_id?: string } | undefined)?.workflow_id === id,
    pages.reload,
    PAUSE_MS,
  )
  return (
    <Card title="Recent runs">
      <PagedTable
        label="Recent runs"
        pages={pages}
        empty={<p class="quiet">It has not run yet.</p>}
        rowKey={(run) => run.workflow_run_id}
        href={(run) => `/runs/${run.workflow_run_id}`}
        columns={[
          { name: 'Status', cell: (run) => <Badge status={run.status} /> },
          {
            name: 'Run',
            kind: 'wide',
            cell: (run) => (
              <Link href={`/runs/${run.workflow_run_id}`}>
                <code>{run.workflow_run_id.slice(0, 8)}</code>
              </Link>
            ),
          },
          { name: 'Version', kind: 'number', cell: (run) => `v${run.workflow_version}` },
          {
            name: 'Duration',
            kind: 'number',
            cell: (run) => <Duration ms={between(run.started_at, run.finished_at)} />,
          },
          { name: 'Created', cell: (run) => <Age time={run.created_at} /> },
        ]}
      />
    </Card>
  )
}
