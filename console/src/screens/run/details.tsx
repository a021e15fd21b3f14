import type { ComponentChildren } from 'preact'
import { Link } from 'wouter-preact'
import { TERMINAL } from '../../client'
import { Age, between, Card, Duration, Facts, formatNumber, Id, JsonView, useNow } from '../../ui'
import { type AnyRun, tokensOf } from './state'
import { producerOf } from './step'

/** The figures of a run, and its ids to copy. */
export function Details({ run }: { run: AnyRun }) {
  const going = run.status === 'running'
  const now = useNow(1000, going)
  const tokens = tokensOf(run)
  const items: [string, ComponentChildren][] = [
    ['Duration', <Duration key="duration" ms={between(run.started_at, run.finished_at, now)} />],
    ['Produced by', producerOf(run)],
    ['Tokens', tokens ? formatNumber(tokens) : '–'],
    ['Attempts', run.retries ? `${run.attempts}, after ${run.retries} retries` : String(run.attempts)],
    ['Created', <Age key="created" time={run.created_at} />],
    [TERMINAL.has(run.status) ? 'Ended' : 'Started', <Age key="at" time={run.finished_at ?? run.started_at} />],
  ]
  if (run.run_at && run.status === 'queued') items.push(['Starts', <Age key="starts" time={run.run_at} />])
  items.push(['Run', <Id key="run" value={run.id} />])
  if (run.user_id) items.push(['User', <Id key="user" value={run.user_id} />])
  if (run.correlation_id) items.push(['Request', <Id key="request" value={run.correlation_id} />])
  if (run.replay_of)
    items.push([
      'Replay of',
      <Link key="replay" href={`/runs/${run.replay_of}`}>
        <code>{run.replay_of.slice(0, 8)}…</code>
      </Link>,
    ])
  return (
    <Card title="Details">
      <Facts items={items} />
      {Object.keys(run.metadata).length > 0 && (
        <div class="output-part metadata">
          <h3>Metadata</h3>
          <JsonView value={run.metadata} label="Metadata" />
        </div>
      )}
    </Card>
  )
}
