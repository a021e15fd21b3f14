import { useState } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { api, ask, type components } from '../../api'
import { asApiError } from '../../api/errors'
import {
  ActionButton,
  Age,
  Badge,
  Button,
  Dialog,
  Duration,
  Empty,
  Facts,
  Filters,
  formatCount,
  formatNumber,
  PagedTable,
  SelectFilter,
  Table,
  toast,
  useFilters,
  usePages,
} from '../../ui'

type Delivery = components['schemas']['DeliveryBody']
const STATES = ['failed', 'pending', 'delivered'] as const
type State = (typeof STATES)[number]

/** Webhooks to the callers' servers; those that have ended can be delivered again, one or all that are ticked. */
export function Deliveries() {
  const [filters, setFilters] = useFilters(['status'])
  const [ticked, setTicked] = useState<Set<string>>(new Set())
  const [shown, setShown] = useState<Delivery | null>(null)
  const status = STATES.find((state) => state === filters.status)
  const pages = usePages<Delivery>(
    (cursor, signal) => ask(api.GET('/api/agents/webhooks', { params: { query: { cursor, status } }, signal })),
    [status],
  )
  const redeliver = async (id: string) => {
    const path = { delivery_id: id }
    const changed = await ask(api.POST('/api/agents/webhooks/{delivery_id}/redeliver', { params: { path } }))
    pages.update((items) => items.map((one) => (one.delivery_id === id ? changed : one)))
  }
  const redeliverTicked = async () => {
    let done = 0
    for (const id of ticked) {
      try {
        await redeliver(id)
        done++
      } catch (reason) {
        toast(asApiError(reason).message, 'error')
      }
    }
    setTicked(new Set())
    toast(`${formatNumber(done)} sent again`, 'good')
  }
  return (
    <>
      <Filters onClear={status ? () => setFilters({ status: '' }) : undefined}>
        <SelectFilter
          label="Status"
          value={status ?? ''}
          options={STATES.map((state): [State, string] => [state, LABELS[state]])}
          any="All"
          onChange={(value) => setFilters({ status: value })}
        />
        <span class="spacer" />
        <ActionButton kind="primary" icon="send" disabled={ticked.size === 0} action={redeliverTicked}>
          {ticked.size === 0 ? 'Send selected again' : `Send ${formatNumber(ticked.size)} again`}
        </ActionButton>
      </Filters>
      <PagedTable
        label="Webhook deliveries"
        pages={pages}
        empty={
          <Empty title={status ? `Nothing is ${LABELS[status].toLowerCase()}` : 'No deliveries yet'} icon="send">
            <p>
              Runs with a <code>webhook_url</code> report their end to it.
            </p>
          </Empty>
        }
        rowKey={(delivery) => delivery.delivery_id}
        selected={ticked}
        onSelect={setTicked}
        columns={[
          { name: 'Status', cell: (delivery) => <Badge status={delivery.status} /> },
          {
            name: 'To',
            kind: 'wide',
            cell: (delivery) => (
              <>
                <span class="clamped">{delivery.url}</span>
                {delivery.status !== 'delivered' && delivery.last_error && (
                  <div class="error-text small">{delivery.last_error}</div>
                )}
              </>
            ),
          },
          { name: 'Event', cell: (delivery) => <code>{delivery.event}</code> },
          {
            name: 'Run',
            kind: 'narrow',
            cell: (delivery) => (
              <Link href={`/runs/${delivery.run_id}`}>
                <code>{delivery.run_id.slice(0, 8)}</code>
              </Link>
            ),
          },
          {
            name: 'Attempts',
            cell: (delivery) => (
              <Button
                small
                kind="ghost"
                aria-label={`${formatCount(delivery.attempts, 'attempt')}: show them`}
                onClick={() => setShown(delivery)}
              >
                {formatCount(delivery.attempts, 'attempt')}
              </Button>
            ),
          },
          {
            name: 'When',
            cell: (delivery) => <Age time={delivery.next_attempt_at ?? delivery.finished_at ?? delivery.created_at} />,
          },
          {
            name: 'Actions',
            cell: (delivery) =>
              delivery.status === 'pending' ? null : (
                <ActionButton
                  small
                  icon="send"
                  aria-label={`Send again: ${delivery.event} to ${delivery.url}`}
                  action={async () => {
                    await redeliver(delivery.delivery_id)
                    toast('Sent again', 'good')
                  }}
                >
                  Send again
                </ActionButton>
              ),
          },
        ]}
      />
      {shown && <Attempts delivery={shown} onClose={() => setShown(null)} />}
    </>
  )
}

const LABELS: Record<State, string> = { failed: 'Failed', pending: 'Pending', delivered: 'Delivered' }

function Attempts({ delivery, onClose }: { delivery: Delivery; onClose: () => void }) {
  const rows = [...delivery.outcomes].reverse()
  return (
    <Dialog title="Attempts" onClose={onClose} wide>
      <Facts
        items={[
          ['Event', <code key="event">{delivery.event}</code>],
          ['To', delivery.url],
          [
            'Run',
            <Link key="run" href={`/runs/${delivery.run_id}`}>
              {delivery.run_id}
            </Link>,
          ],
        ]}
      />
      {rows.length === 0 ? (
        <p class="quiet">It has not been tried yet.</p>
      ) : (
        <Table
          label="Attempts"
          rows={rows}
          rowKey={({ at }) => at}
          columns={[
            { name: 'When', cell: ({ at }) => <Age time={at} /> },
            { name: 'Response', kind: 'number', cell: ({ status_code: code }) => code ?? '–' },
            { name: 'Error', kind: 'wide', cell: ({ error }) => error ?? <span class="quiet">none</span> },
            { name: 'Duration', kind: 'number', cell: ({ duration_ms: ms }) => <Duration ms={ms} /> },
          ]}
        />
      )}
    </Dialog>
  )
}
