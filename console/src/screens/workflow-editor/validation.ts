import { useEffect, useState } from 'preact/hooks'
import { api, ask } from '../../api'
import { asApiError } from '../../api/errors'
import { type Issue, located, parseJson } from '../../form'

/** Milliseconds without typing before the API validates the text. */
const PAUSE_MS = 350

export type Verdict = 'checking' | 'valid' | 'invalid' | 'unknown'
export type LocatedIssue = Issue & { line: number }

export interface Validation {
  verdict: Verdict
  issues: LocatedIssue[]
  /** The value of the text, or of the last text that was JSON. */
  value: unknown
  /** Why the API could not validate the text. */
  problem: string | null
}

interface Validated {
  text: string
  issues: Issue[]
  problem: string | null
}

/** What is invalid in a definition, while it is written: by the JSON parser at once, by the API after a pause. */
export function useValidation(text: string): Validation {
  const [validated, setValidated] = useState<Validated | null>(null)
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
        const issues = found.details.map(({ field, message }) => ({ place: field === 'body' ? '' : field, message }))
        setValidated({ text, issues, problem: null })
      } catch (reason) {
        if (!controller.signal.aborted) setValidated({ text, issues: [], problem: asApiError(reason).message })
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
    const issue = { place: '', message: `column ${column}: ${message}`, line }
    return { verdict: 'invalid', issues: [issue], value, problem: null }
  }
  if (!isObject)
    return { verdict: 'invalid', issues: [{ place: '', message: 'must be an object', line: 1 }], value, problem: null }
  // Until the API has validated this text, show the issues of the previous one.
  const issues = located(text, validated?.issues ?? [])
  if (validated?.text !== text) return { verdict: 'checking', issues, value: parsed, problem: null }
  if (validated.problem) return { verdict: 'unknown', issues: [], value: parsed, problem: validated.problem }
  return { verdict: issues.length > 0 ? 'invalid' : 'valid', issues, value: parsed, problem: null }
}
