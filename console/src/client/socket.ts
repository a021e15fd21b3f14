import { Backoff } from './backoff'
import { type ErrorFrame, type EventFrame, type FlatFrame, parseFrame, type SubscribedFrame } from './frames'

/** `idle`: nothing wants a connection. `waiting`: lost, and retried after a pause. `unauthorized`: needs a new token. */
export type ConnectionState = 'idle' | 'connecting' | 'open' | 'waiting' | 'unauthorized'

export interface SocketOptions {
  /** ws: or wss: address of one channel. */
  url: string
  /** A token that is valid now; with `fresh`, another one than the server has just refused. Null where there is none. */
  token: (fresh: boolean) => Promise<string | null>
  onState?: (state: ConnectionState) => void
  /** Events that come without a subscription. */
  onFlat?: (frame: FlatFrame) => void
  /** Holds the connection open without any topic, for flat events. */
  always?: boolean
  connect?: (url: string, protocols: string[]) => WebSocket
  backoff?: Backoff
}

export interface TopicHandlers<T = unknown> {
  /** `frame.snapshot` means that all before it is to be discarded. Each event comes once, in order. */
  onEvent: (frame: EventFrame<T>) => void
  onSubscribed?: (frame: SubscribedFrame) => void
  onError?: (frame: ErrorFrame) => void
  params?: Record<string, unknown>
}

interface Topic {
  // biome-ignore lint/suspicious/noExplicitAny: topics of one socket carry different data
  handlers: Set<TopicHandlers<any>>
  params: Record<string, unknown> | undefined
  since: number | undefined
  epoch: string | undefined
  retry: ReturnType<typeof setTimeout> | undefined
}

/** The server pings as well; this finds a connection that died without a close within `PING_MS + PONG_MS`. */
export const PING_MS = 20_000
export const PONG_MS = 10_000
/** Before an `UNAVAILABLE` topic is subscribed to again on the same socket. */
export const RETRY_TOPIC_MS = 2_000
const UNAUTHORIZED = 1008

/** One socket for any number of topics, which connects again and resumes each topic where it was. */
export class Socket {
  state: ConnectionState = 'idle'
  private readonly topics = new Map<string, Topic>()
  private readonly backoff: Backoff
  private socket: WebSocket | undefined
  private attempt = 0
  private refusedToken: string | null = null
  private currentToken: string | null = null
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private pingTimer: ReturnType<typeof setTimeout> | undefined
  private pongTimer: ReturnType<typeof setTimeout> | undefined

  constructor(private readonly options: SocketOptions) {
    this.backoff = options.backoff ?? new Backoff()
  }

  /** Begin, where `always` is set and no topic has done so. */
  start(): void {
    if (this.state === 'idle') void this.open()
  }

  /** Follow a topic. Returns the function that ends it; the last one of a topic unsubscribes it. */
  subscribe<T>(name: string, handlers: TopicHandlers<T>): () => void {
    let topic = this.topics.get(name)
    const params = handlers.params
    if (!topic) {
      topic = { handlers: new Set(), params, since: undefined, epoch: undefined, retry: undefined }
      this.topics.set(name, topic)
    } else {
      // A later subscriber needs the current state as well: resubscribe the topic with a snapshot.
      topic.since = undefined
      topic.epoch = undefined
      topic.params = params ?? topic.params
    }
    topic.handlers.add(handlers)
    if (this.state === 'open') this.sendSubscribe(name, topic)
    else if (this.state === 'idle') void this.open()
    return () => this.unsubscribe(name, topic, handlers)
  }

  /** Give an open connection a new token before its old one expires; a refused one is tried again. */
  renew(token: string): void {
    if (this.state === 'open') {
      this.currentToken = token
      this.send({ type: 'auth', token })
    } else if (this.state === 'unauthorized') {
      this.refusedToken = null
      void this.open()
    }
  }

  /** Try at once, for instance when the browser says that it is online again. */
  reconnectNow(): void {
    if (this.state !== 'waiting') return
    clearTimeout(this.retryTimer)
    void this.open()
  }

