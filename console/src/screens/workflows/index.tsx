import { Link, useLocation } from 'wouter-preact'
import { api, ask, type Workflow } from '../../api'
import { seesAll } from '../../auth/session'
import { Age, Badge, Button, Empty, formatCount, Heading, PagedTable, usePages } from '../../ui'

/** What the API has of workflows: the newest version of each. */
export default function Workflows() {
  const [, navigate] = useLocation()
  const pages = usePages<Workflow>(
    (cursor, signal) => ask(api.GET('/api/agents/workflows', { params: { query: { cursor } }, signal })),
    [],
  )
  const create = seesAll.value && (
    <Button kind="primary" icon="plus" onClick={() => navigate('/workflows/-/edit')}>
      New workflow
    </Button>
  )
  return (
    <>
      <Heading title="Workflows" lead="Several steps of several agents, as one run. Open one to run it.">
        {create}
      </Heading>
      <PagedTable
        label="Workflows"
        pages={pages}
        empty={
          <Empty title="No workflows yet" icon="workflow">
            <p>A workflow chains agents: what one finds out, the next one works on.</p>
          </Empty>
        }
        rowKey={(workflow) => workflow.workflow_id}
        href={(workflow) => `/workflows/${workflow.workflow_id}`}
        columns={[
          {
            name: 'Workflow',
            kind: 'wide',
            cell: ({ workflow_id: id, description }) => (
              <>
                <Link href={`/workflows/${id}`}>{id}</Link>
                {description && <div class="quiet small">{description}</div>}
              </>
            ),
          },
          { name: 'By', cell: ({ created_by: by }) => (by === 'system' ? <Badge status="" label="Built in" /> : null) },
          {
            name: 'Steps',
            kind: 'number',
            cell: ({ steps }) => formatCount(steps.length, 'step'),
          },
          { name: 'Version', kind: 'number', cell: ({ version }) => `v${version}` },
          { name: 'Changed', cell: (workflow) => <Age time={workflow.created_at} /> },
        ]}
      />
    </>
  )
}
