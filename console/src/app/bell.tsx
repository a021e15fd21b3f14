import { useEffect } from 'preact/hooks'
import { Link } from 'wouter-preact'
import { api, asApiError, ask } from '../api'
import { me } from '../auth/session'
import { Age, Badge, Button, Icon, toast } from '../ui'
import { Menu } from './menu'
import './bell.css'
import { followNotices, newest, unread, wereRead } from './notices'

/** The newest unread notifications in a panel, and their number; live. */
export function Bell() {
  const userId = me.value.user_id
  useEffect(() => (userId ? followNotices(userId) : undefined), [userId])
  const count = unread.value
  return (
    <Menu
      class="bell"
      label={count ? `Notifications, ${count} unread` : 'Notifications'}
      button={
        <>
          <Icon name="bell" />
          {count > 0 && <span class="count">{count > 99 ? '99+' : count}</span>}
        </>
      }
    >
      {(close) => <Panel close={close} />}
    </Menu>
  )
}

function Panel({ close }: { close: () => void }) {
  const readAll = async () => {
    try {
      const { unread_count } = await ask(api.POST('/api/notifications/mark-all-read'))
      wereRead(unread_count)
    } catch (reason) {
      toast(asApiError(reason).message, 'error')
    }
  }
  return (
    <div class="bell-panel">
      {newest.value.length === 0 ? (
        <p class="quiet">Nothing is unread</p>
      ) : (
        <ul class="list" aria-label="Unread notifications">
          {newest.value.map((one) => (
            <li key={one.id}>
              <Link href={one.action_url?.startsWith('/') ? one.action_url : '/notifications'} onClick={close}>
                <strong>{one.title}</strong>
                <span class="bell-text">{one.message}</span>
                <span class="bell-foot">
                  <Badge status={one.severity} />
                  <span class="quiet small">
                    <Age time={one.created_at} />
                  </span>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
      <div class="menu-actions bell-actions">
        <Link href="/notifications" class="button small" onClick={close}>
          All notifications
        </Link>
        {unread.value > 0 && (
          <Button small kind="ghost" icon="check" onClick={() => void readAll()}>
            Mark all as read
          </Button>
        )}
      </div>
    </div>
  )
}
