import type { Issue } from './validate'

export interface Parsed {
  value: unknown
  /** The position of the syntax error: line and column, from 1. */
  error: { message: string; line: number; column: number } | null
}

export function parseJson(text: string): Parsed {
  try {
    return { value: JSON.parse(text), error: null }
  } catch (reason) {
    const at = Number(/position (\d+)/.exec((reason as Error).message)?.[1] ?? text.length)
    const before = text.slice(0, at).split('\n')
    const said = (reason as Error).message.replace(
      / in JSON at position.*| at position.*|JSON\.parse: | \(line.*$/g,
      '',
    )
    return { value: undefined, error: { message: said, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 } }
  }
}

/** The line, from 1, of the value at a place in the text; 1 where the place is not there. */
export function lineOf(text: string, place: string): number {
  const lines = new Map<string, number>()
  walk(text, (at, offset) => lines.set(at, offset))
  let wanted = place
  while (wanted && !lines.has(wanted)) wanted = wanted.includes('.') ? wanted.slice(0, wanted.lastIndexOf('.')) : ''
  return text.slice(0, lines.get(wanted) ?? 0).split('\n').length
}

/** Issues with their lines, in the order of the text. */
export function located(text: string, issues: Issue[]): (Issue & { line: number })[] {
  return issues
    .map((issue) => ({ ...issue, line: lineOf(text, issue.place) }))
    .sort((one, other) => one.line - other.line)
}

/** Calls `found` with the place and offset of each value of a valid JSON text. */
function walk(text: string, found: (place: string, offset: number) => void): void {
  const token = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g
  const path: (string | number)[] = []
  const kinds: ('{' | '[')[] = []
  let key: { text: string; offset: number } | null = null
  let expectsKey = false
  let match = token.exec(text)
  const place = () => path.join('.')
  const begin = (offset: number) => found(place(), key ? key.offset : offset)
  while (match) {
    const [said] = match
    if (expectsKey && said.startsWith('"')) {
      key = { text: JSON.parse(said), offset: match.index }
      path[path.length - 1] = key.text
    } else if (said === ':') expectsKey = false
    else if (said === '{' || said === '[') {
      begin(match.index)
      kinds.push(said)
      path.push(said === '[' ? 0 : '')
      expectsKey = said === '{'
      key = null
    } else if (said === '}' || said === ']') {
      kinds.pop()
      path.pop()
      key = null
      expectsKey = false
    } else if (said === ',') {
      const last = path.length - 1
      if (kinds.at(-1) === '[') path[last] = Number(path[last]) + 1
      expectsKey = kinds.at(-1) === '{'
      key = null
    } else begin(match.index)
    match = token.exec(text)
  }
}
