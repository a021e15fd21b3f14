import { isType, resolve, type Schema, typeOf } from './schema'

/** What is invalid, and where: `place` is a path such as `items.0.name`, empty for the whole. */
export interface Issue {
  place: string
  message: string
}

const MAX_ISSUES = 50
const DEEPEST = 64
const FORMATS: Record<string, [RegExp, string]> = {
  date: [/^\d{4}-\d{2}-\d{2}$/, 'must be a date such as 2026-01-31'],
  'date-time': [/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/i, 'must be a date and time'],
  uuid: [/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i, 'must be a UUID'],
  email: [/^[^@\s]+@[^@\s]+$/, 'must be an e-mail address'],
  uri: [/^[a-z][a-z0-9+.-]*:\S+$/i, 'must be an address such as https://example.com'],
}
const KINDS = ['type', 'enum', 'const', 'anyOf', 'oneOf', 'allOf'] as const
const ARTICLES: Record<string, string> = {
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  null: 'null',
}

/** Checks a value as the API would. Unknown keywords pass: the API decides. */
export function validate(value: unknown, schema: Schema, root: Schema = schema): Issue[] {
  const issues: Issue[] = []
  check(value, schema, root, '', issues, 0)
  return issues.slice(0, MAX_ISSUES)
}

function check(value: unknown, given: Schema, root: Schema, place: string, issues: Issue[], depth: number): void {
  const schema = resolve(given, root)
  if (!schema || depth > DEEPEST || issues.length >= MAX_ISSUES) return
  const issue = (message: string, at = place) => issues.push({ place: at, message })

  if (schema.const !== undefined && !same(value, schema.const)) issue(`must be ${JSON.stringify(schema.const)}`)
  if (schema.enum && !schema.enum.some((one) => same(one, value)))
    issue(
      `must be one of ${schema.enum.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(', ')}`,
    )
  if (schema.type !== undefined) {
    const types = Array.isArray(schema.type) ? schema.type : [schema.type]
    if (!types.some((type) => isType(value, type))) {
      issue(`must be ${types.map((type) => ARTICLES[type] ?? type).join(' or ')}`)
      return
    }
  }
  if (schema.allOf) for (const one of schema.allOf) check(value, one, root, place, issues, depth + 1)
  if (schema.anyOf) checkAny(value, schema.anyOf, root, place, issues, depth)
  if (schema.oneOf) checkAny(value, schema.oneOf, root, place, issues, depth)
  if (schema.not && valid(value, schema.not, root, depth)) issue('is not allowed here')

  if (typeof value === 'string') checkText(value, schema, issue)
  else if (typeof value === 'number') checkNumber(value, schema, issue)
  else if (Array.isArray(value)) checkList(value, schema, root, place, issues, depth)
  else if (typeof value === 'object' && value !== null)
    checkObject(value as Record<string, unknown>, schema, root, place, issues, depth)
}

function valid(value: unknown, schema: Schema, root: Schema, depth: number): boolean {
  const inner: Issue[] = []
  check(value, schema, root, '', inner, depth + 1)
  return inner.length === 0
}

/** When all choices fail, reports the issues of the closest one: the fewest, and the deepest. */
function checkAny(
  value: unknown,
  choices: Schema[],
  root: Schema,
  place: string,
  issues: Issue[],
  depth: number,
): void {
  // Choices without a type only say which fields go together: the API reports that better.
  if (choices.every((choice) => !choice.$ref && KINDS.every((key) => choice[key] === undefined))) return
  let best: Issue[] | undefined
  for (const choice of choices) {
    const inner: Issue[] = []
    check(value, choice, root, place, inner, depth + 1)
    if (inner.length === 0) return
    const resolved = resolve(choice, root)
    const fits = resolved?.type === undefined || [resolved.type].flat().some((type) => isType(value, type))
    if (fits && (!best || inner.length < best.length)) best = inner
  }
  if (best) issues.push(...best)
  else issues.push({ place, message: `must not be ${ARTICLES[typeOf(value)] ?? 'this'}` })
}

