import { type Scan, scan } from './scan'

/** What the editor knows of an agent: the fields of its input and of its output. */
export interface AgentFields {
  name: string
  title: string
  inputs: string[]
  outputs: string[]
}

export interface Suggestion {
  label: string
  note?: string
  /** What is written in place of the text from `from` to `to`; the caret comes before the last `back` letters. */
  insert: string
  back: number
}

export interface Completion {
  from: number
  to: number
  items: Suggestion[]
}

type Option = [name: string, note?: string]

const MOST = 40
const ROOT: Option[] = [
  ['workflow_id', 'text'],
  ['description', 'text'],
  ['inputs', 'object'],
  ['steps', 'list'],
]
const STEP: Option[] = [
  ['key', 'text'],
  ['title', 'text'],
  ['kind', 'text'],
  ['needs', 'list'],
  ['when', 'text'],
  ['on_error', 'text'],
]
const WORK: Option[] = [
  ['agent', 'text'],
  ['input', 'object'],
  ['retry', 'object'],
  ['timeout', 'seconds'],
]
const MAP: Option[] = [
  ['over', 'text'],
  ['max_parallel', 'number'],
]
const APPROVAL: Option[] = [
  ['message', 'text'],
  ['approvers', 'text'],
  ['timeout', 'seconds'],
]
const RETRY: Option[] = [
  ['attempts', 'number'],
  ['backoff', 'seconds'],
]
const SCHEMA: Option[] = [
  ['type', 'text'],
  ['title', 'text'],
  ['description', 'text'],
  ['properties', 'object'],
  ['required', 'list'],
  ['additionalProperties', 'true or false'],
  ['items', 'object'],
  ['enum', 'list'],
  ['minLength', 'number'],
  ['maxLength', 'number'],
  ['minimum', 'number'],
  ['maximum', 'number'],
  ['default', 'a value'],
  ['examples', 'list'],
]
const TYPES: Option[] = [['string'], ['number'], ['integer'], ['boolean'], ['array'], ['object']]
const CHOICES: Record<string, Option[]> = {
  kind: [
    ['agent', 'one agent works'],
    ['map', 'an agent works on each item'],
    ['approval', 'a person decides'],
  ],
  on_error: [
    ['fail', 'the run fails'],
    ['continue', 'the run goes on'],
  ],
  approvers: [
    ['owner', 'and administrators'],
    ['admin', 'administrators alone'],
  ],
}
/** What a field of each sort begins with; the caret goes between. */
const OPENED: Record<string, string> = { text: '""', list: '[]', object: '{}' }
const WORD = /[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]*)*$/

/** What may be written at the caret, best first; null for nothing. */
export function completionAt(text: string, caret: number, agents: AgentFields[]): Completion | null {
  const found = scan(text, caret)
  const { place } = found
  if (!place) return null
  const { string } = place
  const typed = string ? text.slice(string.from, caret) : ''
  if (!place.key && string && isExpression(place.path)) return expressionAt(typed, caret, place.path, found, agents)
  const options = place.key ? fieldsAt(place.path, found, agents, typed) : valuesAt(place.path, found, agents)
  const items = matching(options, typed)
  if (items.length === 0 || (items.length === 1 && items[0]?.[0] === typed && string?.closed)) return null
  const from = string ? string.from - 1 : caret
  const to = string ? string.to + (string.closed ? 1 : 0) : caret
  const named = place.key && /^\s*:/.test(text.slice(to))
  return { from, to, items: items.map((option) => (place.key && !named ? field(option) : whole(option))) }
}

function whole([name, note]: Option): Suggestion {
  return { label: name, ...(note ? { note } : {}), insert: JSON.stringify(name), back: 0 }
}

function field([name, note]: Option): Suggestion {
  const opened = OPENED[note ?? ''] ?? ''
  return { label: name, ...(note ? { note } : {}), insert: `${JSON.stringify(name)}: ${opened}`, back: opened ? 1 : 0 }
}

function matching(options: Option[], typed: string): Option[] {
  const wanted = typed.toLowerCase()
  const starts = options.filter(([name]) => name.toLowerCase().startsWith(wanted))
  const has = options.filter(
    ([name]) => name.toLowerCase().includes(wanted) && !starts.some(([other]) => other === name),
  )
  return [...starts, ...has].slice(0, MOST)
}

function fieldsAt(path: string[], found: Scan, agents: AgentFields[], typed: string): Option[] {
  const [first, index, part] = path
  // The name that is being written counts as one of the object's, too.
  const present = (found.names.get(path.join('.')) ?? []).filter((name) => name !== typed)
  const absent = (options: Option[]) => options.filter(([name]) => !present.includes(name))
  if (path.length === 0) return absent(ROOT)
  if (first === 'inputs') return path.at(-1) === 'properties' ? [] : absent(SCHEMA)
  if (first !== 'steps' || index === undefined) return []
  const step = `steps.${index}`
  if (path.length === 2) {
    const kind = found.texts.get(`${step}.kind`)
    const own = kind === 'approval' ? APPROVAL : kind === 'map' ? [...WORK, ...MAP] : WORK
    return absent([...STEP, ...own])
  }
  if (path.length === 3 && part === 'retry') return absent(RETRY)
  if (path.length === 3 && part === 'input') {
    const agent = agents.find(({ name }) => name === found.texts.get(`${step}.agent`))
    return absent((agent?.inputs ?? []).map((name): Option => [name, 'text']))
  }
  return []
}

