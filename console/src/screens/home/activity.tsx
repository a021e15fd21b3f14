import { Link } from 'wouter-preact'
import { api, ask } from '../../api'
import { seesAll } from '../../auth/session'
import { Card, Chart, Figure, formatCompact, formatNumber, Loaded, useResource } from '../../ui'
import { useEvery } from './every'
import { byMinute, type RunTimes } from './minutes'

const REFRESH_MS = 30_000
const MINUTES = 60
const PAGE = 200
const MOST_PAGES = 3

interface Recent {
  runs: RunTimes[]
  /** Where the last hour had more runs than were read: the time of the oldest one, in milliseconds. */
  since: number
}

/** Runs a minute and failures of the last hour. */
export function Activity() {
  const recent = useResource(read, [])
  useEvery(REFRESH_MS, recent.reload)
  return (
    <Card title={seesAll.value ? 'Runs of everybody' : 'Your runs'} actions={<Link href="/runs">All runs</Link>}>
      <Loaded of={recent}>
        {({ runs, since }) => {
          const { times, started, failed } = byMinute(runs, Date.now(), MINUTES, since)
          const total = started.reduce((sum, one) => sum + one, 0)
          const failures = failed.reduce((sum, one) => sum + one, 0)
          return (
            <>
              <div class="activity-figures">
                <Figure
                  name="Runs a minute"
                  value={formatCompact(total / times.length)}
                  title={formatNumber(total / times.length)}
                />
                <Figure name={`In ${times.length} minutes`} value={formatCompact(total)} title={formatNumber(total)} />
                <Figure
                  name="Failed"
                  value={formatCompact(failures)}
                  title={formatNumber(failures)}
                  note={failures > 0 && <Link href="/failures">See why</Link>}
                />
                <Figure name="In progress" value={formatCompact(runs.filter(inProgress).length)} />
              </div>
              <div class="halves charts">
                <Chart
                  label="Runs a minute"
                  times={times}
                  series={[{ name: 'Runs', values: started }]}
                  height={130}
                  bars
                />
                <Chart
                  label="Failures a minute"
                  times={times}
                  series={[{ name: 'Failures', values: failed, tone: 'bad' }]}
                  height={130}
                  bars
                />
              </div>
            </>
          )
        }}
      </Loaded>
    </Card>
  )
}

function inProgress({ status }: RunTimes): boolean {
  return status === 'queued' || status === 'running'
}

async function read(signal: AbortSignal): Promise<Recent> {
  const after = new Date(Date.now() - MINUTES * 60_000).toISOString()
  const query = (cursor: string | undefined) => ({ created_after: after, limit: PAGE, cursor })
  const [agents, workflows] = await Promise.all([
    pages((cursor) => ask(api.GET('/api/agents/runs', { params: { query: query(cursor) }, signal }))),
    pages((cursor) => ask(api.GET('/api/agents/workflows/runs', { params: { query: query(cursor) }, signal }))),
  ])
  return { runs: [...agents.runs, ...workflows.runs], since: Math.max(agents.since, workflows.since) }
}

async function pages(
  one: (cursor: string | undefined) => Promise<{ items: RunTimes[]; next_cursor: string | null }>,
): Promise<Recent> {
  const runs: RunTimes[] = []
  let cursor: string | undefined
  for (let page = 0; page < MOST_PAGES; page++) {
    const found = await one(cursor)
    runs.push(...found.items)
    if (!found.next_cursor) return { runs, since: 0 }
    cursor = found.next_cursor
  }
  return { runs, since: Date.parse(runs.at(-1)?.created_at ?? '') || 0 }
}
