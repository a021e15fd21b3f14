import { expect, test } from 'vitest'
import { byMinute } from '../src/screens/home/minutes'

const NOW = Date.parse('2026-01-31T10:10:30Z')
const run = (created: string, status = 'completed', finished: string | null = null) => ({
  created_at: `2026-01-31T${created}Z`,
  finished_at: finished && `2026-01-31T${finished}Z`,
  status,
})

test('runs are counted in the minute of their start, failures in that of their end', () => {
  const { times, started, failed } = byMinute(
    [run('10:08:00'), run('10:08:59.999', 'failed', '10:10:01'), run('10:10:29'), run('10:05:00')],
    NOW,
    3,
  )
  expect(times.map((time) => new Date(time * 1000).toISOString().slice(11, 16))).toEqual(['10:08', '10:09', '10:10'])
  expect(started).toEqual([2, 0, 1])
  expect(failed).toEqual([0, 0, 1])
})

test('where older runs were not read, only whole minutes that are known are shown', () => {
  const { times } = byMinute([], NOW, 60, Date.parse('2026-01-31T10:08:20Z'))
  expect(times).toHaveLength(2)
  expect(byMinute([], NOW, 60, NOW).times).toHaveLength(1)
})
