import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Backoff, Socket, type SocketOptions } from '../src/client'
import { PING_MS, PONG_MS, RETRY_TOPIC_MS } from '../src/client/socket'

class Peer {
  sent: Record<string, unknown>[] = []
  closed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text))
  }

  close(): void {
    this.closed = true
  }

  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }

  of(type: string): Record<string, unknown>[] {
    return this.sent.filter((frame) => frame.type === type)
  }
}

let peers: Peer[] = []
const last = () => peers.at(-1) as Peer

function socket(more: Partial<SocketOptions> = {}): Socket {
  return new Socket({
    url: 'ws://here/api/ws/workflows',
    token: async () => 'token-1',
    backoff: new Backoff(500, 30_000, () => 1),
    connect: (url, protocols) => {
      const peer = new Peer(url, protocols)
      peers.push(peer)
      return peer as unknown as WebSocket
    },
    ...more,
  })
}

const flush = () => vi.advanceTimersByTimeAsync(0)
async function opened(): Promise<Peer> {
  await flush()
  last().onopen?.()
  return last()
}
const event = (seq: number, topic = 'a', more: object = {}) => ({ type: 'event', topic, seq, data: { seq }, ...more })

beforeEach(() => {
  peers = []
  vi.useFakeTimers()
})
afterEach(() => vi.useRealTimers())

describe('a socket', () => {
  test('puts the token into the protocols, not into the address', async () => {
    socket().subscribe('a', { onEvent: () => {} })
    const peer = await opened()
    expect(peer.protocols).toEqual(['pixelbloom', 'token-1'])
    expect(peer.url).not.toContain('token-1')
  })

  test('carries several topics and gives each its own events', async () => {
    const one = socket()
    const seen: string[] = []
    one.subscribe('a', { onEvent: (frame) => seen.push(`a${frame.seq}`) })
    one.subscribe('b', { onEvent: (frame) => seen.push(`b${frame.seq}`) })
    const peer = await opened()
    expect(peer.of('subscribe').map((frame) => frame.topic)).toEqual(['a', 'b'])
    peer.say(event(1, 'b'))
    peer.say(event(4, 'a'))
    expect(seen).toEqual(['b1', 'a4'])
    expect(peers).toHaveLength(1)
  })

  test('resumes each topic by seq and epoch after a lost connection', async () => {
    const one = socket()
    one.subscribe('a', { onEvent: () => {} })
    let peer = await opened()
    peer.say({ type: 'subscribed', topic: 'a', seq: 6, epoch: 'k3', recovered: false })
    peer.say(event(7))
    peer.onclose?.({ code: 1006 })
    expect(one.state).toBe('waiting')
    await vi.advanceTimersByTimeAsync(500)
    peer = await opened()
    expect(peer.of('subscribe')[0]).toMatchObject({ topic: 'a', since: 7, epoch: 'k3' })
  })

  test('drops an event that comes twice, but never a snapshot', async () => {
    const seqs: number[] = []
    socket().subscribe('a', { onEvent: (frame) => seqs.push(frame.seq) })
    const peer = await opened()
    peer.say(event(3, 'a', { snapshot: true }))
    peer.say(event(4))
    peer.say(event(4))
    peer.say({ type: 'subscribed', topic: 'a', seq: 2, epoch: 'new', recovered: false })
    peer.say(event(2, 'a', { snapshot: true }))
    peer.say(event(3))
    expect(seqs).toEqual([3, 4, 2, 3])
  })

  test('waits longer after each failure, and briefly again after a connection that worked', async () => {
    const one = socket()
    one.subscribe('a', { onEvent: () => {} })
    await flush()
    last().onclose?.({ code: 1006 })
    await vi.advanceTimersByTimeAsync(500)
    last().onclose?.({ code: 1006 })
    await vi.advanceTimersByTimeAsync(999)
    expect(peers).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(1)
    expect(peers).toHaveLength(3)
    const peer = await opened()
    peer.say({ type: 'subscribed', topic: 'a', seq: 0, epoch: 'e', recovered: false })
    peer.onclose?.({ code: 1012 })
    await vi.advanceTimersByTimeAsync(500)
    expect(peers).toHaveLength(4)
  })

  test('sends a refreshed token on the open connection', async () => {
    const one = socket()
    one.subscribe('a', { onEvent: () => {} })
    const peer = await opened()
    one.renew('token-2')
    expect(peer.of('auth')).toEqual([{ type: 'auth', token: 'token-2' }])
  })

  test('asks for a fresh token when its own is refused, and stops where there is none', async () => {
    const asked: boolean[] = []
    let token = 'old'
    const one = socket({
      token: async (fresh) => {
        asked.push(fresh)
        return token
      },
    })
    one.subscribe('a', { onEvent: () => {} })
    const peer = await opened()
    token = 'new'
    peer.onclose?.({ code: 1008 })
    await flush()
    expect(last().protocols).toEqual(['pixelbloom', 'new'])
    last().onclose?.({ code: 1008 })
    await flush()
    expect(asked).toEqual([false, true, true])
    expect(one.state).toBe('unauthorized')
    token = 'newest'
    one.renew(token)
    await flush()
    expect(last().protocols).toEqual(['pixelbloom', 'newest'])
  })

  test('abandons a connection on which no pong comes', async () => {
    const one = socket()
    one.subscribe('a', { onEvent: () => {} })
    const peer = await opened()
    await vi.advanceTimersByTimeAsync(PING_MS)
    expect(peer.of('ping')).toHaveLength(1)
    peer.say({ type: 'pong' })
    await vi.advanceTimersByTimeAsync(PING_MS)
    expect(peer.closed).toBe(false)
    await vi.advanceTimersByTimeAsync(PONG_MS)
    expect(peer.closed).toBe(true)
    expect(one.state).toBe('waiting')
  })

  test('subscribes again on the same connection where a topic is unavailable, and reports one that is invalid', async () => {
    const errors: string[] = []
    socket().subscribe('a', { onEvent: () => {}, onError: (frame) => errors.push(frame.code) })
    const peer = await opened()
    peer.say({ type: 'error', code: 'UNAVAILABLE', message: 'later', topic: 'a' })
    await vi.advanceTimersByTimeAsync(RETRY_TOPIC_MS)
    expect(peer.of('subscribe')).toHaveLength(2)
    peer.say({ type: 'error', code: 'INVALID_TOPIC', message: 'no', topic: 'a' })
    expect(errors).toEqual(['INVALID_TOPIC'])
  })

  test('closes with its last topic, unless it stays open for flat events', async () => {
    const one = socket()
    const unsubscribe = one.subscribe('a', { onEvent: () => {} })
    const peer = await opened()
    unsubscribe()
    expect(peer.of('unsubscribe')).toEqual([{ type: 'unsubscribe', topic: 'a' }])
    expect(peer.closed).toBe(true)
    expect(one.state).toBe('idle')

    const flat: string[] = []
    const two = socket({ always: true, onFlat: (frame) => flat.push(frame.type) })
    two.start()
    const other = await opened()
    two.subscribe('a', { onEvent: () => {} })()
    expect(other.closed).toBe(false)
    other.say({ type: 'notification_created', data: {} })
    expect(flat).toEqual(['notification_created'])
  })

  test('ignores messages that are not frames', async () => {
    socket().subscribe('a', { onEvent: () => {} })
    const peer = await opened()
    for (const data of ['{', '[]', '1', 'null', new ArrayBuffer(2)]) peer.onmessage?.({ data })
  })
})
