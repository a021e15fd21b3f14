import { useEffect, useState } from 'preact/hooks'
import { api, ask } from '../../api'
import { asApiError } from '../../api/errors'
import { type Fault, located, parseJson } from '../../form'

/** After typing has paused for this many milliseconds the API is asked. */
const PAUSE_MS = 350

export type Verdict = 'checking' | 'valid' | 'invalid' | 'unknown'
export type LocatedFault = Fault & { line: number }

export interface Validation {
  verdict: Verdict
  faults: LocatedFault[]
  /** The value of the text, or of the last text that was JSON. */
  value: unknown
  /** Why the API could not be asked. */
  problem: string | null
}

interface Answer {
  text: string
  faults: Fault[]
  problem: string | null
}

/** What is invalid in a definition, while it is written: by the JSON parser at once, by the API after a pause. */
export function useValidation(text: string): Validation {
  const [answer, setAnswer] = useState<Answer | null>(null)
  const [value, setValue] = useState<unknown>(undefined)
  const { error, value: parsed } = parseJson(text)
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)

  useEffect(() => {
    if (error) return undefined
    setValue(parsed)
    if (!isObject) return undefined
    const controller = new AbortController()
    const check = async () => {
      try {
        const body = { definition: parsed as Record<string, unknown> }
        const found = await ask(api.POST('/api/agents/workflows/validate', { body, signal: controller.signal }))
        const faults = found.details.map(({ field, message }) => ({ place: field === 'body' ? '' : field, message }))
        setAnswer({ text, faults, problem: null })
      } catch (reason) {
        if (!controller.signal.aborted) setAnswer({ text, faults: [], problem: asApiError(reason).message })
      }
    }
    const timer = setTimeout(() => void check(), PAUSE_MS)
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [text])

  if (error) {
    const { line, column, message } = error
    const fault = { place: '', message: `column ${column}: ${message}`, line }
    return { verdict: 'invalid', faults: [fault], value, problem: null }
  }
  if (!isObject)
    return { verdict: 'invalid', faults: [{ place: '', message: 'must be an object', line: 1 }], value, problem: null }
  // While the API has not seen this text yet, what it said of the one before is most likely still true.
  const faults = located(text, answer?.faults ?? [])
  if (answer?.text !== text) return { verdict: 'checking', faults, value: parsed, problem: null }
  if (answer.problem) return { verdict: 'unknown', faults: [], value: parsed, problem: answer.problem }
  return { verdict: faults.length > 0 ? 'invalid' : 'valid', faults, value: parsed, problem: null }
}
