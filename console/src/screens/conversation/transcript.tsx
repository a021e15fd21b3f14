import { useEffect, useRef } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { ActionButton, Age, Badge, Empty, humanize, Markdown, Spinner } from '../../ui'
import type { Message, Transcribed } from './use-transcript'

const NAMES = { user: 'User', assistant: 'Assistant', system: 'System' }
/** A reader who scrolled up further than this many pixels is not scrolled back. */
const NEAR_PX = 160

/** What was said, and the reply while it is written. */
export function Transcript({ of }: { of: Transcribed }) {
  const { messages = [], messages_cursor } = of.conversation.data ?? {}
  const text = of.reply ? Object.values(of.reply.texts).join('') : ''
  const end = useRef<HTMLDivElement>(null)
  const first = useRef(true)
  useEffect(() => {
    const below = document.documentElement.scrollHeight - scrollY - innerHeight
    if (first.current || below < NEAR_PX) end.current?.scrollIntoView({ block: 'end' })
    if (messages.length > 0) first.current = false
  }, [messages.length, text.length, of.waiting])
  return (
    <>
      {messages_cursor && (
        <div class="chat-earlier">
          <ActionButton small icon="down" action={of.loadEarlier}>
            Earlier messages
          </ActionButton>
        </div>
      )}
      {messages.length === 0 && (
        <Empty title="Nothing was said yet" icon="chat">
          <p>Ask something, such as “How long does a landing page take?”</p>
        </Empty>
      )}
      <ol class="transcript" aria-label="Transcript">
        {messages.map((message) => (
          <Said key={message.message_id} message={message} />
        ))}
        {of.reply && <Reply of={of} text={text} />}
      </ol>
      <div ref={end} class="chat-end" />
    </>
  )
}

function Said({ message }: { message: Message }) {
  const { provider, intent, needs_human } = message.metadata as {
    provider?: string
    intent?: string
    needs_human?: boolean
  }
  return (
    <li class={`said ${message.role}`}>
      <div class="said-by">
        <strong>{NAMES[message.role]}</strong>
        <span class="quiet">
          <Age time={message.created_at} />
        </span>
        {needs_human && <Badge status="warning" label="Needs a human" />}
      </div>
      <div class="said-text">
        {message.role === 'assistant' ? (
          <Markdown text={message.content} />
        ) : (
          <div class="plain-text">{message.content}</div>
        )}
      </div>
      {message.role === 'assistant' && (provider || message.request_id) && (
        <div class="said-of quiet small">
          {[intent && humanize(intent), provider === 'fallback' ? 'by rules, without a model' : provider]
            .filter(Boolean)
            .join(' · ')}{' '}
          {message.request_id && <Link href={`/runs/${message.request_id}`}>Run</Link>}
        </div>
      )}
    </li>
  )
}

function Reply({ of, text }: { of: Transcribed; text: string }) {
  const reply = of.reply
  if (!reply) return null
  const failed = reply.status === 'failed' || reply.status === 'cancelled'
  return (
    <li class="said assistant">
      <div class="said-by">
        <strong>{NAMES.assistant}</strong>
        {of.waiting && (
          <span class="quiet said-writes">
            <Spinner />
            {reply.retryingWith
              ? `Asking ${reply.retryingWith === 'fallback' ? 'the rules' : reply.retryingWith} instead…`
              : reply.status === 'queued'
                ? 'Waiting for a worker…'
                : 'Writing…'}
          </span>
        )}
      </div>
      {(text || !failed) && (
        <div class="said-text" aria-live="polite" aria-busy={of.waiting}>
          <div class="plain-text">{text || '…'}</div>
        </div>
      )}
      {failed && (
        <div class="said-failed" role="alert">
          <span class="error-text">{reply.error ?? `The reply was ${reply.status}.`}</span>
          <ActionButton small icon="refresh" action={of.retry}>
            Try again
          </ActionButton>
        </div>
      )}
    </li>
  )
}
