import { describe, expect, it } from 'vitest'
import { everyOf, periodsOf, priceOf } from '../src/screens/billing/price'
import { type Message, merged, openRequest, suggestionsOf } from '../src/screens/conversation/use-transcript'
import { tierOf } from '../src/screens/leads/score'

const USD = { currency: 'usd', billing_interval: 'month' }

describe('prices', () => {
  it('names the interval, and nothing where it is paid once', () => {
    expect(priceOf(149, USD)).toBe('$149.00 a month')
    expect(everyOf({ ...USD, billing_interval_count: 3 })).toBe(' every 3 months')
    expect(priceOf(4900, { currency: 'jpy', billing_interval: 'once' })).toBe('¥4,900')
  })

  it('says what each part of a subscription costs', () => {
    const periods = [
      { first: 1, last: 3, price: 119.2 },
      { first: 4, last: null, price: 149 },
    ]
    expect(periodsOf(periods, USD)).toBe('the first 3 months $119.20 each, then $149.00 a month')
    const once = [
      { first: 1, last: 1, price: 0 },
      { first: 2, last: null, price: 149 },
    ]
    expect(periodsOf(once, USD)).toBe('the first month $0.00, then $149.00 a month')
    expect(periodsOf([{ first: 1, last: null, price: 149 }], USD)).toBe('')
  })
})

describe('a transcript', () => {
  const message = (id: string, role: Message['role'], at: string, request: string | null): Message => ({
    id,
    message_id: id,
    conversation_id: 'c',
    user_id: null,
    role,
    content: id,
    request_id: request,
    metadata: {},
    created_at: `2026-01-31T12:00:${at}Z`,
  })

  it('has each message once, oldest first, as it was read last', () => {
    const before = [message('a', 'user', '01', null), message('b', 'user', '02', null)]
    const changed = { ...message('b', 'user', '02', null), content: 'changed' }
    const all = merged(before, [message('c', 'user', '03', null), changed])
    expect(all.map(({ content }) => content)).toEqual(['a', 'changed', 'c'])
  })

  it('knows the run whose reply is missing', () => {
    const asked = message('a', 'user', '01', 'run')
    expect(openRequest([])).toBeNull()
    expect(openRequest([message('a', 'user', '01', null)])).toBeNull()
    expect(openRequest([asked])).toBe('run')
    expect(openRequest([asked, message('b', 'assistant', '02', 'run')])).toBeNull()
  })

  it('suggests questions after the last reply alone', () => {
    const reply = { ...message('b', 'assistant', '02', 'run'), metadata: { suggested_questions: ['Why?', 3] } }
    expect(suggestionsOf(reply)).toEqual(['Why?'])
    expect(suggestionsOf({ ...reply, role: 'user' })).toEqual([])
    expect(suggestionsOf(undefined)).toEqual([])
  })
})

describe('the tier of a score', () => {
  it('is hot from 70 and warm from 45', () => {
    expect([70, 69, 45, 44].map(tierOf)).toEqual(['hot', 'warm', 'warm', 'cold'])
  })
})
