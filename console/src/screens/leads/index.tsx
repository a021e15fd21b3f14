import { useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { api, ask, type Lead } from '../../api'
import { seesAll } from '../../auth/session'
import {
  Age,
  Badge,
  Button,
  Empty,
  Filters,
  formatMoney,
  Heading,
  PagedTable,
  SelectFilter,
  TextFilter,
  useFilters,
  usePages,
} from '../../ui'
import { DaysFilter, daysAgo } from './days'
import { useFresh } from './fresh'
import { NewLead } from './new-lead'
import { Score, STATUSES } from './score'

const NAMES = ['q', 'status', 'source', 'score', 'days'] as const
const SCORES: Record<string, { min_score?: number; max_score?: number }> = {
  hot: { min_score: 70 },
  warm: { min_score: 45, max_score: 69 },
  cold: { max_score: 44 },
}
const PAGE = 50
const EVENTS = ['lead_created', 'lead_analyzed']

export default function Leads() {
  const [filters, set] = useFilters(NAMES)
  const [adding, setAdding] = useState(false)
  const pages = usePages<Lead>(
    (cursor, signal) =>
      ask(
        api.GET('/api/leads', {
          params: {
            query: {
              cursor,
              limit: PAGE,
              q: filters.q || undefined,
              status: STATUSES.find((one) => one === filters.status),
              source: filters.source || undefined,
              created_after: daysAgo(filters.days),
              ...SCORES[filters.score],
            },
          },
          signal,
        }),
      ),
    NAMES.map((name) => filters[name]),
  )
  const fresh = useFresh({
    events: EVENTS,
    added: 'lead_created',
    shown: pages.items?.length ?? 0,
    page: PAGE,
    reload: pages.reload,
  })
  const filtered = NAMES.some((name) => filters[name])
  const clear = () => set({ q: '', status: '', source: '', score: '', days: '' })
  return (
    <>
      <Heading
        title="Leads"
        lead="People and companies that may become customers, and what agents found out about them."
      >
        {(fresh.missed || fresh.count > 0) && (
          <Button icon="refresh" onClick={fresh.show}>
            {fresh.missed ? 'Show what is new' : `Show ${fresh.count} new`}
          </Button>
        )}
        <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
          New lead
        </Button>
      </Heading>
      <Filters {...(filtered ? { onClear: clear } : {})}>
        <TextFilter label="Search" placeholder="Name, e-mail, words" value={filters.q} onChange={(q) => set({ q })} />
        <SelectFilter
          label="Status"
          any="Any"
          value={filters.status}
          options={STATUSES.map((one): [string, string] => [one, one.charAt(0).toUpperCase() + one.slice(1)])}
          onChange={(status) => set({ status })}
        />
        <SelectFilter
          label="Score"
          any="Any"
          value={filters.score}
          options={[
            ['hot', 'Hot: 70 and above'],
            ['warm', 'Warm: 45 to 69'],
            ['cold', 'Cold: below 45'],
          ]}
          onChange={(score) => set({ score })}
        />
        <TextFilter
          label="Source"
          placeholder="website"
          value={filters.source}
          onChange={(source) => set({ source: source.trim() })}
        />
        <DaysFilter label="Added" value={filters.days} onChange={(days) => set({ days })} />
      </Filters>
      <PagedTable
        label="Leads"
        pages={pages}
        empty={
          filtered ? (
            <Empty title="No lead matches" icon="search">
              <Button onClick={clear}>Clear the filters</Button>
            </Empty>
          ) : (
            <Empty title="No leads yet" icon="lead">
              <p>They come from your website, from workflows, or by hand.</p>
              <Button kind="primary" icon="plus" onClick={() => setAdding(true)}>
                Add the first one
              </Button>
            </Empty>
          )
        }
        rowKey={(lead) => lead.lead_id}
        href={(lead) => `/leads/${lead.lead_id}`}
        columns={[
          {
            name: 'Name',
            kind: 'wide',
            cell: (lead) => (
              <>
                <Link href={`/leads/${lead.lead_id}`}>{lead.name}</Link>{' '}
                {lead.company && <span class="quiet">{lead.company}</span>}
              </>
            ),
          },
          { name: 'Score', cell: (lead) => <Score value={lead.score} /> },
          { name: 'Status', cell: (lead) => <Badge status={lead.status} /> },
          { name: 'Source', cell: (lead) => lead.source },
          {
            name: 'Budget',
            kind: 'number',
            cell: (lead) => (lead.budget === null ? '' : formatMoney(lead.budget, lead.currency)),
          },
          ...(seesAll.value
            ? [
                {
                  name: 'User',
                  kind: 'narrow' as const,
                  cell: (lead: Lead) =>
                    lead.user_id ? <code title={lead.user_id}>{lead.user_id.slice(0, 8)}</code> : 'Visitor',
                },
              ]
            : []),
          { name: 'Added', cell: (lead) => <Age time={lead.created_at} /> },
        ]}
      />
      {adding && <NewLead onClose={() => setAdding(false)} />}
    </>
  )
}
