import { Link } from 'wouter-preact'
import { api, ask, type Workflow } from '../../api'
import { Age, Badge, Card, formatCount, PagedTable, usePages } from '../../ui'

const SHOWN = 10

/** All versions of a workflow, each with a link that shows it. */
export function Versions({ id, shown }: { id: string; shown: number }) {
  const pages = usePages<Workflow>(
    async (cursor, signal) => {
      const params = { path: { workflow_id: id }, query: { limit: SHOWN, cursor } }
      const found = await ask(api.GET('/api/agents/workflows/{workflow_id}', { params, signal }))
      return { items: found.versions, next_cursor: found.versions_cursor }
    },
    [id],
  )
  const newest = pages.items?.[0]?.version
  const address = (version: number) => (version === newest ? `/workflows/${id}` : `/workflows/${id}?version=${version}`)
  return (
    <Card title="Versions">
      <PagedTable
        label="Versions"
        pages={pages}
        empty="No versions"
        rowKey={(workflow) => String(workflow.version)}
        href={(workflow) => address(workflow.version)}
        columns={[
          {
            name: 'Version',
            kind: 'wide',
            cell: ({ version }) => (
              <Link href={address(version)} aria-current={version === shown ? 'true' : undefined}>
                Version {version}
              </Link>
            ),
          },
          {
            name: 'State',
            cell: (workflow) =>
              workflow.retired_at ? (
                <Badge status="cancelled" label="Retired" />
              ) : workflow.version === shown ? (
                <Badge status="running" label="Shown" />
              ) : workflow.version === newest ? (
                <Badge status="active" label="Newest" />
              ) : null,
          },
          {
            name: 'Steps',
            kind: 'number',
            cell: ({ steps }) => formatCount(steps.length, 'step'),
          },
          {
            name: 'By',
            kind: 'narrow',
            cell: ({ created_by: by }) => (by === 'system' ? 'built in' : 'an administrator'),
          },
          { name: 'Created', cell: (workflow) => <Age time={workflow.created_at} /> },
        ]}
      />
    </Card>
  )
}
