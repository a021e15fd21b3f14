import { useEffect, useRef, useState } from 'preact/hooks'
import { api, asApiError, ask, type Notification } from '../../api'
import { arrived, snapshots, unread, wereRead } from '../../app/notices'
import { me, seesAll } from '../../auth/session'
import {
  Button,
  Empty,
  ErrorState,
  Filters,
  Heading,
  humanize,
  Loading,
  Paging,
  SelectFilter,
  toast,
  useFilters,
  usePages,
} from '../../ui'
import { Broadcast } from './broadcast'
import { Notice } from './notice'
import './notifications.css'

const TYPES = [
  'run_completed',
  'run_failed',
  'run_cancelled',
  'approval_waiting',
  'lead_qualified',
  'payment_succeeded',
  'payment_failed',
  'payment_refunded',
  'payment_disputed',
  'trial_ending',
  'subscription_ended',
]

export default function Notifications() {
  const [filters, set] = useFilters(['unread', 'type', 'of'])
  const [sending, setSending] = useState(false)
  const own = me.value.user_id
  const everybody = seesAll.value && (filters.of === 'all' || own === null)
  const pages = usePages<Notification>(
    (cursor, signal) =>
      ask(
        api.GET('/api/notifications', {
          params: {
            query: {
              cursor,
              unread_only: filters.unread ? true : undefined,
              notification_type: filters.type || undefined,
              user_id: everybody ? undefined : (own ?? undefined),
            },
          },
          signal,
        }),
      ),
    [filters.unread, filters.type, everybody, own],
  )

  const latest = arrived.value
  useChange(latest, () => {
    if (!latest || (filters.type && latest.notification_type !== filters.type)) return
    // What is still loading may be older.
    if (pages.loading) pages.reload()
    else pages.update((items) => (items.some(({ id }) => id === latest.id) ? items : [latest, ...items]))
  })
  useChange(snapshots.value, pages.reload)

  const read = async (ids: string[]) => {
    const { unread_count } = await ask(api.POST('/api/notifications/mark-read', { body: { notification_ids: ids } }))
    wereRead(unread_count, ids)
    pages.update((items) => items.map((one) => (ids.includes(one.id) ? { ...one, read: true } : one)))
  }
  const readAll = async () => {
    try {
      const { marked, unread_count } = await ask(api.POST('/api/notifications/mark-all-read'))
      wereRead(unread_count)
      pages.update((items) => items.map((one) => (one.user_id === own ? { ...one, read: true } : one)))
      toast(`${marked} marked as read`, 'good')
    } catch (reason) {
      toast(asApiError(reason).message, 'error')
    }
  }
  const remove = async (id: string) => {
    await ask(api.DELETE('/api/notifications/{notification_id}', { params: { path: { notification_id: id } } }))
    pages.update((items) => items.filter((one) => one.id !== id))
    const { unread_count } = await ask(api.GET('/api/notifications/unread-count'))
    if (own) wereRead(unread_count, [id])
  }

  return (
    <>
      <Heading title="Notifications" lead={unread.value > 0 ? `${unread.value} unread` : 'Nothing is unread'}>
        {unread.value > 0 && (
          <Button icon="check" onClick={() => void readAll()}>
            Mark all as read
          </Button>
        )}
        {seesAll.value && (
          <Button kind="primary" icon="send" onClick={() => setSending(true)}>
            Notify users
          </Button>
        )}
      </Heading>
      <Filters>
        <SelectFilter
          label="Show"
          any="All"
          value={filters.unread}
          options={[['1', 'Unread']]}
          onChange={(value) => set({ unread: value })}
        />
        <SelectFilter
          label="About"
          any="Everything"
          value={filters.type}
          options={[...new Set([...TYPES, ...(filters.type ? [filters.type] : [])])].map((one): [string, string] => [
            one,
            humanize(one),
          ])}
          onChange={(type) => set({ type })}
        />
        {seesAll.value && own && (
          <SelectFilter
            label="Of"
            any="Mine"
            value={filters.of}
            options={[['all', 'All users']]}
            onChange={(of) => set({ of })}
          />
        )}
      </Filters>
      <Listed
        pages={pages}
        filtered={Boolean(filters.unread || filters.type)}
        own={own}
        onRead={read}
        onRemove={remove}
      />
      {sending && <Broadcast onClose={() => setSending(false)} />}
    </>
  )
}

function Listed({
  pages,
  filtered,
  own,
  onRead,
  onRemove,
}: {
  pages: ReturnType<typeof usePages<Notification>>
  filtered: boolean
  own: string | null
  onRead: (ids: string[]) => Promise<void>
  onRemove: (id: string) => Promise<void>
}) {
  const { items, error, reload } = pages
  if (items === undefined) return error ? <ErrorState error={error} retry={reload} /> : <Loading rows={6} />
  if (items.length === 0) {
    return (
      <Empty title={filtered ? 'No notification matches' : 'No notifications yet'} icon="bell">
        {!filtered && <p>Ended runs, approvals that wait, hot leads and payments are announced here.</p>}
      </Empty>
    )
  }
  return (
    <>
      <ul class="list notices" aria-label="Notifications">
        {items.map((one) => (
          <Notice key={one.id} of={one} own={one.user_id === own} onRead={onRead} onRemove={onRemove} />
        ))}
      </ul>
      <Paging pages={pages} />
    </>
  )
}

/** Calls `work` after each change of the value, not for its first one. */
function useChange<T>(value: T, work: () => void): void {
  const before = useRef(value)
  useEffect(() => {
    if (before.current === value) return
    before.current = value
    work()
  }, [value])
}
