/** What the page knows before anybody has signed in: `GET /console/config.json`. */
export interface ConsoleConfig {
  api_url: string
  supabase_url: string | null
  publishable_key: string | null
  demo_accounts: string[]
}

let loaded: ConsoleConfig | undefined

export async function loadConfig(): Promise<ConsoleConfig> {
  const response = await fetch('/console/config.json', { cache: 'no-cache' })
  if (!response.ok) throw new Error(`The console's configuration could not be read (${response.status}).`)
  loaded = (await response.json()) as ConsoleConfig
  return loaded
}

/** The configuration, which `main.tsx` has loaded before anything is shown. */
export function config(): ConsoleConfig {
  if (!loaded) throw new Error('The configuration is not loaded yet.')
  return loaded
}

/** The API's address as others use it: for lines to copy. */
export function apiUrl(): string {
  return loaded?.api_url || location.origin
}

export function socketUrl(channel: 'workflows' | 'notifications' | 'analytics'): string {
  return `${apiUrl().replace(/^http/, 'ws')}/api/ws/${channel}`
}
