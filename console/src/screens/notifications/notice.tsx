import { Link } from 'wouter-preact'
import type { Notification } from '../../api'
import { ActionButton, Age, Badge, humanize } from '../../ui'

interface Props {
  of: Notification
  /** Only one's own can be marked as read. */
  own: boolean
  onRead: (ids: string[]) => Promise<void>
  onRemove: (id: string) => Promise<void>
}

/** One notification: where it leads, and what can be done with it. */
export function Notice({ of, own, onRead, onRemove }: Props) {
  const opened = () => {
    if (own && !of.read) void onRead([of.id]).catch(() => undefined)
  }
  return (
    <li class={of.read ? 'notice' : 'notice unread'}>
      <div class="notice-body">
        <h2>
          {!of.read && <span class="hidden-visually">Unread: </span>}
          <Title of={of} onOpen={opened} />
        </h2>
        <p class="plain-text">{of.message}</p>
        <p class="notice-foot">
          <Badge status={of.severity} />
          <span class="quiet small">
            {humanize(of.notification_type)} · <Age time={of.created_at} />
            {!own && (
              <>
                {' '}
                · to <code title={of.user_id}>{of.user_id.slice(0, 8)}</code>
              </>
            )}
          </span>
        </p>
      </div>
      <div class="notice-actions">
        {own && !of.read && (
          <ActionButton
            small
            kind="ghost"
            icon="check"
            aria-label={`Mark “${of.title}” as read`}
            action={() => onRead([of.id])}
          />
        )}
        <ActionButton
          small
          kind="ghost"
          icon="trash"
          aria-label={`Delete “${of.title}”`}
          action={() => onRemove(of.id)}
        />
      </div>
    </li>
  )
}

/** Addresses of the console open here, others in a new tab. */
function Title({ of, onOpen }: { of: Notification; onOpen: () => void }) {
  if (!of.action_url) return <>{of.title}</>
  if (of.action_url.startsWith('/')) {
    return (
      <Link href={of.action_url} onClick={onOpen}>
        {of.title}
      </Link>
    )
  }
  return (
    <a href={of.action_url} target="_blank" rel="noopener noreferrer" onClick={onOpen}>
      {of.title}
    </a>
  )
}
