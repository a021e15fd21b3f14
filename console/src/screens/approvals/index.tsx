import { useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { api, ask, type components } from '../../api'
import { seesAll } from '../../auth/session'
import { Age, Card, Empty, ErrorState, Heading, humanize, Id, Loading, Paging, usePages } from '../../ui'
import { useRunChanges } from '../runs/live'
import { Before } from './before'
import { Decision } from './decision'
import './approvals.css'

type Approval = components['schemas']['ApprovalBody']

export default function Approvals() {
  const read = (cursor: string | undefined, signal: AbortSignal) =>
    ask(api.GET('/api/agents/approvals', { params: { query: { cursor } }, signal }))
  const pages = usePages<Approval>(read, [])
  const { items, error, more, reload } = pages
  const gone = (id: string) => pages.update((all) => all.filter((one) => one.id !== id))

  useRunChanges(async () => {
    if (pages.items === undefined) return pages.reload()
    try {
      const first = await read(undefined, new AbortController().signal)
      // Sorted by deadline: what was shown beyond the first page stays.
      const known = new Set(first.items.map(({ id }) => id))
      const last = first.items[first.items.length - 1]?.deadline_at ?? ''
      pages.update((all) =>
        first.next_cursor
          ? [...first.items, ...all.filter((one) => !known.has(one.id) && one.deadline_at > last)]
          : first.items,
      )
    } catch {
      // The next change, or the connection's return, reads it again.
    }
  })

  return (
    <>
      <Heading
        title="Approvals"
        lead={
          seesAll.value
            ? 'Steps of all users that wait for a decision, the earliest deadline first.'
            : 'Steps of your runs that wait for your decision, the earliest deadline first.'
        }
      />
      {items === undefined ? (
        error ? (
          <ErrorState error={error} retry={reload} />
        ) : (
          <Loading rows={6} />
        )
      ) : items.length === 0 ? (
        <Empty title="Nothing waits for you" icon="approve">
          When a workflow asks for a decision, it appears here at once.
        </Empty>
      ) : (
        <ul class="approvals" aria-label="Approvals">
          {items.map((one) => (
            <li key={one.id}>
              <Waiting approval={one} onGone={() => gone(one.id)} />
            </li>
          ))}
        </ul>
      )}
      {more && <Paging pages={pages} />}
    </>
  )
}

function Waiting({ approval, onGone }: { approval: Approval; onGone: () => void }) {
  const [open, setOpen] = useState(false)
  const title = `${humanize(approval.workflow_id)}: ${humanize(approval.key).toLowerCase()}`
  return (
    <Card
      title={title}
      label={`${title}, run ${approval.workflow_run_id.slice(0, 8)}`}
      actions={
        <span class="quiet small">
          asked <Age time={approval.requested_at} />
        </span>
      }
    >
      <Decision
        runId={approval.workflow_run_id}
        step={approval.key}
        message={approval.message}
        approvers={approval.approvers}
        deadline={approval.deadline_at}
        onDecided={onGone}
      />
      <div class="approval-foot">
        <button type="button" class="link-button" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Hide what came before' : 'Show what came before'}
        </button>
        <Link href={`/runs/${approval.workflow_run_id}`}>Open the run</Link>
        {seesAll.value && approval.user_id && (
          <span class="quiet">
            User <Id value={approval.user_id} />
          </span>
        )}
      </div>
      {open && <Before runId={approval.workflow_run_id} step={approval.key} />}
    </Card>
  )
}
