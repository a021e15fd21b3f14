import { useLocation } from 'wouter-preact'
import { me, session, signOut } from '../auth/session'
import { Button, CopyButton, Icon } from '../ui'
import { Menu } from './menu'

export function AccountMenu() {
  const [, navigate] = useLocation()
  const { email, user_id, admin, service } = me.value
  return (
    <Menu label="Account" button={<Icon name="user" />}>
      {() => (
        <>
          <div class="account">
            <strong>{email ?? (service ? 'A service' : 'Signed in by a token')}</strong>
            <span class="quiet">{admin ? 'Administrator' : service ? 'Service' : 'User'}</span>
            {user_id && <code class="small">{user_id}</code>}
          </div>
          <div class="menu-actions">
            <CopyButton label="Copy access token" text={() => session.value?.access_token ?? ''} />
            <Button
              kind="ghost"
              small
              icon="logout"
              onClick={() => {
                signOut()
                navigate('/signin')
              }}
            >
              Sign out
            </Button>
          </div>
        </>
      )}
    </Menu>
  )
}
