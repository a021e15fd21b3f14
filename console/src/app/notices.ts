import { signal } from '@preact/signals'
import type { Notification } from '../api'
import { follow } from '../auth/sockets'

interface Snapshot {
  items: Notification[]
  unread_count: number
}

/** How many of the signed-in user's notifications are unread, and the newest of them; live while the shell is shown. */
export const unread = signal(0)
export const newest = signal<Notification[]>([])
/** The last one that came while the console was open. */
export const arrived = signal<Notification | null>(null)
/** How many snapshots have come. What a list has from before one may be stale: notifications since then did not arrive. */
export const snapshots = signal(0)

const SHOWN = 6

/** Follow the notifications of a user. Returns the function that ends it. */
export function followNotices(userId: string): () => void {
  const unsubscribe = follow<Snapshot | Notification>('notifications', `user:${userId}`, {
    onEvent: ({ data, snapshot }) => {
      if (snapshot) {
        const { items, unread_count } = data as Snapshot
        unread.value = unread_count
        newest.value = items.slice(0, SHOWN)
        snapshots.value++
        return
      }
      const one = data as Notification
      if (!one.read) {
        unread.value++
        newest.value = [one, ...newest.value.filter(({ id }) => id !== one.id)].slice(0, SHOWN)
      }
      arrived.value = one
    },
  })
  return () => {
    unsubscribe()
    unread.value = 0
    newest.value = []
    arrived.value = null
  }
}

/** What the API says after some were read: the number, and which are gone from the bell. Without ids, all are. */
export function wereRead(count: number, ids?: readonly string[]): void {
  unread.value = count
  newest.value = ids ? newest.value.filter(({ id }) => !ids.includes(id)) : []
}
