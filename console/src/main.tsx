import { render } from 'preact'
import { loadConfig } from './api/config'
import { asApiError } from './api/errors'
import { App } from './app/app'
import { ErrorState } from './ui'
import './app/theme'

const root = document.getElementById('app') as HTMLElement

async function begin(): Promise<void> {
  try {
    await loadConfig()
    render(<App />, root)
  } catch (error) {
    render(<ErrorState error={asApiError(error)} retry={() => void begin()} />, root)
  }
}

void begin()
