import { useState } from 'preact/hooks'
import { api, ask, type components } from '../../api'
import { asApiError } from '../../api/errors'
import {
  ActionButton,
  Age,
  Badge,
  Empty,
  Filters,
  formatCount,
  formatNumber,
  humanize,
  PagedTable,
  SelectFilter,
  toast,
  useFilters,
  usePages,
} from '../../ui'

type StripeEvent = components['schemas']['EventBody']
const STATES = ['failed', 'received', 'processed', 'ignored'] as const
/** The tone of each state's label. */
const TONES = { failed: 'failed', received: 'running', processed: 'completed', ignored: 'skipped' } as const
/** A replay is processed within about this many milliseconds; the list is then read again. */
const PAUSE_MS = 1500

/** Events of Stripe as they were processed; each can be processed again. For administrators. */
export function StripeEvents() {
  const [filters, setFilters] = useFilters(['status'])
  const [ticked, setTicked] = useState<Set<string>>(new Set())
  const status = STATES.find((state) => state === filters.status)
  const pages = usePages<StripeEvent>(
    (cursor, signal) => ask(api.GET('/api/payments/events', { params: { query: { cursor, status } }, signal })),
    [status],
  )
  const replay = async (ids: Iterable<string>) => {
    let done = 0
    for (const id of ids) {
      try {
        await ask(api.POST('/api/payments/events/{event_id}/replay', { params: { path: { event_id: id } } }))
        done++
      } catch (reason) {
        toast(asApiError(reason).message, 'error')
      }
    }
    setTicked(new Set())
    if (done > 0) toast(`${formatCount(done, 'event is', 'events are')} processed again`, 'good')
    setTimeout(pages.reload, PAUSE_MS)
  }
  return (
    <>
      <Filters onClear={status ? () => setFilters({ status: '' }) : undefined}>
        <SelectFilter
          label="Status"
          value={status ?? ''}
          options={STATES.map((state): [string, string] => [state, humanize(state)])}
          any="All"
          onChange={(value) => setFilters({ status: value })}
        />
        <span class="spacer" />
        <ActionButton kind="primary" icon="refresh" disabled={ticked.size === 0} action={() => replay([...ticked])}>
          {ticked.size === 0 ? 'Replay selected' : `Replay ${formatNumber(ticked.size)}`}
        </ActionButton>
      </Filters>
      <PagedTable
        label="Stripe events"
        pages={pages}
        empty={
          <Empty title={status ? `No event is ${status}` : 'No events yet'} icon="card">
            <p>Stripe reports payments and subscriptions here, once its webhook leads to this server.</p>
          </Empty>
        }
        rowKey={({ id }) => id}
        selected={ticked}
        onSelect={setTicked}
        columns={[
          { name: 'Status', cell: (event) => <Badge status={TONES[event.status]} label={humanize(event.status)} /> },
          {
            name: 'Event',
            kind: 'wide',
            cell: (event) => (
              <>
                <code>{event.type}</code>
                {event.error && <div class="error-text small">{event.error}</div>}
              </>
            ),
          },
          { name: 'Id', kind: 'narrow', cell: ({ id }) => <code title={id}>{id.slice(0, 20)}</code> },
          {
            name: 'Subject',
            kind: 'narrow',
            cell: ({ subject }) =>
              subject ? <code title={subject}>{subject.slice(0, 20)}</code> : <span class="quiet">–</span>,
          },
          {
            name: 'Attempts',
            kind: 'number',
            cell: ({ attempts }) => formatCount(attempts, 'attempt'),
          },
          { name: 'Received', cell: (event) => <Age time={event.received_at} /> },
          {
            name: 'Actions',
            cell: ({ id, type }) => (
              <ActionButton small icon="refresh" aria-label={`Replay ${type}, ${id}`} action={() => replay([id])}>
                Replay
              </ActionButton>
            ),
          },
        ]}
      />
    </>
  )
}
