import { computed, signal } from '@preact/signals'
import { ApiError } from '../api/errors'
import { endSession, type Session, withRefreshToken } from './supabase'
import { claimsOf } from './tokens'

const STORED_AS = 'pixelbloom.session'
/** Milliseconds before a token's expiry at which it is refreshed, so that no request uses an expired one. */
const EARLY_SECONDS = 60

export interface Me {
  user_id: string | null
  admin: boolean
  service: boolean
  email: string | null
}

export const session = signal<Session | null>(restored())
/** Whether the dialog that asks to sign in again is open, over the page as it is. */
export const asksAgain = signal(false)
export const signedIn = computed(() => session.value !== null)
/** The signed-in user as the token describes it; the API decides what it may do. */
export const me = computed<Me>(() => {
  const claims = session.value ? claimsOf(session.value.access_token) : null
  const role = confirmedRole.value ?? claims?.app_metadata?.role ?? claims?.role?.replace('service_role', 'service')
  return {
    user_id: claims?.sub ?? null,
    admin: role === 'admin',
    service: role === 'service',
    email: session.value?.email ?? claims?.email ?? null,
  }
})
/** What the API says about the role, once it has been asked: `user_profiles` may name administrators too. */
export const confirmedRole = signal<string | null>(null)
/** Administrators and services see everybody's rows and the screens of operation. */
export const seesAll = computed(() => me.value.admin || me.value.service)

let refreshing: Promise<string> | null = null
let waiting: ((token: string) => void)[] = []
const renewed = new Set<(token: string) => void>()

/** Signs in, or signs in again in the dialog: requests that wait for a token continue. */
export function begin(found: Session): void {
  if (me.value.user_id !== claimsOf(found.access_token)?.sub) confirmedRole.value = null
  store(found)
  asksAgain.value = false
  const resume = waiting
  waiting = []
  for (const go of resume) go(found.access_token)
}

/** A session of a token alone. Throws ApiError for what is no token, or an expired one. */
export function sessionOfToken(text: string): Session {
  const token = text.trim().replace(/^Bearer\s+/i, '')
  const claims = claimsOf(token)
  if (!claims?.exp)
    throw new ApiError(0, 'UNAUTHORIZED', 'This is no token: paste the whole JWT, three parts with dots.')
  if (claims.exp <= Date.now() / 1000) throw new ApiError(0, 'UNAUTHORIZED', 'This token has expired; make a new one.')
  return { access_token: token, refresh_token: null, expires_at: claims.exp, email: claims.email ?? null }
}

export function signOut(): void {
  const before = session.value
  store(null)
  confirmedRole.value = null
  asksAgain.value = false
  waiting = []
  if (before) void endSession(before)
}

/** A token that is valid for a minute more. Waits for the dialog where the session cannot be refreshed. */
export function freshToken(): Promise<string> {
  const found = session.value
  if (found && found.expires_at - EARLY_SECONDS > Date.now() / 1000) return Promise.resolve(found.access_token)
  if (found && !found.refresh_token && found.expires_at > Date.now() / 1000) return Promise.resolve(found.access_token)
  return refresh()
}

/** Another token than `refused`. Waits for the dialog where the session cannot be refreshed. */
export function renewAfterRefusal(refused: string): Promise<string> {
  const found = session.value
  if (found && found.access_token !== refused) return Promise.resolve(found.access_token)
  return refresh()
}

/** Calls `listener` with each new token of the session: open sockets need it. */
export function onRenewed(listener: (token: string) => void): () => void {
  renewed.add(listener)
  return () => renewed.delete(listener)
}

function refresh(): Promise<string> {
  refreshing ??= renewal().finally(() => {
    refreshing = null
  })
  return refreshing
}

async function renewal(): Promise<string> {
  const found = session.value
  if (found?.refresh_token) {
    try {
      const next = await withRefreshToken(found.refresh_token)
      store({ ...next, email: next.email ?? found.email })
      return next.access_token
    } catch (error) {
      if (error instanceof ApiError && error.code === 'OFFLINE') throw error
    }
  }
  return new Promise((resolve) => {
    waiting.push(resolve)
    asksAgain.value = true
  })
}

function store(found: Session | null): void {
  session.value = found
  try {
    if (found) sessionStorage.setItem(STORED_AS, JSON.stringify(found))
    else sessionStorage.removeItem(STORED_AS)
  } catch {
    // Storage may be off: the session is then in memory only.
  }
  if (found) for (const listener of renewed) listener(found.access_token)
}

function restored(): Session | null {
  try {
    const text = sessionStorage.getItem(STORED_AS)
    return text ? (JSON.parse(text) as Session) : null
  } catch {
    return null
  }
}

// Refresh in time also while nothing asks for the token: open sockets depend on it.
setInterval(() => {
  const found = session.value
  if (found?.refresh_token && found.expires_at - EARLY_SECONDS < Date.now() / 1000)
    void refresh().catch(() => undefined)
}, 15_000)
