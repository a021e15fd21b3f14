import { type AgentRunItem, api, ask } from '../../api'
import { Age, Heading, humanize, PagedTable, usePages } from '../../ui'

export default function Failures() {
  const pages = usePages<AgentRunItem>(
    (cursor, signal) => ask(api.GET('/api/agents/runs', { params: { query: { cursor, status: 'failed' } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Failures" />
      <PagedTable
        label="Failed runs"
        pages={pages}
        empty="Nothing has failed"
        rowKey={(run) => run.request_id}
        href={(run) => `/runs/${run.request_id}`}
        columns={[
          { name: 'Code', cell: (run) => <code>{run.error_code}</code> },
          { name: 'Agent', cell: (run) => humanize(run.agent_type) },
          { name: 'Error', kind: 'wide', cell: (run) => run.error },
          { name: 'Created', cell: (run) => <Age time={run.created_at} /> },
        ]}
      />
    </>
  )
}
