import { type AgentRunItem, api, ask } from '../../api'
import { Age, Badge, between, Duration, Heading, humanize, PagedTable, usePages } from '../../ui'

export default function Runs() {
  const pages = usePages<AgentRunItem>(
    (cursor, signal) => ask(api.GET('/api/agents/runs', { params: { query: { cursor } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Runs" />
      <PagedTable
        label="Runs"
        pages={pages}
        empty="No runs yet"
        rowKey={(run) => run.request_id}
        href={(run) => `/runs/${run.request_id}`}
        columns={[
          { name: 'Status', cell: (run) => <Badge status={run.status} /> },
          { name: 'Agent', kind: 'wide', cell: (run) => humanize(run.agent_type) },
          {
            name: 'Duration',
            kind: 'number',
            cell: (run) => <Duration ms={between(run.started_at, run.finished_at)} />,
          },
          { name: 'Created', cell: (run) => <Age time={run.created_at} /> },
        ]}
      />
    </>
  )
}
