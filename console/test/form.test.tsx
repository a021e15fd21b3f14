import { describe, expect, test, vi } from 'vitest'
import { ApiError } from '../src/api/errors'
import { cleaned, fieldOf, initialOf, located, parseJson, type Schema, SchemaForm, validate } from '../src/form'
import { fireEvent, render } from './render'

const NULLABLE: Schema = {
  anyOf: [{ type: 'string', maxLength: 200 }, { type: 'null' }],
  default: null,
  title: 'Company Name',
}
const LEAD: Schema = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'goal'],
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 80, description: 'Who it is.' },
    goal: { type: 'string', enum: ['leads', 'sales'] },
    company_name: NULLABLE,
    budget: { anyOf: [{ type: 'number', minimum: 0 }, { type: 'string', pattern: '^[0-9]+k$' }, { type: 'null' }] },
    pages: { type: 'integer', minimum: 1, default: 8 },
    urgent: { type: 'boolean', default: false },
    features: { type: 'array', items: { type: 'string', minLength: 1 }, maxItems: 2, default: [] },
    products: { type: 'array', items: { $ref: '#/$defs/Product' } },
    anything: { type: 'object', additionalProperties: { type: 'number' } },
  },
  $defs: {
    Product: {
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string' }, price: { type: 'number' } },
    },
  },
}

describe('fields', () => {
  const field = fieldOf(LEAD)
  const kinds = field.kind === 'object' ? Object.fromEntries(field.fields.map(([name, one]) => [name, one.kind])) : {}

  test('each kind of value has its input, and others are JSON', () => {
    expect(kinds).toEqual({
      name: 'text',
      goal: 'choice',
      company_name: 'text',
      budget: 'amount',
      pages: 'number',
      urgent: 'boolean',
      features: 'list',
      products: 'list',
      anything: 'json',
    })
  })

  test('a schema that refers to itself ends in JSON', () => {
    const tree: Schema = {
      $ref: '#/$defs/T',
      $defs: { T: { type: 'object', properties: { next: { $ref: '#/$defs/T' } } } },
    }
    expect(JSON.stringify(fieldOf(tree))).toContain('"kind":"json"')
  })

  test('generated titles are replaced by the name in words', () => {
    expect(fieldOf(NULLABLE, LEAD, 'company_name').label).toBe('Company name')
    expect(fieldOf({ type: 'string', title: 'Firm' }, LEAD, 'company_name').label).toBe('Firm')
  })

  test('a form begins with the defaults, and empty fields are absent', () => {
    expect(initialOf(field)).toEqual({ pages: 8, urgent: false, features: [] })
    const value = { name: 'Ada', goal: undefined, company_name: '', features: ['', 'shop'], products: [], extra: 1 }
    expect(cleaned(value, field)).toEqual({ name: 'Ada', features: ['shop'], extra: 1 })
  })
})

describe('the validator', () => {
  const places = (value: unknown) => validate(value, LEAD).map(({ place, message }) => `${place} ${message}`)

  test('accepts what the schema accepts', () => {
    expect(
      places({ name: 'Ada', goal: 'leads', budget: '25k', company_name: null, products: [{ name: 'x' }] }),
    ).toEqual([])
  })

  test.each<[unknown, string[]]>([
    [{}, ['name is required', 'goal is required']],
    [{ name: '', goal: 'fame' }, ['name must not be empty', 'goal must be one of leads, sales']],
    [{ name: 'a', goal: 'leads', budget: -1 }, ['budget must be at least 0']],
    [{ name: 'a', goal: 'leads', budget: '25m' }, ['budget has an invalid format']],
    [{ name: 'a', goal: 'leads', pages: 1.5 }, ['pages must be a whole number']],
    [
      { name: 'a', goal: 'leads', features: ['a', 'b', ''] },
      ['features must have at most 2 items', 'features.2 must not be empty'],
    ],
    [
      { name: 'a', goal: 'leads', products: [{ price: 'x' }] },
      ['products.0.name is required', 'products.0.price must be a number'],
    ],
    [{ name: 'a', goal: 'leads', other: 1 }, ['other is not a field here']],
    [{ name: 'a', goal: 'leads', anything: { x: 'y' } }, ['anything.x must be a number']],
    [[], [' must be an object']],
  ])('names the places of %j', (value, wanted) => expect(places(value)).toEqual(wanted))

  test('formats are checked', () => {
    const at = (format: string, value: string) => validate(value, { type: 'string', format }).length
    expect([at('date', '2026-01-31'), at('date', '31.1.2026')]).toEqual([0, 1])
    expect([at('uuid', crypto.randomUUID()), at('uuid', 'x')]).toEqual([0, 1])
    expect([at('email', 'a@b.c'), at('email', 'ab.c'), at('unknown', '')]).toEqual([0, 1, 0])
  })

  test('choices that only say which fields go together pass', () => {
    const together: Schema = {
      properties: { query: { type: 'string' } },
      anyOf: [{ required: ['query'], properties: { name: { type: 'null' } } }, { required: ['name'] }],
    }
    expect(validate({}, together)).toEqual([])
    expect(validate({ query: 1 }, together)).toEqual([{ place: 'query', message: 'must be text' }])
  })

  test('a pattern or a reference that cannot be read passes', () => {
    expect(validate('x', { type: 'string', pattern: '(' })).toEqual([])
    expect(validate('x', { $ref: 'https://example.com/schema' })).toEqual([])
  })
})