function checkText(value: string, schema: Schema, issue: (message: string) => void): void {
  const length = [...value].length
  if (schema.minLength !== undefined && length < schema.minLength)
    issue(schema.minLength === 1 ? 'must not be empty' : `must have at least ${schema.minLength} characters`)
  else if (schema.maxLength !== undefined && length > schema.maxLength)
    issue(`must have at most ${schema.maxLength} characters`)
  else if (schema.pattern && !matches(schema.pattern, value))
    issue(value.trim() === '' ? 'must not be blank' : 'has an invalid format')
  const format = schema.format === undefined ? undefined : FORMATS[schema.format]
  if (format && !format[0].test(value)) issue(format[1])
}

function checkNumber(value: number, schema: Schema, issue: (message: string) => void): void {
  if (schema.minimum !== undefined && value < schema.minimum) issue(`must be at least ${schema.minimum}`)
  if (schema.maximum !== undefined && value > schema.maximum) issue(`must be at most ${schema.maximum}`)
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum)
    issue(`must be more than ${schema.exclusiveMinimum}`)
  if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum)
    issue(`must be less than ${schema.exclusiveMaximum}`)
  if (schema.multipleOf) {
    const times = value / schema.multipleOf
    if (Math.abs(times - Math.round(times)) > 1e-9) issue(`must be a multiple of ${schema.multipleOf}`)
  }
}

function checkList(
  value: unknown[],
  schema: Schema,
  root: Schema,
  place: string,
  issues: Issue[],
  depth: number,
): void {
  const { minItems, maxItems, items } = schema
  if (minItems !== undefined && value.length < minItems)
    issues.push({ place, message: minItems === 1 ? 'must not be empty' : `must have at least ${minItems} items` })
  if (maxItems !== undefined && value.length > maxItems)
    issues.push({ place, message: `must have at most ${maxItems} items` })
  if (schema.uniqueItems && new Set(value.map((one) => JSON.stringify(one))).size < value.length)
    issues.push({ place, message: 'must not have an item twice' })
  if (typeof items !== 'object') return
  value.forEach((item, index) => {
    check(item, items, root, joined(place, index), issues, depth + 1)
  })
}

function checkObject(
  value: Record<string, unknown>,
  schema: Schema,
  root: Schema,
  place: string,
  issues: Issue[],
  depth: number,
): void {
  const properties = schema.properties ?? {}
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(value, name)) issues.push({ place: joined(place, name), message: 'is required' })
  const names = Object.keys(value)
  if (schema.minProperties !== undefined && names.length < schema.minProperties)
    issues.push({ place, message: `must have at least ${schema.minProperties} fields` })
  if (schema.maxProperties !== undefined && names.length > schema.maxProperties)
    issues.push({ place, message: `must have at most ${schema.maxProperties} fields` })
  for (const name of names) {
    const at = joined(place, name)
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined
    const patterns = Object.entries(schema.patternProperties ?? {}).filter(([pattern]) => matches(pattern, name))
    if (own) check(value[name], own, root, at, issues, depth + 1)
    for (const [, inner] of patterns) check(value[name], inner, root, at, issues, depth + 1)
    if (own || patterns.length > 0) continue
    if (schema.additionalProperties === false) issues.push({ place: at, message: 'is not a field here' })
    else if (typeof schema.additionalProperties === 'object')
      check(value[name], schema.additionalProperties, root, at, issues, depth + 1)
  }
  if (schema.propertyNames)
    for (const name of names)
      if (!valid(name, schema.propertyNames, root, depth))
        issues.push({ place: joined(place, name), message: 'has an invalid name' })
}

function joined(place: string, part: string | number): string {
  return place ? `${place}.${part}` : String(part)
}

const patterns = new Map<string, RegExp | null>()

/** A pattern that this browser cannot compile passes. */
function matches(pattern: string, text: string): boolean {
  let found = patterns.get(pattern)
  if (found === undefined) {
    try {
      found = new RegExp(pattern, 'u')
    } catch {
      found = null
    }
    patterns.set(pattern, found)
  }
  return found === null || found.test(text)
}

function same(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other)
}
