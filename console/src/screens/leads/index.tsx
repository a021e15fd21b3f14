import { Link } from 'wouter-preact'
import { api, ask, type Lead } from '../../api'
import { Age, Badge, Heading, PagedTable, usePages } from '../../ui'

export default function Leads() {
  const pages = usePages<Lead>(
    (cursor, signal) => ask(api.GET('/api/leads', { params: { query: { cursor } }, signal })),
    [],
  )
  return (
    <>
      <Heading title="Leads" />
      <PagedTable
        label="Leads"
        pages={pages}
        empty="No leads yet"
        rowKey={(lead) => lead.lead_id}
        href={(lead) => `/leads/${lead.lead_id}`}
        columns={[
          { name: 'Name', kind: 'wide', cell: (lead) => <Link href={`/leads/${lead.lead_id}`}>{lead.name}</Link> },
          { name: 'Company', cell: (lead) => lead.company },
          { name: 'Status', cell: (lead) => <Badge status={lead.status} /> },
          { name: 'Score', kind: 'number', cell: (lead) => lead.score ?? '–' },
          { name: 'Created', cell: (lead) => <Age time={lead.created_at} /> },
        ]}
      />
    </>
  )
}
