import { useEffect, useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { api, ask, type Lead } from '../../api'
import { follow } from '../../auth/sockets'
import { applyRunEvent, emptyRun, type RunEvent, type RunView, TERMINAL } from '../../client'
import { ActionButton, Age, Badge, Card, Empty, humanize, Spinner } from '../../ui'
import { Score } from '../leads/score'

/** What lead_agent found. Of another version of it, parts may be missing. */
interface Found {
  summary?: string
  breakdown?: Record<string, number>
  reasons?: string[]
  missing?: string[]
  services?: string[]
  next_actions?: string[]
}

/** The most points that each part of the score can have. */
const MOST: Record<string, number> = { budget: 30, timeline: 20, fit: 30, contact: 20, judgement: 10 }

/** The analysis that is stored, and a new one while it happens. */
export function Analysis({ lead, onDone }: { lead: Lead; onDone: () => void }) {
  const [running, setRunning] = useState<string | null>(null)
  const run = useRun(running, () => {
    setRunning(null)
    onDone()
  })
  const analyze = async () => {
    const begun = await ask(api.POST('/api/leads/{lead_id}/analyze', { params: { path: { lead_id: lead.lead_id } } }))
    setRunning(begun.request_id)
  }
  const found = lead.analysis as Found | null
  return (
    <Card
      title="Analysis"
      actions={
        <>
          {lead.analyzed_at && !running && (
            <span class="quiet">
              <Age time={lead.analyzed_at} />
            </span>
          )}
          {found && (
            <ActionButton small icon="refresh" disabled={running !== null} action={analyze}>
              Analyze again
            </ActionButton>
          )}
        </>
      }
    >
      <div aria-live="polite" aria-busy={running !== null}>
        {running && (
          <p class="lead-running">
            <Spinner /> {run.status === 'queued' ? 'Waiting for a worker' : 'Analyzing'}…{' '}
            <Link href={`/runs/${running}`}>Watch the run</Link>
          </p>
        )}
        {!running && run.status === 'failed' && <p class="error-text">{run.error ?? 'The analysis failed.'}</p>}
      </div>
      {found ? (
        <Findings score={lead.score} found={found} />
      ) : (
        !running && (
          <Empty title="Not analyzed yet" icon="search">
            <ActionButton kind="primary" icon="play" action={analyze}>
              Analyze
            </ActionButton>
          </Empty>
        )
      )}
    </Card>
  )
}

function useRun(id: string | null, onEnd: () => void): RunView {
  const [view, setView] = useState(emptyRun)
  useEffect(() => {
    if (id === null) return undefined
    let now = emptyRun()
    setView(now)
    let ended = false
    return follow<RunEvent>('workflows', `workflow_run:${id}`, {
      onEvent: (frame) => {
        now = applyRunEvent(now, frame)
        setView(now)
        if (!TERMINAL.has(now.status) || ended) return
        ended = true
        onEnd()
      },
    })
  }, [id])
  return view
}

function Findings({ score, found }: { score: number | null; found: Found }) {
  return (
    <div class="findings">
      <div class="lead-score">
        <Score value={score} />
        {found.summary && <p>{found.summary}</p>}
      </div>
      {found.breakdown && (
        <ul class="breakdown" aria-label="Points by part">
          {Object.entries(found.breakdown).map(([part, points]) => (
            <li key={part}>
              <span>{humanize(part)}</span>
              <span class="breakdown-bar" aria-hidden="true">
                <span
                  class={points < 0 ? 'minus' : undefined}
                  style={{ width: `${Math.min(100, (Math.abs(points) / (MOST[part] ?? 30)) * 100)}%` }}
                />
              </span>
              <span class="number">{points < 0 ? `−${-points}` : points}</span>
            </li>
          ))}
        </ul>
      )}
      <List title="Next steps" items={found.next_actions} ordered />
      <List title="Reasons" items={found.reasons} />
      <List title="Not known yet" items={found.missing?.map(humanize)} />
      {found.services && found.services.length > 0 && (
        <section>
          <h3>Asks for</h3>
          <p class="lead-services">
            {found.services.map((service) => (
              <Badge key={service} status="calm" label={humanize(service)} />
            ))}
          </p>
        </section>
      )}
    </div>
  )
}

function List({ title, items, ordered }: { title: string; items: string[] | undefined; ordered?: boolean }) {
  if (!items || items.length === 0) return null
  const inner = items.map((item) => <li key={item}>{item}</li>)
  return (
    <section>
      <h3>{title}</h3>
      {ordered ? <ol class="found-list">{inner}</ol> : <ul class="found-list">{inner}</ul>}
    </section>
  )
}
