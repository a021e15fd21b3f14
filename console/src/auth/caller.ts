import { effect, signal } from '@preact/signals'
import { api, ask, type components } from '../api'
import { confirmedRole, session } from './session'
import { claimsOf } from './tokens'

type Caller = components['schemas']['MeBody']

/** The caller as the API returned it; null until then. */
export const caller = signal<Caller | null>(null)

/** Whether the caller may do this, such as `workflows:write`: docs/api.md lists the permissions. */
export function can(permission: string): boolean {
  return caller.value?.permissions.includes(permission) ?? false
}

/** Whether this permission, such as `runs:read`, reaches all users' rows. */
export function reachesAll(permission: string): boolean {
  return caller.value?.all_users.includes(permission) ?? false
}

let asked: string | undefined

// A refreshed token is the same caller's: only another user is asked for anew.
effect(() => {
  const token = session.value?.access_token
  const subject = token && (claimsOf(token)?.sub ?? token)
  if (subject === asked) return
  asked = subject
  caller.value = null
  if (subject) void load(subject)
})

async function load(subject: string): Promise<void> {
  try {
    const found = await ask(api.GET('/api/me'))
    if (asked !== subject) return
    caller.value = found
    confirmedRole.value = found.role
  } catch {
    if (asked === subject) setTimeout(() => asked === subject && void load(subject), 5_000)
  }
}
