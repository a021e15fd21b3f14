import { Link, useLocation } from 'wouter-preact'
import { api, ask } from '../../api'
import { seesAll } from '../../auth/session'
import {
  Age,
  Badge,
  Button,
  between,
  type Column,
  Duration,
  Empty,
  Heading,
  humanize,
  Icon,
  PagedTable,
  useFilters,
  useNow,
  usePages,
  useResource,
} from '../../ui'
import { RunFilterBar } from './filters'
import { useRunChanges } from './live'
import { refreshed } from './merged'
import { FILTERS, nameOf, type RunItem, readRuns } from './source'
import './runs.css'

const ACTIVE = new Set(['queued', 'running'])

export default function Runs() {
  const [filters, setFilters] = useFilters(FILTERS)
  const [, navigate] = useLocation()
  const key = JSON.stringify(filters)
  const pages = usePages<RunItem>((cursor, signal) => readRuns(filters)(cursor, signal), [key])
  const agents = useResource((signal) => ask(api.GET('/api/agents', { signal })), [])
  const titles = new Map(agents.data?.items.map((agent) => [agent.agent_type, agent.title]))
  const now = useNow(1000, Boolean(pages.items?.some((run) => ACTIVE.has(run.status))))

  useRunChanges(async () => {
    if (pages.items === undefined) return pages.reload()
    try {
      const first = await readRuns(filters)(undefined, new AbortController().signal)
      pages.update((items) => refreshed(items, first))
    } catch {
      // The next change, or the connection's return, reads it again.
    }
  })

  const filtered = Object.values(filters).some(Boolean)
  const columns: Column<RunItem>[] = [
    { name: 'Status', cell: (run) => <Status run={run} /> },
    {
      name: 'Run',
      kind: 'wide',
      cell: (run) => <Name run={run} title={titles.get(nameOf(run)) ?? humanize(nameOf(run))} />,
    },
    { name: 'Provider', kind: 'narrow', cell: (run) => <Provider run={run} /> },
    {
      name: 'Duration',
      kind: 'number',
      cell: (run) => <Duration ms={between(run.started_at, run.finished_at, now)} />,
    },
    ...(seesAll.value ? [{ name: 'User', kind: 'narrow' as const, cell: (run: RunItem) => <User run={run} /> }] : []),
    { name: 'Created', cell: (run) => <Age time={run.created_at} /> },
  ]
  return (
    <>
      <Heading title="Runs" lead={seesAll.value ? 'Of all users, agents and workflows.' : 'Of agents and workflows.'}>
        <Button kind="primary" icon="play" onClick={() => navigate('/playground')}>
          New run
        </Button>
      </Heading>
      <RunFilterBar filters={filters} set={setFilters} titles={titles} />
      <PagedTable
        label="Runs"
        pages={pages}
        empty={filtered ? <NothingFound /> : <NothingYet />}
        rowKey={(run) => run.id}
        href={(run) => `/runs/${run.id}`}
        columns={columns}
      />
    </>
  )
}

function Status({ run }: { run: RunItem }) {
  if (run.status === 'running' && run.steps.some((step) => step.status === 'waiting'))
    return <Badge status="waiting" label="Waiting for approval" />
  return <Badge status={run.status} />
}

function Name({ run, title }: { run: RunItem; title: string }) {
  const done = run.steps.filter((step) => step.status === 'completed').length
  const steps = run.kind === 'workflow' && run.status !== 'completed' ? `${done} of ${run.steps.length} steps` : ''
  const step = run.status === 'running' && run.kind === 'workflow' && run.step ? humanize(run.step) : ''
  return (
    <div class="run-name">
      <Icon name={run.kind === 'workflow' ? 'workflow' : 'play'} />
      <div>
        <Link href={`/runs/${run.id}`}>{title}</Link>
        {run.error ? (
          <span class="run-error" title={run.error}>
            {run.error}
          </span>
        ) : (
          <span class="quiet">{[steps, step].filter(Boolean).join(' · ')}</span>
        )}
      </div>
    </div>
  )
}

function Provider({ run }: { run: RunItem }) {
  if (!run.provider) return <span class="quiet">–</span>
  return (
    <span title={run.model ?? undefined}>{run.provider === 'fallback' ? 'Rules' : (run.model ?? run.provider)}</span>
  )
}

function User({ run }: { run: RunItem }) {
  return run.user_id ? <code title={run.user_id}>{run.user_id.slice(0, 8)}</code> : <span class="quiet">–</span>
}

function NothingFound() {
  return (
    <Empty title="No run matches" icon="search">
      Change the filters, or clear them.
    </Empty>
  )
}

function NothingYet() {
  const [, navigate] = useLocation()
  return (
    <Empty title="No runs yet" icon="runs">
      <p>Each request to an agent or a workflow is a run. It appears here at once, and goes on as you watch.</p>
      <Button icon="play" onClick={() => navigate('/playground')}>
        Try an agent
      </Button>
    </Empty>
  )
}
