import { Link } from 'wouter-preact'
import { api, ask, type Workflow } from '../../api'
import { Heading, PagedTable, usePages } from '../../ui'

export default function Workflows() {
  const pages = usePages<Workflow>(
    (cursor, signal) => ask(api.GET('/api/agents/workflows', { params: { query: { cursor } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Workflows" />
      <PagedTable
        label="Workflows"
        pages={pages}
        empty="No workflows yet"
        rowKey={(workflow) => workflow.workflow_id}
        href={(workflow) => `/workflows/${workflow.workflow_id}`}
        columns={[
          { name: 'Workflow', cell: ({ workflow_id: id }) => <Link href={`/workflows/${id}`}>{id}</Link> },
          { name: 'What it does', kind: 'wide', cell: (workflow) => workflow.description },
          { name: 'Version', kind: 'number', cell: (workflow) => workflow.version },
        ]}
      />
    </>
  )
}
