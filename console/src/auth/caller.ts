import { effect, signal } from '@preact/signals'
import { api, ask, type components } from '../api'
import { confirmedRole, session } from './session'
import { claimsOf } from './tokens'

type Caller = components['schemas']['MeBody']

/** Who the API says that we are; null until it has said so. */
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
  const whose = token && (claimsOf(token)?.sub ?? token)
  if (whose === asked) return
  asked = whose
  caller.value = null
  if (whose) void load(whose)
})

async function load(whose: string): Promise<void> {
  try {
    const found = await ask(api.GET('/api/me'))
    if (asked !== whose) return
    caller.value = found
    confirmedRole.value = found.role
  } catch {
    if (asked === whose) setTimeout(() => asked === whose && void load(whose), 5_000)
  }
}
