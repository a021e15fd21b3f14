/** A JSON Schema, as far as forms and the validator look at it. */
export interface Schema {
  $ref?: string
  $defs?: Record<string, Schema>
  definitions?: Record<string, Schema>
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  title?: string
  description?: string
  default?: unknown
  examples?: unknown[]
  format?: string
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  patternProperties?: Record<string, Schema>
  propertyNames?: Schema
  minProperties?: number
  maxProperties?: number
  items?: Schema | boolean
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minLength?: number
  maxLength?: number
  pattern?: string
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
  not?: Schema
}

/** Resolves a reference inside the document. Null for a missing or external one. */
export function resolve(schema: Schema, root: Schema): Schema | null {
  let found: Schema | null = schema
  for (let steps = 0; found?.$ref !== undefined; steps++) {
    if (steps > 20 || !found.$ref.startsWith('#')) return null
    const { $ref, ...beside }: Schema = found
    const target: unknown = $ref
      .slice(1)
      .split('/')
      .filter(Boolean)
      .reduce<unknown>(
        (at, part) => (at as Record<string, unknown> | undefined)?.[part.replace(/~1/g, '/').replace(/~0/g, '~')],
        root,
      )
    found = typeof target === 'object' && target !== null ? { ...(target as Schema), ...beside } : null
  }
  return found
}

export function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value
}

export function isType(value: unknown, wanted: string): boolean {
  const type = typeOf(value)
  return type === wanted || (wanted === 'number' && type === 'integer')
}
