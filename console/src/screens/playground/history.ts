import { signal } from '@preact/signals'

/** A run that was started here. It lives as long as the tab. */
export interface Attempt {
  id: string
  agent: string
  input: unknown
  at: string
}

const STORED_AS = 'pixelbloom.playground'
const MOST = 50

export const history = signal<Attempt[]>(restored())

export function remember(attempt: Attempt): void {
  history.value = [attempt, ...history.value].slice(0, MOST)
  try {
    sessionStorage.setItem(STORED_AS, JSON.stringify(history.value))
  } catch {
    // Too large, or storage is off: memory has it.
  }
}

function restored(): Attempt[] {
  try {
    return JSON.parse(sessionStorage.getItem(STORED_AS) ?? '[]') as Attempt[]
  } catch {
    return []
  }
}
