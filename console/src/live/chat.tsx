import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { api, asApiError, ask, type components } from '../api'
import { Age, Badge, Button, Empty, ErrorState, Loading, Markdown } from '../ui'
import { liveText, useLiveRun } from './run'
import './chat.css'

export type ChatMessage = components['schemas']['MessageBody']

interface Props {
  /** Null begins one with the first message. */
  conversationId: string | null
  onBegin?: (conversationId: string) => void
  /** Questions to begin with. */
  starters?: string[]
  /** A closed conversation can be read only. */
  closed?: boolean
}

interface Pending {
  content: string
  requestId: string | null
  failed: string | null
}

/** A conversation with chat_agent: what was said, the reply while it is written, and a place to write. */
export function Chat({ conversationId, onBegin, starters = [], closed = false }: Props) {
  const [messages, setMessages] = useState<ChatMessage[]>([])
  const [earlier, setEarlier] = useState<string | null>(null)
  const [loadingId, setLoadingId] = useState<string | null>(null)
  const [error, setError] = useState<ReturnType<typeof asApiError> | undefined>(undefined)
  const [pending, setPending] = useState<Pending | null>(null)
  const [text, setText] = useState('')
  const known = useRef<string | null>(null)
  const end = useRef<HTMLDivElement>(null)
  const run = useLiveRun(pending?.requestId ?? null)

  const load = useCallback(async (id: string, cursor?: string) => {
    setError(undefined)
    setLoadingId(id)
    try {
      const page = await ask(
        api.GET('/api/conversations/{conversation_id}/messages', {
          params: { path: { conversation_id: id }, query: { cursor } },
        }),
      )
      if (known.current !== id) return
      const found = [...page.items].reverse()
      setMessages((now) => (cursor ? [...found, ...now] : found))
      setEarlier(page.next_cursor ?? null)
    } catch (reason) {
      setError(asApiError(reason))
    }
    setLoadingId(null)
  }, [])

  useEffect(() => {
    if (conversationId === known.current) return
    known.current = conversationId
    setMessages([])
    setEarlier(null)
    setPending(null)
    if (conversationId) void load(conversationId)
  }, [conversationId, load])

  // The reply is stored when the run has ended: read what is stored, instead of guessing it from the text.
  useEffect(() => {
    if (!run.ended || !known.current) return
    if (run.view?.status === 'completed') void load(known.current).then(() => setPending(null))
    else setPending((now) => now && { ...now, failed: run.view?.error ?? 'The reply was cancelled.' })
  }, [run.ended])

  const said = pending && run.view ? liveText(run.view) : ''
  useEffect(() => end.current?.scrollIntoView({ block: 'nearest' }), [messages.length, pending, said.length])

  const send = async (content: string) => {
    const words = content.trim()
    if (!words || pending?.failed === null) return
    setText('')
    setPending({ content: words, requestId: null, failed: null })
    try {
      let id = known.current
      if (!id) {
        const made = await ask(api.POST('/api/conversations', { body: { title: words.slice(0, 80) } }))
        id = made.conversation_id
        known.current = id
        onBegin?.(id)
      }
      const accepted = await ask(
        api.POST('/api/conversations/{conversation_id}/messages', {
          params: { path: { conversation_id: id } },
          body: { content: words },
        }),
      )
      setPending({ content: words, requestId: accepted.request_id, failed: null })
    } catch (reason) {
      setText(words)
      setPending({ content: words, requestId: null, failed: asApiError(reason).message })
    }
  }

  if (error && messages.length === 0)
    return <ErrorState error={error} retry={() => conversationId && void load(conversationId)} />
  const waiting = pending !== null && pending.failed === null
  return (
    <div class="chat">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and must do so by keyboard */}
      <div class="chat-log" role="log" aria-label="Conversation" aria-busy={waiting} tabIndex={0}>
        {earlier && (
          <Button small kind="ghost" onClick={() => conversationId && void load(conversationId, earlier)}>
            Show earlier messages
          </Button>
        )}
        {loadingId && messages.length === 0 && <Loading rows={3} />}
        {!loadingId && messages.length === 0 && !pending && (
          <Empty title="Say something" icon="chat">
            <div class="starters">
              {starters.map((one) => (
                <Button key={one} onClick={() => void send(one)}>
                  {one}
                </Button>
              ))}
            </div>
          </Empty>
        )}
        {messages.map((message) => (
          <Bubble key={message.message_id} from={message.role} content={message.content} at={message.created_at} />
        ))}
        {pending && !messages.some(({ request_id: id }) => id !== null && id === pending.requestId) && (
          <Bubble from="user" content={pending.content} />
        )}
        {waiting && (
          <Bubble from="assistant" content={said} writing>
            {run.view?.retryingWith && <Badge status="warning" label={`Retrying with ${run.view.retryingWith}`} />}
          </Bubble>
        )}
        {pending?.failed && (
          <p class="error-text" role="alert">
            {pending.failed}
          </p>
        )}
        <div ref={end} />
      </div>
      {closed ? (
        <p class="quiet">This conversation is closed.</p>
      ) : (
        <form
          class="composer"
          onSubmit={(event) => {
            event.preventDefault()
            void send(text)
          }}
        >
          <textarea
            aria-label="Message"
            placeholder="Write a message"
            rows={2}
            maxLength={8000}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
              event.preventDefault()
              void send(text)
            }}
          />
          <Button type="submit" kind="primary" icon="send" busy={waiting} disabled={text.trim() === ''}>
            Send
          </Button>
        </form>
      )}
    </div>
  )
}

function Bubble({
  from,
  content,
  at,
  writing = false,
  children,
}: {
  from: string
  content: string
  at?: string
  writing?: boolean
  children?: ComponentChildren
}) {
  return (
    <div class={`bubble ${from}`}>
      <div class="bubble-head">
        <strong>{from === 'user' ? 'You' : from === 'assistant' ? 'chat_agent' : 'System'}</strong>
        {at && (
          <span class="quiet small">
            <Age time={at} />
          </span>
        )}
        {children}
      </div>
      {from === 'assistant' && !writing ? <Markdown text={content} /> : <div class="plain-text">{content}</div>}
      {writing && <span class="caret" role="status" aria-label="The reply is being written" />}
    </div>
  )
}
