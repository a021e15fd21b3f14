import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { me } from '../auth/session'
import { follow } from '../auth/sockets'
import { Icon } from '../ui'

interface Snapshot {
  items: { id: string }[]
  unread_count: number
}

/** How many notifications are unread; live. */
export const unread = signal(0)

export function Bell() {
  const userId = me.value.user_id
  useEffect(() => {
    if (!userId) return undefined
    return follow<Snapshot | { read: boolean }>('notifications', `user:${userId}`, {
      onEvent: ({ data, snapshot }) => {
        if (snapshot) unread.value = (data as Snapshot).unread_count
        else if (!(data as { read: boolean }).read) unread.value++
      },
    })
  }, [userId])
  const count = unread.value
  return (
    <Link
      href="/notifications"
      class="button ghost icon-only bell"
      aria-label={count ? `Notifications, ${count} unread` : 'Notifications'}
    >
      <Icon name="bell" />
      {count > 0 && <span class="count">{count > 99 ? '99+' : count}</span>}
    </Link>
  )
}
