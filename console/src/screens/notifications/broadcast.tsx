import { useState } from 'preact/hooks'
import { api, ask, type components } from '../../api'
import { type Schema, SchemaForm } from '../../form'
import { Button, Dialog, formatCount, Spinner, useResource } from '../../ui'

type BroadcastRequest = components['schemas']['BroadcastRequest']

const FIELDS: Schema = {
  type: 'object',
  required: ['title', 'message'],
  additionalProperties: false,
  properties: {
    title: { type: 'string', title: 'Title', minLength: 1, maxLength: 200 },
    message: { type: 'string', title: 'Message', minLength: 1, maxLength: 2000 },
    severity: { type: 'string', title: 'Severity', enum: ['info', 'success', 'warning', 'error'], default: 'info' },
    action_url: {
      type: 'string',
      title: 'Where it leads',
      maxLength: 2000,
      description: 'A path such as /leads, or an address that begins with https://.',
    },
    user_ids: {
      type: 'array',
      title: 'Users',
      description: 'Their ids. Without any, everybody is notified.',
      maxItems: 1000,
      items: { type: 'string', format: 'uuid' },
    },
  },
}
const POLL_MS = 1_000

/** For administrators: a notification to some users or to all, and how far it is. */
export function Broadcast({ onClose }: { onClose: () => void }) {
  const [id, setId] = useState<string | null>(null)
  return (
    <Dialog title="Notify users" onClose={onClose} wide>
      {id === null ? (
        <SchemaForm
          schema={FIELDS}
          verb="Send"
          onSubmit={async (value) => {
            const { user_ids = [], ...fields } = value as BroadcastRequest
            const to = user_ids && user_ids.length > 0 ? { user_ids } : { all_users: true }
            const made = await ask(
              api.POST('/api/notifications', { body: { ...fields, ...to, notification_type: 'announcement' } }),
            )
            setId(made.broadcast_id)
          }}
        />
      ) : (
        <>
          <Progress id={id} />
          <div class="dialog-actions">
            <Button kind="primary" onClick={onClose}>
              Done
            </Button>
          </div>
        </>
      )}
    </Dialog>
  )
}

function Progress({ id }: { id: string }) {
  const broadcast = useResource(
    async (signal) => {
      for (;;) {
        const found = await ask(
          api.GET('/api/notifications/broadcasts/{broadcast_id}', { params: { path: { broadcast_id: id } }, signal }),
        )
        if (found.status === 'sent') return found
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    },
    [id],
  )
  const { data, error } = broadcast
  return (
    <p role="status">
      {data ? (
        `Sent to ${formatCount(data.sent, 'user')}.`
      ) : error ? (
        <span class="error-text">{error.message} It is being sent nevertheless.</span>
      ) : (
        <>
          <Spinner /> Sending. You may close this.
        </>
      )}
    </p>
  )
}
