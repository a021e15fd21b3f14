import { useEffect, useRef, useState } from 'preact/hooks'
import { api, ask, type components } from '../../api'
import { listen } from '../../auth/sockets'
import { emptyRun, type RunView, TERMINAL } from '../../client'
import { useLiveRun } from '../../live/run'
import { type Resource, useResource } from '../../ui'

export type Conversation = components['schemas']['ConversationWithMessages']
export type Message = components['schemas']['MessageBody']

export interface Transcribed {
  conversation: Resource<Conversation>
  /** The run that writes a reply, or that could not. */
  reply: RunView | null
  waiting: boolean
  send: (content: string, key: string) => Promise<void>
  retry: () => Promise<void>
  loadEarlier: () => Promise<void>
}

/** A conversation with its messages, the reply that is being written, and what others say meanwhile. */
export function useTranscript(id: string): Transcribed {
  const path = { conversation_id: id }
  const conversation = useResource(
    (signal) => ask(api.GET('/api/conversations/{conversation_id}', { params: { path }, signal })),
    [id],
  )
  const add = (messages: Message[]) =>
    conversation.update((before) => ({ ...before, messages: merged(before.messages, messages) }))
  const shown = useRef(false)
  shown.current = conversation.data !== undefined
  const readNew = async () => {
    // What is still loading may be older than the event.
    if (!shown.current) return conversation.reload()
    const page = await ask(
      api.GET('/api/conversations/{conversation_id}/messages', { params: { path, query: { limit: 50 } } }),
    )
    add(page.items)
  }

  useEffect(() => {
    const readNow = () => void readNew().catch(() => undefined)
    return listen(
      'analytics',
      ({ type, data }) => {
        if (type === 'message_created' && (data as { conversation_id: string }).conversation_id === id) readNow()
      },
      readNow,
    )
  }, [id])

  const open = openRequest(conversation.data?.messages ?? [])
  const { view, restart } = useReply(open, readNew)
  return {
    conversation,
    reply: open === null ? null : view,
    waiting: open !== null && !TERMINAL.has(view.status),
    send: async (content, key) => {
      const sent = await ask(
        api.POST('/api/conversations/{conversation_id}/messages', {
          params: { path, header: { 'Idempotency-Key': key } },
          body: { content },
        }),
      )
      add([
        {
          id: sent.message_id,
          message_id: sent.message_id,
          conversation_id: id,
          user_id: null,
          role: 'user',
          content,
          request_id: sent.request_id,
          metadata: {},
          created_at: new Date().toISOString(),
        },
      ])
      await readNew().catch(() => undefined)
    },
    retry: async () => {
      if (open === null) return
      await ask(api.POST('/api/agents/runs/{request_id}/retry', { params: { path: { request_id: open } } }))
      restart()
    },
    loadEarlier: async () => {
      const cursor = conversation.data?.messages_cursor
      if (!cursor) return
      const page = await ask(
        api.GET('/api/conversations/{conversation_id}/messages', { params: { path, query: { cursor, limit: 50 } } }),
      )
      conversation.update((before) => ({
        ...before,
        messages: merged(before.messages, page.items),
        messages_cursor: page.next_cursor ?? null,
      }))
    },
  }
}

/** Follows the run of a reply: its words as they come, also where it is opened late. */
function useReply(request: string | null, onEnd: () => Promise<void>): { view: RunView; restart: () => void } {
  const [round, setRound] = useState(0)
  const { view = emptyRun() } = useLiveRun(request, round)
  const completed = view.status === 'completed'
  useEffect(() => {
    if (completed) void onEnd().catch(() => undefined)
  }, [completed, request])
  return { view, restart: () => setRound((before) => before + 1) }
}

/** The run of the last message, where it has no reply yet. */
export function openRequest(messages: Message[]): string | null {
  const asked = messages.findLast(({ role, request_id }) => role === 'user' && request_id !== null)
  if (!asked) return null
  const replied = messages.some(({ role, request_id }) => role === 'assistant' && request_id === asked.request_id)
  return replied ? null : asked.request_id
}

/** Messages of both, oldest first, each once; what was read later is the truth about one. */
export function merged(before: Message[], more: Message[]): Message[] {
  const all = new Map([...before, ...more].map((message) => [message.message_id, message]))
  return [...all.values()].sort((one, other) => one.created_at.localeCompare(other.created_at))
}

/** Questions that chat_agent suggests after its reply, where that is the last message. */
export function suggestionsOf(last: Message | undefined): string[] {
  const found = last?.role === 'assistant' ? last.metadata.suggested_questions : undefined
  return Array.isArray(found) ? found.filter((one) => typeof one === 'string').slice(0, 3) : []
}
