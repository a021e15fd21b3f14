import { isType, resolve, type Schema, typeOf } from './schema'

/** What is invalid, and where: `place` is a path such as `items.0.name`, empty for the whole. */
export interface Fault {
  place: string
  message: string
}

const MOST_FAULTS = 50
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

/** Checks a value as the API would. What it does not know it passes: the API has the last word. */
export function validate(value: unknown, schema: Schema, root: Schema = schema): Fault[] {
  const faults: Fault[] = []
  check(value, schema, root, '', faults, 0)
  return faults.slice(0, MOST_FAULTS)
}

function check(value: unknown, given: Schema, root: Schema, place: string, faults: Fault[], depth: number): void {
  const schema = resolve(given, root)
  if (!schema || depth > DEEPEST || faults.length >= MOST_FAULTS) return
  const fault = (message: string, at = place) => faults.push({ place: at, message })

  if (schema.const !== undefined && !same(value, schema.const)) fault(`must be ${JSON.stringify(schema.const)}`)
  if (schema.enum && !schema.enum.some((one) => same(one, value)))
    fault(
      `must be one of ${schema.enum.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(', ')}`,
    )
  if (schema.type !== undefined) {
    const types = Array.isArray(schema.type) ? schema.type : [schema.type]
    if (!types.some((type) => isType(value, type))) {
      fault(`must be ${types.map((type) => ARTICLES[type] ?? type).join(' or ')}`)
      return
    }
  }
  if (schema.allOf) for (const one of schema.allOf) check(value, one, root, place, faults, depth + 1)
  if (schema.anyOf) checkAny(value, schema.anyOf, root, place, faults, depth)
  if (schema.oneOf) checkAny(value, schema.oneOf, root, place, faults, depth)
  if (schema.not && valid(value, schema.not, root, depth)) fault('is not allowed here')

  if (typeof value === 'string') checkText(value, schema, fault)
  else if (typeof value === 'number') checkNumber(value, schema, fault)
  else if (Array.isArray(value)) checkList(value, schema, root, place, faults, depth)
  else if (typeof value === 'object' && value !== null)
    checkObject(value as Record<string, unknown>, schema, root, place, faults, depth)
}

function valid(value: unknown, schema: Schema, root: Schema, depth: number): boolean {
  const inner: Fault[] = []
  check(value, schema, root, '', inner, depth + 1)
  return inner.length === 0
}

/** Of several choices that all fail, the faults of the one that came closest: the fewest, and deepest inside. */
function checkAny(
  value: unknown,
  choices: Schema[],
  root: Schema,
  place: string,
  faults: Fault[],
  depth: number,
): void {
  // Choices without a kind of their own say which fields go together: the API says that in better words.
  if (choices.every((choice) => !choice.$ref && KINDS.every((key) => choice[key] === undefined))) return
  let best: Fault[] | undefined
  for (const choice of choices) {
    const inner: Fault[] = []
    check(value, choice, root, place, inner, depth + 1)
    if (inner.length === 0) return
    const resolved = resolve(choice, root)
    const fits = resolved?.type === undefined || [resolved.type].flat().some((type) => isType(value, type))
    if (fits && (!best || inner.length < best.length)) best = inner
  }
  if (best) faults.push(...best)
  else faults.push({ place, message: `must not be ${ARTICLES[typeOf(value)] ?? 'this'}` })
}

function checkText(value: string, schema: Schema, fault: (message: string) => void): void {
  const length = [...value].length
  if (schema.minLength !== undefined && length < schema.minLength)
    fault(schema.minLength === 1 ? 'must not be empty' : `must have at least ${schema.minLength} characters`)
  else if (schema.maxLength !== undefined && length > schema.maxLength)
    fault(`must have at most ${schema.maxLength} characters`)
  else if (schema.pattern && !matches(schema.pattern, value))
    fault(value.trim() === '' ? 'must not be blank' : 'has an invalid format')
  const format = schema.format === undefined ? undefined : FORMATS[schema.format]
  if (format && !format[0].test(value)) fault(format[1])
}

function checkNumber(value: number, schema: Schema, fault: (message: string) => void): void {
  if (schema.minimum !== undefined && value < schema.minimum) fault(`must be at least ${schema.minimum}`)
  if (schema.maximum !== undefined && value > schema.maximum) fault(`must be at most ${schema.maximum}`)
  if (schema.exclusiveMinimum !== undefined && value <= schema.exclusiveMinimum)
    fault(`must be more than ${schema.exclusiveMinimum}`)
  if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum)
    fault(`must be less than ${schema.exclusiveMaximum}`)
  if (schema.multipleOf) {
    const times = value / schema.multipleOf
    if (Math.abs(times - Math.round(times)) > 1e-9) fault(`must be a multiple of ${schema.multipleOf}`)
  }
}

function checkList(
  value: unknown[],
  schema: Schema,
  root: Schema,
  place: string,
  faults: Fault[],
  depth: number,
): void {
  const { minItems, maxItems, items } = schema
  if (minItems !== undefined && value.length < minItems)
    faults.push({ place, message: minItems === 1 ? 'must not be empty' : `must have at least ${minItems} items` })
  if (maxItems !== undefined && value.length > maxItems)
    faults.push({ place, message: `must have at most ${maxItems} items` })
  if (schema.uniqueItems && new Set(value.map((one) => JSON.stringify(one))).size < value.length)
    faults.push({ place, message: 'must not have an item twice' })
  if (typeof items !== 'object') return
  value.forEach((item, index) => {
    check(item, items, root, joined(place, index), faults, depth + 1)
  })
}

function checkObject(
  value: Record<string, unknown>,
  schema: Schema,
  root: Schema,
  place: string,
  faults: Fault[],
  depth: number,
): void {
  const properties = schema.properties ?? {}
  for (const name of schema.required ?? [])
    if (!Object.hasOwn(value, name)) faults.push({ place: joined(place, name), message: 'is required' })
  const names = Object.keys(value)
  if (schema.minProperties !== undefined && names.length < schema.minProperties)
    faults.push({ place, message: `must have at least ${schema.minProperties} fields` })
  if (schema.maxProperties !== undefined && names.length > schema.maxProperties)
    faults.push({ place, message: `must have at most ${schema.maxProperties} fields` })
  for (const name of names) {
    const at = joined(place, name)
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined
    const patterns = Object.entries(schema.patternProperties ?? {}).filter(([pattern]) => matches(pattern, name))
    if (own) check(value[name], own, root, at, faults, depth + 1)
    for (const [, inner] of patterns) check(value[name], inner, root, at, faults, depth + 1)
    if (own || patterns.length > 0) continue
    if (schema.additionalProperties === false) faults.push({ place: at, message: 'is not a field here' })
    else if (typeof schema.additionalProperties === 'object')
      check(value[name], schema.additionalProperties, root, at, faults, depth + 1)
  }
  if (schema.propertyNames)
    for (const name of names)
      if (!valid(name, schema.propertyNames, root, depth))
        faults.push({ place: joined(place, name), message: 'has an invalid name' })
}

function joined(place: string, part: string | number): string {
  return place ? `${place}.${part}` : String(part)
}

const patterns = new Map<string, RegExp | null>()

/** A pattern that this browser does not read is passed. */
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
