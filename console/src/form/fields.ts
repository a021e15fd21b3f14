import { resolve, type Schema } from './schema'

interface Common {
  label: string
  hint: string | undefined
  required: boolean
  fallback: unknown
  schema: Schema
}

/** The kind of an input. `json` is the fallback of all others. */
export type Field = Common &
  (
    | { kind: 'text'; long: boolean; input: 'text' | 'email' | 'url' | 'date' | 'datetime-local' }
    | { kind: 'number'; whole: boolean }
    /** A number, or text such as "25k". */
    | { kind: 'amount' }
    | { kind: 'boolean' }
    | { kind: 'choice'; options: unknown[] }
    | { kind: 'list'; item: Field }
    | { kind: 'object'; fields: [string, Field][] }
    | { kind: 'json' }
  )

const LONG_TEXT = 400
const DEEPEST = 6
const INPUTS: Record<string, 'email' | 'url' | 'date'> = { email: 'email', uri: 'url', date: 'date' }

/** The field for a schema, with `$ref`s resolved in `root`. */
export function fieldOf(given: Schema, root: Schema = given, name = '', required = true, depth = 0): Field {
  const outer = resolve(given, root) ?? {}
  const schema = { ...withoutNull(outer, root), ...beside(outer) }
  const common: Common = {
    label: schema.title && !isGenerated(schema.title, name) ? schema.title : words(name),
    hint: schema.description,
    required,
    fallback: outer.default,
    schema: outer,
  }
  if (depth > DEEPEST) return { ...common, kind: 'json' }
  if (schema.const !== undefined) return { ...common, kind: 'choice', options: [schema.const] }
  if (schema.enum) return { ...common, kind: 'choice', options: schema.enum.filter((one) => one !== null) }
  if (isAmount(schema, root)) return { ...common, kind: 'amount' }
  switch (schema.type) {
    case 'string':
      return {
        ...common,
        kind: 'text',
        long: (schema.maxLength ?? 0) > LONG_TEXT,
        input: INPUTS[schema.format ?? ''] ?? 'text',
      }
    case 'integer':
    case 'number':
      return { ...common, kind: 'number', whole: schema.type === 'integer' }
    case 'boolean':
      return { ...common, kind: 'boolean' }
    case 'array': {
      if (typeof schema.items !== 'object') return { ...common, kind: 'json' }
      const item = fieldOf(schema.items, root, singular(name), true, depth + 1)
      return item.kind === 'json' ? { ...common, kind: 'json' } : { ...common, kind: 'list', item }
    }
    case 'object': {
      const properties = Object.entries(schema.properties ?? {})
      // Fields without names cannot be asked for one by one.
      if (properties.length === 0) return { ...common, kind: 'json' }
      const needed = new Set(schema.required)
      const fields = properties.map(([key, inner]): [string, Field] => [
        key,
        fieldOf(inner, root, key, needed.has(key), depth + 1),
      ])
      return { ...common, kind: 'object', fields }
    }
    default:
      return { ...common, kind: 'json' }
  }
}

/** What a new list item, or a new form, begins with. */
export function initialOf(field: Field): unknown {
  if (field.fallback !== undefined && field.fallback !== null) return field.fallback
  if (field.kind === 'object')
    return Object.fromEntries(
      field.fields.map(([name, inner]) => [name, initialOf(inner)]).filter(([, value]) => value !== undefined),
    )
  if (field.kind === 'choice' && field.required && field.options.length === 1) return field.options[0]
  return undefined
}

/** The value without what was left empty: an optional field that is empty is absent. */
export function cleaned(value: unknown, field: Field): unknown {
  switch (field.kind) {
    case 'text':
    case 'amount':
      return value === '' || value === null ? undefined : value
    case 'list': {
      if (!Array.isArray(value)) return undefined
      const items = value.map((item) => cleaned(item, field.item)).filter((item) => item !== undefined)
      return items.length > 0 || field.required ? items : undefined
    }
    case 'object': {
      if (typeof value !== 'object' || value === null) return undefined
      const own = value as Record<string, unknown>
      const known = new Set(field.fields.map(([name]) => name))
      const entries = [
        ...field.fields.map(([name, inner]): [string, unknown] => [name, cleaned(own[name], inner)]),
        ...Object.entries(own).filter(([name]) => !known.has(name)),
      ].filter(([, inner]) => inner !== undefined)
      return entries.length > 0 || field.required ? Object.fromEntries(entries) : undefined
    }
    default:
      return value === null ? undefined : value
  }
}

/** "25000" is a number, "25k" the text that the agents read. */
export function amountOf(text: string): number | string | undefined {
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : text
}

/** Whether the whole can be asked for by fields, without any JSON editor at its top. */
export function hasForm(schema: Schema): boolean {
  return fieldOf(schema).kind === 'object'
}

function withoutNull(schema: Schema, root: Schema): Schema {
  if (Array.isArray(schema.type)) {
    const types = schema.type.filter((type) => type !== 'null')
    return types.length === 1 ? { ...schema, type: types[0] as string } : schema
  }
  const choices = (schema.anyOf ?? schema.oneOf)?.map((choice) => resolve(choice, root) ?? {})
  const real = choices?.filter((choice) => choice.type !== 'null')
  if (schema.type === undefined && real?.length === 1 && real[0]) return withoutNull(real[0], root)
  if (schema.type === undefined && real && real.length > 1) return { ...schema, anyOf: real }
  if (schema.allOf?.length === 1 && schema.type === undefined && schema.allOf[0])
    return resolve(schema.allOf[0], root) ?? {}
  return schema
}

/** What a schema says beside its choices goes before what the choice says. */
function beside({ title, description }: Schema): Schema {
  return { ...(title ? { title } : {}), ...(description ? { description } : {}) }
}

function isAmount(schema: Schema, root: Schema): boolean {
  if (schema.type !== undefined) return Array.isArray(schema.type) && sameTypes(schema.type)
  const types = schema.anyOf?.map((choice) => resolve(choice, root)?.type)
  return types?.every((type) => typeof type === 'string') === true && sameTypes(types as string[])
}

function sameTypes(types: string[]): boolean {
  const real = new Set(types.filter((type) => type !== 'null'))
  return (
    real.size >= 2 && real.has('string') && [...real].every((type) => ['string', 'number', 'integer'].includes(type))
  )
}

function words(name: string): string {
  const text = name.replace(/[_-]+/g, ' ').trim()
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** Pydantic titles each field "Monthly Budget"; "Monthly budget" reads better. */
function isGenerated(title: string, name: string): boolean {
  return name !== '' && title.replace(/\s/g, '').toLowerCase() === name.replace(/[_\s-]/g, '').toLowerCase()
}

function singular(name: string): string {
  return name.replace(/ies$/, 'y').replace(/s$/, '')
}
