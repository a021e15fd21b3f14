import { useState } from 'preact/hooks'
import { Link, useLocation } from 'wouter-preact'
import { api, ask } from '../../api'
import type { ScreenProps } from '../../app/routes'
import { me } from '../../auth/session'
import { ActionButton, Age, Badge, Button, Card, Confirm, Heading, Loaded, toast } from '../../ui'
import { Composer } from './composer'
import { Rename } from './rename'
import { Transcript } from './transcript'
import { type Conversation, suggestionsOf, type Transcribed, useTranscript } from './use-transcript'
import './conversation.css'

export default function ConversationScreen({ params }: ScreenProps) {
  const transcript = useTranscript(params.id ?? '')
  return <Loaded of={transcript.conversation}>{(found) => <Shown of={found} transcript={transcript} />}</Loaded>
}

function Shown({ of, transcript }: { of: Conversation; transcript: Transcribed }) {
  const [, navigate] = useLocation()
  const [dialog, setDialog] = useState<'rename' | 'remove' | null>(null)
  const path = { conversation_id: of.conversation_id }
  const close = () => setDialog(null)
  const change = async (status: 'active' | 'closed') => {
    const saved = await ask(api.PATCH('/api/conversations/{conversation_id}', { params: { path }, body: { status } }))
    transcript.conversation.update((before) => ({ ...before, ...saved }))
  }
  const own = me.value.service || (of.user_id !== null && of.user_id === me.value.user_id)
  return (
    <>
      <Heading
        title={of.title ?? 'Without a title'}
        lead={
          <>
            <Badge status={of.status} /> Began <Age time={of.created_at} />
            {of.user_id === null && ' by a visitor'}
            {of.lead_id && (
              <>
                {' · '}
                <Link href={`/leads/${of.lead_id}`}>Its lead</Link>
              </>
            )}
          </>
        }
      >
        <Button icon="edit" onClick={() => setDialog('rename')}>
          Rename
        </Button>
        <ActionButton action={() => change(of.status === 'active' ? 'closed' : 'active')}>
          {of.status === 'active' ? 'Close' : 'Open again'}
        </ActionButton>
        <Button kind="danger" icon="trash" onClick={() => setDialog('remove')}>
          Delete
        </Button>
      </Heading>
      <Card class="talk">
        <Transcript of={transcript} />
        {of.status === 'closed' ? (
          <p class="quiet chat-note">This conversation is closed; open it again to say something.</p>
        ) : own ? (
          <Composer
            busy={transcript.waiting}
            suggestions={suggestionsOf(of.messages.at(-1))}
            onSend={transcript.send}
          />
        ) : (
          <p class="quiet chat-note">Only its {of.user_id === null ? 'visitor' : 'user'} can speak here.</p>
        )}
      </Card>
      {dialog === 'rename' && (
        <Rename
          of={of}
          onClose={close}
          onSaved={(saved) => transcript.conversation.update((before) => ({ ...before, ...saved }))}
        />
      )}
      {dialog === 'remove' && (
        <Confirm
          title="Delete this conversation?"
          text="It disappears from lists and figures, with its messages. This cannot be undone."
          verb="Delete"
          danger
          action={async () => {
            await ask(api.DELETE('/api/conversations/{conversation_id}', { params: { path } }))
            toast('The conversation is deleted', 'good')
            navigate('/conversations')
          }}
          onClose={close}
        />
      )}
    </>
  )
}
