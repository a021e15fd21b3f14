import { effect, signal } from '@preact/signals'
import { socketUrl } from '../api/config'
import { type ConnectionState, type FlatFrame, Socket, type TopicHandlers } from '../client'
import { freshToken, onRenewed, renewAfterRefusal, session } from './session'

export type Channel = 'workflows' | 'notifications' | 'analytics'

/** How each channel that is in use is connected. */
export const connections = signal<Partial<Record<Channel, ConnectionState>>>({})
export const online = signal(navigator.onLine)

const sockets = new Map<Channel, Socket>()
const flat = new Map<Channel, Set<Listener>>()

interface Listener {
  onFlat: (frame: FlatFrame) => void
  onOpen: () => void
}

/** Follow a topic of a channel. Returns the function that ends it. */
export function follow<T>(channel: Channel, topic: string, handlers: TopicHandlers<T>): () => void {
  return socket(channel).subscribe(topic, handlers)
}

/**
 * Receive a channel's flat events, such as `workflow_status_update`. They are not stored: `onOpen` is called whenever the
 * channel opens, the first time included, and reads again what may have changed before. Returns the function that ends it.
 */
export function listen(channel: Channel, onFlat: (frame: FlatFrame) => void, onOpen: () => void): () => void {
  const listeners = flat.get(channel) ?? new Set()
  flat.set(channel, listeners)
  const listener = { onFlat, onOpen }
  listeners.add(listener)
  socket(channel).start()
  return () => listeners.delete(listener)
}

function listenersOf(channel: Channel): Listener[] {
  return [...(flat.get(channel) ?? [])]
}

function socket(channel: Channel): Socket {
  const found = sockets.get(channel)
  if (found) return found
  let offered: string | undefined
  const made = new Socket({
    url: socketUrl(channel),
    always: true,
    token: async (fresh) => {
      offered = fresh && offered ? await renewAfterRefusal(offered) : await freshToken()
      return offered
    },
    onState: (state) => {
      connections.value = { ...connections.value, [channel]: state }
      if (state === 'open') for (const one of listenersOf(channel)) one.onOpen()
    },
    onFlat: (frame) => {
      for (const one of listenersOf(channel)) one.onFlat(frame)
    },
  })
  sockets.set(channel, made)
  return made
}

onRenewed((token) => {
  for (const one of sockets.values()) one.renew(token)
})

effect(() => {
  if (session.value !== null) return
  for (const one of sockets.values()) one.close()
  sockets.clear()
  connections.value = {}
})

addEventListener('online', () => {
  online.value = true
  for (const one of sockets.values()) one.reconnectNow()
})
addEventListener('offline', () => {
  online.value = false
})