  close(): void {
    this.attempt++
    clearTimeout(this.retryTimer)
    this.stopPings()
    for (const topic of this.topics.values()) clearTimeout(topic.retry)
    this.topics.clear()
    this.socket?.close(1000)
    this.socket = undefined
    this.enter('idle')
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in Topic
  private unsubscribe(name: string, topic: Topic, handlers: TopicHandlers<any>): void {
    topic.handlers.delete(handlers)
    if (topic.handlers.size > 0 || this.topics.get(name) !== topic) return
    clearTimeout(topic.retry)
    this.topics.delete(name)
    this.send({ type: 'unsubscribe', topic: name })
    if (this.topics.size === 0 && !this.options.always) this.close()
  }

  private async open(): Promise<void> {
    const attempt = ++this.attempt
    this.enter('connecting')
    let token: string | null
    try {
      token = await this.options.token(this.refusedToken !== null)
    } catch {
      if (attempt === this.attempt) this.wait()
      return
    }
    if (attempt !== this.attempt) return
    if (token === null || token === this.refusedToken) {
      this.enter('unauthorized')
      return
    }
    this.currentToken = token
    const connect = this.options.connect ?? ((url, protocols) => new WebSocket(url, protocols))
    const socket = connect(this.options.url, ['pixelbloom', token])
    this.socket = socket
    socket.onopen = () => {
      if (this.socket !== socket) return
      this.enter('open')
      this.pingLater()
      for (const [name, topic] of this.topics) this.sendSubscribe(name, topic)
    }
    socket.onmessage = (event) => {
      if (this.socket === socket) this.onMessage(event.data)
    }
    socket.onclose = (event) => {
      if (this.socket === socket) this.onClose(event.code)
    }
  }

  private onMessage(text: unknown): void {
    clearTimeout(this.pongTimer)
    this.pongTimer = undefined
    const frame = parseFrame(text)
    if (!frame) return
    switch (frame.type) {
      case 'subscribed': {
        this.backoff.reset()
        const subscribed = frame as SubscribedFrame
        const topic = this.topics.get(subscribed.topic)
        if (!topic) return
        topic.epoch = subscribed.epoch
        if (!subscribed.recovered) topic.since = undefined
        for (const one of topic.handlers) one.onSubscribed?.(subscribed)
        return
      }
      case 'event': {
        const event = frame as EventFrame
        const topic = this.topics.get(event.topic)
        if (!topic) return
        // After a second subscription to one topic the same event may come twice.
        if (!event.snapshot && topic.since !== undefined && event.seq <= topic.since) return
        topic.since = event.seq
        for (const one of [...topic.handlers]) one.onEvent(event)
        return
      }
      case 'error':
        this.onError(frame as ErrorFrame)
        return
      case 'authenticated':
      case 'pong':
      case 'unsubscribed':
        return
      default:
        if ('data' in frame) this.options.onFlat?.(frame as FlatFrame)
    }
  }

  private onError(frame: ErrorFrame): void {
    const topic = frame.topic === undefined ? undefined : this.topics.get(frame.topic)
    if (!topic) return
    if (frame.code === 'UNAVAILABLE' || frame.code === 'RATE_LIMITED') {
      clearTimeout(topic.retry)
      topic.retry = setTimeout(() => this.sendSubscribe(frame.topic as string, topic), RETRY_TOPIC_MS)
      return
    }
    for (const one of [...topic.handlers]) one.onError?.(frame)
  }

  private onClose(code: number): void {
    this.stopPings()
    this.socket = undefined
    if (code === UNAUTHORIZED) {
      this.refusedToken = this.currentToken
      void this.open()
      return
    }
    this.wait()
  }

  private wait(): void {
    this.enter('waiting')
    this.retryTimer = setTimeout(() => void this.open(), this.backoff.take())
  }

  private sendSubscribe(name: string, topic: Topic): void {
    this.send({ type: 'subscribe', topic: name, params: topic.params, since: topic.since, epoch: topic.epoch })
  }

  private send(frame: object): void {
    if (this.state === 'open' && this.socket) this.socket.send(JSON.stringify(frame))
  }

  private pingLater(): void {
    clearTimeout(this.pingTimer)
    this.pingTimer = setTimeout(() => {
      this.send({ type: 'ping' })
      this.pongTimer ??= setTimeout(() => this.abandon(), PONG_MS)
      this.pingLater()
    }, PING_MS)
  }

  /** Drop an unresponsive connection without waiting for the close handshake. */
  private abandon(): void {
    const dead = this.socket
    this.stopPings()
    this.socket = undefined
    dead?.close()
    this.wait()
  }

  private stopPings(): void {
    clearTimeout(this.pingTimer)
    clearTimeout(this.pongTimer)
    this.pongTimer = undefined
  }

  private enter(state: ConnectionState): void {
    if (this.state === state) return
    this.state = state
    this.options.onState?.(state)
  }
}
