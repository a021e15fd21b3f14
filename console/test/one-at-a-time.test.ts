import { expect, test } from 'vitest'
import { oneAtATime } from '../src/screens/runs/one-at-a-time'

test('calls while one runs are one further call after it', async () => {
  const ends: (() => void)[] = []
  const call = oneAtATime(() => new Promise((resolve) => ends.push(resolve)))
  const first = call()
  void call()
  void call()
  expect(ends.length).toBe(1)
  ends[0]?.()
  await Promise.resolve()
  expect(ends.length).toBe(2)
  ends[1]?.()
  await first
  expect(ends.length).toBe(2)
})

test('after a failure the next call runs', async () => {
  let calls = 0
  const call = oneAtATime(async () => {
    calls++
    if (calls === 1) throw new Error('refused')
  })
  await expect(call()).rejects.toThrow('refused')
  await call()
  expect(calls).toBe(2)
})
