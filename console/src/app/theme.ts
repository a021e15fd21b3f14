import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

const STORED_AS = 'pixelbloom.theme'

export const theme = signal<Theme>(stored())

effect(() => {
  if (theme.value === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme.value
  try {
    localStorage.setItem(STORED_AS, theme.value)
  } catch {
    // Storage may be off: the choice then lasts until the page is left.
  }
})

function stored(): Theme {
  try {
    const found = localStorage.getItem(STORED_AS)
    return found === 'light' || found === 'dark' ? found : 'system'
  } catch {
    return 'system'
  }
}

export function toggleTheme(): void {
  const dark =
    theme.value === 'dark' || (theme.value === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
  theme.value = dark ? 'light' : 'dark'
}