describe('a text of JSON', () => {
  test('an error has its line and column', () => {
    const { error } = parseJson('{\n  "a": 1,\n  b\n}')
    expect(error).toMatchObject({ line: 3, column: 3 })
    expect(parseJson('[1]')).toEqual({ value: [1], error: null })
  })

  test('issues have the lines of their values, or of the containers', () => {
    const text = '{\n  "name": "a",\n  "items": [\n    {"x": 1},\n    {"x": 2}\n  ]\n}'
    const lines = located(text, [
      { place: 'items.1.x', message: '' },
      { place: 'items.0.y', message: '' },
      { place: 'name', message: '' },
      { place: '', message: '' },
    ])
    expect(lines.map(({ place, line }) => [place, line])).toEqual([
      ['', 1],
      ['name', 2],
      ['items.0.y', 4],
      ['items.1.x', 5],
    ])
  })
})

describe('the form', () => {
  const shown = (onSubmit = vi.fn(async () => {})) => ({
    page: render(<SchemaForm schema={LEAD} verb="Run" prefix="input" onSubmit={onSubmit} />),
    onSubmit,
  })

  test('sends what was filled in, with the right types', async () => {
    const { page, onSubmit } = shown()
    await page.type('Name', 'Ada')
    await page.choose('Goal', '"sales"')
    await page.type('Budget', '25000')
    await page.click('Add feature')
    await page.type('Feature 1', 'Shop')
    await page.click('Run')
    expect(onSubmit).toHaveBeenCalledWith({
      name: 'Ada',
      goal: 'sales',
      budget: 25000,
      pages: 8,
      urgent: false,
      features: ['Shop'],
    })
  })

  test('shows its own issues at their fields and sends nothing', async () => {
    const { page, onSubmit } = shown()
    await page.click('Run')
    expect(onSubmit).not.toHaveBeenCalled()
    expect(page.field('Name').getAttribute('aria-invalid')).toBe('true')
    expect(page.text()).toContain('Is required')
  })

  test("shows the API's issues at their fields, and others below", async () => {
    const fail = vi.fn(async () => {
      throw new ApiError(400, 'BAD_REQUEST', 'no', [
        { field: 'input.name', message: 'is taken' },
        { field: 'metadata', message: 'is too large' },
      ])
    })
    const { page } = shown(fail)
    await page.type('Name', 'Ada')
    await page.choose('Goal', '"sales"')
    await page.click('Run')
    expect(page.field('Name').getAttribute('aria-invalid')).toBe('true')
    expect(page.text()).toContain('Is taken')
    expect(page.text()).toContain('metadata is too large')
  })

  test('goes to JSON and back with the same value', async () => {
    const { page } = shown()
    await page.type('Name', 'Ada')
    await page.click('Edit as JSON')
    const editor = page.field('Input as JSON') as HTMLTextAreaElement
    expect(JSON.parse(editor.value)).toMatchObject({ name: 'Ada', pages: 8 })
    await page.type('Input as JSON', '{"name": "Grace", "pages": 0}')
    expect(page.text()).toContain('pages must be at least 1')
    await page.click('Edit as a form')
    expect((page.field('Name') as HTMLInputElement).value).toBe('Grace')
  })

  test('a schema without a form begins as JSON', () => {
    const page = render(<SchemaForm schema={{ type: 'object' }} verb="Run" onSubmit={async () => {}} />)
    expect(page.field('Input as JSON')).toBeTruthy()
    fireEvent(page.field('Input as JSON'), 'input')
  })
})
