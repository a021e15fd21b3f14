/** What the server sends, as docs/realtime.md describes it. */
export interface SubscribedFrame {
  type: 'subscribed'
  channel: string
  topic: string
  seq: number
  epoch: string
  recovered: boolean
}

export interface EventFrame<T = unknown> {
  type: 'event'
  channel: string
  topic: string
  data: T
  seq: number
  ts: string
  snapshot?: boolean
}

export interface ErrorFrame {
  type: 'error'
  code: string
  message: string
  topic?: string
}

/** An event that comes without a subscription, such as `notification_created`. */
export interface FlatFrame<T = unknown> {
  type: string
  data: T
}

export type Frame = SubscribedFrame | EventFrame | ErrorFrame | FlatFrame | { type: string; topic?: string }

/** The frame in a message, or null for what is none. */
export function parseFrame(text: unknown): Frame | null {
  if (typeof text !== 'string') return null
  try {
    const frame = JSON.parse(text)
    return typeof frame === 'object' && frame !== null && typeof frame.type === 'string' ? frame : null
  } catch {
    return null
  }
}
