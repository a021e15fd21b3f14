import { config } from '../api/config'
import { ApiError } from '../api/errors'

/** A session of Supabase Auth. A pasted token has no `refresh_token`. */
export interface Session {
  access_token: string
  refresh_token: string | null
  /** Seconds since 1970. */
  expires_at: number
  email: string | null
}

interface Granted {
  access_token: string
  refresh_token: string
  expires_in: number
  expires_at?: number
  user?: { email?: string }
}

const now = () => Date.now() / 1000

export function sessionOf(granted: Granted): Session {
  return {
    access_token: granted.access_token,
    refresh_token: granted.refresh_token ?? null,
    expires_at: granted.expires_at ?? now() + granted.expires_in,
    email: granted.user?.email || null,
  }
}

export async function withPassword(email: string, password: string): Promise<Session> {
  return sessionOf(await grant('password', { email, password }))
}

export async function withRefreshToken(refreshToken: string): Promise<Session> {
  return sessionOf(await grant('refresh_token', { refresh_token: refreshToken }))
}

/** One of the local stack's accounts, by its name in the configuration. */
export async function withDemoAccount(account: string): Promise<Session> {
  const response = await reached(
    fetch('/console/demo', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ account }),
    }),
  )
  const body = await response.json().catch(() => null)
  if (!response.ok) throw ApiError.of(response, body)
  return sessionOf(body as Granted)
}

/** Ends the session at Supabase. A failure is ignored: the tokens are dropped here in any case. */
export async function endSession(session: Session): Promise<void> {
  const { supabase_url, publishable_key } = config()
  if (!session.refresh_token || !supabase_url) return
  await fetch(`${supabase_url}/auth/v1/logout?scope=local`, {
    method: 'POST',
    headers: { apikey: publishable_key ?? '', Authorization: `Bearer ${session.access_token}` },
  }).catch(() => undefined)
}

async function grant(type: string, body: object): Promise<Granted> {
  const { supabase_url, publishable_key } = config()
  if (!supabase_url) throw new ApiError(0, 'UNAVAILABLE', 'SUPABASE_URL is not set: sign in with a token instead.')
  const response = await reached(
    fetch(`${supabase_url}/auth/v1/token?grant_type=${type}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', apikey: publishable_key ?? '' },
      body: JSON.stringify(body),
    }),
  )
  const said = (await response.json().catch(() => ({}))) as Record<string, unknown>
  if (response.ok) return said as unknown as Granted
  const reason = String(said.error_code ?? said.code ?? '')
  const message =
    reason === 'invalid_credentials'
      ? 'The e-mail address or the password is incorrect.'
      : String(said.msg ?? said.error_description ?? said.message ?? `Signing in failed (${response.status}).`)
  throw new ApiError(response.status, reason || 'UNAUTHORIZED', message)
}

async function reached(pending: Promise<Response>): Promise<Response> {
  try {
    return await pending
  } catch {
    throw ApiError.offline()
  }
}
