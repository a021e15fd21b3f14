import { useEffect, useId, useState } from 'preact/hooks'
import { config } from '../api/config'
import { asApiError } from '../api/errors'
import { Mark } from '../app/shell'
import { Button, Dialog } from '../ui'
import { begin, me, sessionOfToken, signOut } from './session'
import { type Session, withDemoAccount, withPassword } from './supabase'

const DEMO_NAMES: Record<string, string> = { user: 'demo user', administrator: 'demo administrator' }

/** The sign-in page, shown at any address; that address is opened afterwards. */
export function SignIn() {
  useEffect(() => {
    document.title = 'Sign in · PixelBloom'
  }, [])
  return (
    <main class="sign-in">
      <div class="card">
        <div class="brand">
          <Mark />
          <span>PixelBloom</span>
        </div>
        <h1>Sign in</h1>
        <Ways />
      </div>
    </main>
  )
}

/** Over the page as it is, when the session has expired. */
export function AskAgain() {
  return (
    <Dialog title="Your session has expired" onClose={() => {}} dismissible={false}>
      <p>Sign in again to go on where you are{me.value.email ? `, as ${me.value.email}` : ''}.</p>
      <Ways email={me.value.email ?? ''} />
      <div class="dialog-actions">
        <Button kind="ghost" onClick={signOut}>
          Sign out instead
        </Button>
      </div>
    </Dialog>
  )
}

function Ways({ email: known = '' }: { email?: string }) {
  const id = useId()
  const { demo_accounts: demos, supabase_url: supabase } = config()
  const [email, setEmail] = useState(known)
  const [password, setPassword] = useState('')
  const [token, setToken] = useState('')
  const [failure, setFailure] = useState('')
  const [busy, setBusy] = useState('')

  const run = async (name: string, work: () => Promise<Session> | Session) => {
    setBusy(name)
    setFailure('')
    try {
      begin(await work())
    } catch (error) {
      setFailure(asApiError(error).message)
    }
    setBusy('')
  }

  return (
    <div class="ways">
      {demos.length > 0 && (
        <div class="demos">
          {demos.map((account, index) => (
            <Button
              key={account}
              kind={index === 0 ? 'primary' : 'plain'}
              busy={busy === account}
              onClick={() => void run(account, () => withDemoAccount(account))}
            >
              Continue as {DEMO_NAMES[account] ?? account}
            </Button>
          ))}
          <p class="quiet">Accounts of this local stack; no password is needed here.</p>
        </div>
      )}
      {failure && (
        <p class="error-text" role="alert">
          {failure}
        </p>
      )}
      {supabase && (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void run('password', () => withPassword(email, password))
          }}
        >
          <div class="field">
            <label for={`${id}e`}>E-mail</label>
            <input
              id={`${id}e`}
              type="email"
              autocomplete="username"
              required
              value={email}
              onInput={(event) => setEmail(event.currentTarget.value)}
            />
          </div>
          <div class="field">
            <label for={`${id}p`}>Password</label>
            <input
              id={`${id}p`}
              type="password"
              autocomplete="current-password"
              required
              value={password}
              onInput={(event) => setPassword(event.currentTarget.value)}
            />
          </div>
          <Button type="submit" kind={demos.length ? 'plain' : 'primary'} busy={busy === 'password'}>
            Sign in
          </Button>
        </form>
      )}
      <details open={!supabase}>
        <summary>Use a token</summary>
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void run('token', () => sessionOfToken(token))
          }}
        >
          <div class="field">
            <label for={`${id}t`}>Access token (JWT)</label>
            <textarea
              id={`${id}t`}
              rows={4}
              required
              spellcheck={false}
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
            <span class="hint">
              <code>pixelbloom token</code> makes one.
            </span>
          </div>
          <Button type="submit" busy={busy === 'token'}>
            Use this token
          </Button>
        </form>
      </details>
    </div>
  )
}
