import type { EventFrame } from './frames'

/** What a run's topic carries: its states, and the text that its steps write. */
export interface RunEvent {
  status?: string
  progress?: number
  step?: string | null
  steps?: unknown[]
  text?: string
  texts?: Record<string, string>
  text_from?: number
  text_truncated?: boolean
  delta?: string
  offset?: number
  reset?: boolean
  retrying_with?: string
  result?: unknown
  outputs?: unknown
  error?: string | null
  error_code?: string | null
}

export interface RunView {
  status: string
  progress: number
  step: string | null
  steps: unknown[]
  /** By step key, the text of its attempt in progress. */
  texts: Record<string, string>
  /** Steps whose beginning is missing: their text outgrew what is stored. */
  truncated: boolean
  retryingWith: string | null
  result: unknown
  outputs: unknown
  error: string | null
  errorCode: string | null
}

export const TERMINAL = new Set(['completed', 'failed', 'cancelled'])

export function emptyRun(): RunView {
  return {
    status: 'queued',
    progress: 0,
    step: null,
    steps: [],
    texts: {},
    truncated: false,
    retryingWith: null,
    result: null,
    outputs: null,
    error: null,
    errorCode: null,
  }
}

/** The view after an event: exact while text streams, after a reconnect, and from a snapshot. */
export function applyRunEvent(before: RunView, frame: EventFrame<RunEvent>): RunView {
  const data = frame.data
  const view = frame.snapshot ? emptyRun() : { ...before, texts: { ...before.texts } }
  if (data.status !== undefined) {
    // A run that goes on after its end, by a retry, has no result or error of before.
    if (TERMINAL.has(view.status) && !TERMINAL.has(data.status)) {
      view.result = null
      view.outputs = null
      view.error = null
      view.errorCode = null
      view.texts = {}
    }
    view.status = data.status
  }
  if (data.progress !== undefined) view.progress = data.progress
  if (data.step !== undefined) view.step = data.step
  if (data.steps !== undefined) view.steps = data.steps
  if (data.result !== undefined) view.result = data.result
  if (data.outputs !== undefined) view.outputs = data.outputs
  if (data.error !== undefined) view.error = data.error
  if (data.error_code !== undefined) view.errorCode = data.error_code
  if (frame.snapshot) {
    if (data.texts) view.texts = { ...data.texts }
    else if (data.text && data.step) view.texts = { [data.step]: data.text }
    view.truncated = Boolean(data.text_truncated || data.text_from)
    return view
  }
  const step = data.step
  if (step === undefined || step === null) return view
  if (data.reset) {
    view.texts[step] = ''
    view.retryingWith = data.retrying_with ?? null
  }
  if (data.delta !== undefined) {
    view.texts[step] = joined(view.texts[step] ?? '', data.offset, data.delta)
    if (!data.reset) view.retryingWith = null
  }
  return view
}

/** Offsets count code points. A text whose beginning was cut has fewer, and is appended to. */
function joined(text: string, offset: number | undefined, delta: string): string {
  if (offset === undefined) return text + delta
  const points = text.length > 0 && offset < text.length ? Array.from(text) : null
  if (points === null || offset >= points.length) return text + delta
  return points.slice(0, offset).join('') + delta
}
