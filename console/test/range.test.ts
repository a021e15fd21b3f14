import { describe, expect, it } from 'vitest'
import { daysBefore, paramsOf } from '../src/screens/dashboard/range'

const NOW = Date.parse('2026-03-01T02:00:00Z')
const NONE = { range: '', from: '', to: '', by: '', zone: 'UTC' }

describe('the range of the dashboard', () => {
  it('names no day for the last 30, so that it moves on with the days', () => {
    expect(paramsOf(NONE, NOW)).toEqual({ aggregation: 'daily', time_zone: 'UTC' })
  })

  it('counts days back from today in the zone', () => {
    expect(daysBefore(0, 'Pacific/Pago_Pago', NOW)).toBe('2026-02-28')
    expect(daysBefore(1, 'Pacific/Kiritimati', NOW)).toBe('2026-02-28')
    expect(paramsOf({ ...NONE, range: '7' }, NOW)).toMatchObject({ start_date: '2026-02-23', aggregation: 'daily' })
  })

  it('groups long ranges by longer periods unless another is chosen', () => {
    expect(paramsOf({ ...NONE, range: '90' }, NOW).aggregation).toBe('weekly')
    expect(paramsOf({ ...NONE, range: '365' }, NOW).aggregation).toBe('monthly')
    expect(paramsOf({ ...NONE, range: '365', by: 'daily' }, NOW).aggregation).toBe('daily')
  })

  it('takes days that are named, and ignores a grouping that is unknown', () => {
    const chosen = { ...NONE, range: 'custom', from: '2026-01-01', to: '2026-01-31', by: 'hourly' }
    expect(paramsOf(chosen, NOW)).toEqual({
      start_date: '2026-01-01',
      end_date: '2026-01-31',
      aggregation: 'daily',
      time_zone: 'UTC',
    })
  })
})