function valuesAt(path: string[], found: Scan, agents: AgentFields[]): Option[] {
  const [first, index, part] = path
  if (first === 'inputs') {
    if (path.at(-1) === 'type') return TYPES
    const names = found.names.get([...path.slice(0, -2), 'properties'].join('.')) ?? []
    return path.at(-2) === 'required' ? names.map((name): Option => [name]) : []
  }
  if (first !== 'steps' || index === undefined || part === undefined) return []
  if (part === 'agent') return agents.map(({ name, title }): Option => [name, title])
  if (part === 'needs') {
    const named = new Set(needsOf(`${index}`, found))
    const own = found.texts.get(path.join('.'))
    return stepKeys(found)
      .filter(([at, key]) => at !== index && (!named.has(key) || key === own))
      .map(([at, key]): Option => [key, found.texts.get(`steps.${at}.agent`) ?? ''])
  }
  return path.length === 3 ? (CHOICES[part] ?? []) : []
}

function isExpression([first, , part]: string[]): boolean {
  return first === 'steps' && ['when', 'over', 'message', 'input'].includes(part ?? '')
}

/** Names in an expression: `inputs.<field>`, `outputs.<step>.<field>`, `steps.<step>.status`. */
function expressionAt(
  typed: string,
  caret: number,
  path: string[],
  found: Scan,
  agents: AgentFields[],
): Completion | null {
  if ((typed.match(/'/g)?.length ?? 0) % 2 === 1) return null
  const word = WORD.exec(typed)?.[0] ?? ''
  if (word === '' && typed !== '') return null
  const parts = word.split('.')
  const last = parts.pop() ?? ''
  const index = path[1] ?? ''
  const options = namesAfter(parts, index, found, agents)
  const items = matching(options, last).filter(([name]) => name !== last)
  if (items.length === 0) return null
  const written = items.map(([label, note]) => ({ label, ...(note ? { note } : {}), insert: label, back: 0 }))
  return { from: caret - last.length, to: caret, items: written }
}

function namesAfter(parts: string[], index: string, found: Scan, agents: AgentFields[]): Option[] {
  const [root, key] = parts
  const readable = before(index, found)
  if (root === undefined) {
    const inMap = found.texts.get(`steps.${index}.kind`) === 'map'
    return [
      ['inputs', 'what the run is given'],
      ['outputs', 'of the steps before'],
      ['steps', 'their status and errors'],
      ...(inMap
        ? ([
            ['item', 'of the list'],
            ['index', 'from 0'],
          ] as Option[])
        : []),
    ]
  }
  if (root === 'inputs' && parts.length === 1)
    return (found.names.get('inputs.properties') ?? []).map((name): Option => [name])
  if (root !== 'outputs' && root !== 'steps') return []
  if (key === undefined)
    return stepKeys(found)
      .filter(([, name]) => readable.has(name))
      .map(([at, name]): Option => [name, found.texts.get(`steps.${at}.agent`) ?? ''])
  if (parts.length > 2) return []
  if (root === 'steps') return [['status'], ['output'], ['error']]
  const at = stepKeys(found).find(([, name]) => name === key)?.[0]
  if (found.texts.get(`steps.${at}.kind`) === 'approval')
    return [['approved'], ['comment'], ['decided_by'], ['decided_at']]
  const agent = agents.find(({ name }) => name === found.texts.get(`steps.${at}.agent`))
  return (agent?.outputs ?? []).map((name): Option => [name])
}

/** The steps' keys with their positions, in order. */
function stepKeys(found: Scan): [string, string][] {
  return [...found.texts].flatMap(([place, text]): [string, string][] => {
    const at = /^steps\.(\d+)\.key$/.exec(place)?.[1]
    return at !== undefined && text !== '' ? [[at, text]] : []
  })
}

function needsOf(index: string, found: Scan): string[] {
  const start = `steps.${index}.needs.`
  return [...found.texts].filter(([place]) => place.startsWith(start)).map(([, text]) => text)
}

/** The steps that end before this one: its needs, their needs, and so on. */
function before(index: string, found: Scan): Set<string> {
  const positions = new Map(stepKeys(found).map(([at, key]) => [key, at]))
  const all = new Set<string>()
  const open = needsOf(index, found)
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (all.has(key)) continue
    all.add(key)
    const at = positions.get(key)
    if (at !== undefined) open.push(...needsOf(at, found))
  }
  return all
}
