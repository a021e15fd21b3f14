import type { Schema } from '../../form'

/** What people enter about a lead; the API has the same bounds. */
export const FIELDS: Schema = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', title: 'Name', minLength: 1, maxLength: 200 },
    company: { type: 'string', title: 'Company', maxLength: 200 },
    email: { type: 'string', title: 'E-mail', maxLength: 320, format: 'email' },
    phone: { type: 'string', title: 'Phone', maxLength: 50 },
    industry: { type: 'string', title: 'Industry', maxLength: 100 },
    budget: { type: 'number', title: 'Budget', minimum: 0, maximum: 10_000_000_000 },
    currency: {
      type: 'string',
      title: 'Currency',
      description: 'Three small letters, such as usd or eur.',
      pattern: '^[a-z]{3}$',
      default: 'usd',
    },
    timeline: { type: 'string', title: 'Timeline', maxLength: 200, description: 'Such as "within 2 months".' },
    source: {
      type: 'string',
      title: 'Source',
      maxLength: 100,
      default: 'console',
      description: 'Where it came from, such as referral.',
    },
    message: { type: 'string', title: 'Message', maxLength: 10_000, description: 'What they want, in their words.' },
    notes: { type: 'string', title: 'Notes', maxLength: 10_000, description: 'For those who work on it.' },
  },
}
