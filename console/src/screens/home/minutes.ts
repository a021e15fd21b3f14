export interface RunTimes {
  created_at: string
  finished_at: string | null
  status: string
}

export interface Minutes {
  /** The beginnings of the minutes, in seconds since 1970. */
  times: number[]
  started: number[]
  failed: number[]
}

const MINUTE = 60

/** How many runs began and failed in each of the last `count` minutes; from `since` on, where less is known. */
export function byMinute(runs: RunTimes[], now: number, count: number, since = 0): Minutes {
  const last = Math.floor(now / 1000 / MINUTE) * MINUTE
  const first = Math.max(last - (count - 1) * MINUTE, Math.ceil(since / 1000 / MINUTE) * MINUTE)
  const times = Array.from({ length: Math.max(1, (last - first) / MINUTE + 1) }, (_, index) => first + index * MINUTE)
  const started = times.map(() => 0)
  const failed = times.map(() => 0)
  const add = (counts: number[], time: string) => {
    const index = Math.floor((Date.parse(time) / 1000 - first) / MINUTE)
    if (index >= 0 && index < counts.length) counts[index] = (counts[index] ?? 0) + 1
  }
  for (const run of runs) {
    add(started, run.created_at)
    if (run.status === 'failed' && run.finished_at) add(failed, run.finished_at)
  }
  return { times, started, failed }
}
