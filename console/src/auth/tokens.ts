/** What a token says about its user. It is shown, never trusted: the API decides. */
export interface Claims {
  sub?: string
  email?: string
  exp?: number
  role?: string
  app_metadata?: { role?: string }
  scope?: string | string[]
}

export function claimsOf(token: string): Claims | null {
  const payload = token.split('.')[1]
  if (!payload) return null
  try {
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0))
    const claims = JSON.parse(new TextDecoder().decode(bytes))
    return typeof claims === 'object' && claims !== null ? claims : null
  } catch {
    return null
  }
}
