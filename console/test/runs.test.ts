import { expect, test } from 'vitest'
import { applyRunEvent, type EventFrame, emptyRun, type RunEvent } from '../src/client'

const frame = (data: RunEvent, snapshot = false): EventFrame<RunEvent> => ({
  type: 'event',
  channel: 'workflows',
  topic: 'workflow_run:1',
  data,
  seq: 1,
  ts: '',
  snapshot,
})
const after = (...frames: EventFrame<RunEvent>[]) => frames.reduce(applyRunEvent, emptyRun())

test('deltas are appended by their step', () => {
  const view = after(
    frame({ status: 'running', step: 'a', offset: 0, delta: 'one ' }),
    frame({ step: 'b', offset: 0, delta: 'other' }),
    frame({ step: 'a', offset: 4, delta: 'two' }),
  )
  expect(view.texts).toEqual({ a: 'one two', b: 'other' })
})

test('a snapshot replaces everything before it', () => {
  const view = after(
    frame({ step: 'a', offset: 0, delta: 'stale' }),
    frame({ status: 'running', progress: 0.4, step: 'a', text: 'so far' }, true),
    frame({ step: 'a', offset: 6, delta: ', and on' }),
  )
  expect(view.texts).toEqual({ a: 'so far, and on' })
  expect(view.progress).toBe(0.4)
})

test('a reset discards the text of its step, and names who is asked next', () => {
  const view = after(
    frame({ step: 'a', offset: 0, delta: 'half' }),
    frame({ step: 'a', reset: true, retrying_with: 'huggingface' }),
  )
  expect(view.texts).toEqual({ a: '' })
  expect(view.retryingWith).toBe('huggingface')
  expect(applyRunEvent(view, frame({ step: 'a', offset: 0, delta: 'new' })).texts).toEqual({ a: 'new' })
})

test('offsets count code points, so text that overlaps is written over', () => {
  const view = after(frame({ step: 'a', offset: 0, delta: '😀😀b' }), frame({ step: 'a', offset: 2, delta: 'c' }))
  expect(view.texts).toEqual({ a: '😀😀c' })
})

test('a run that is retried after its end has no result or error of before', () => {
  const view = after(frame({ status: 'failed', error: 'broken', error_code: 'TIMEOUT' }), frame({ status: 'queued' }))
  expect(view).toMatchObject({ status: 'queued', error: null, errorCode: null })
})
