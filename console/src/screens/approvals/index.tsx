import { api, ask, type WorkflowRunItem } from '../../api'
import { Age, Badge, Heading, PagedTable, usePages } from '../../ui'

export default function Approvals() {
  const pages = usePages<WorkflowRunItem>(async (cursor, signal) => {
    const page = await ask(
      api.GET('/api/agents/workflows/runs', { params: { query: { cursor, status: 'running' } }, signal }),
    )
    return { ...page, items: page.items.filter((run) => run.steps.some((step) => step.status === 'waiting')) }
  }, [])
  return (
    <>
      <Heading title="Approvals" />
      <PagedTable
        label="Approvals"
        pages={pages}
        empty="Nothing waits for you"
        rowKey={(run) => run.workflow_run_id}
        href={(run) => `/runs/${run.workflow_run_id}`}
        columns={[
          { name: 'Status', cell: () => <Badge status="waiting" /> },
          { name: 'Workflow', kind: 'wide', cell: (run) => run.workflow_id },
          { name: 'Created', cell: (run) => <Age time={run.created_at} /> },
        ]}
      />
    </>
  )
}
