/** Expressions to begin with. */
export const PRESETS: [string, string][] = [
  ['0 * * * *', 'Every hour'],
  ['0 9 * * *', 'Every day at 09:00'],
  ['0 9 * * 1-5', 'Monday to Friday at 09:00'],
  ['0 9 * * 1', 'Every Monday at 09:00'],
  ['0 9 1 * *', 'On the 1st of each month at 09:00'],
]

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

/** Words for the usual forms of a cron expression; null for all others. */
export function describeCron(cron: string): string | null {
  const parts = cron.trim().split(/\s+/)
  const [minute, hour, day, month, weekday] = parts
  if (parts.length !== 5 || month !== '*' || minute === undefined || hour === undefined) return null
  const everyDay = day === '*' && weekday === '*'
  const step = /^\*\/(\d+)$/.exec(minute)
  if (everyDay && hour === '*') {
    if (minute === '*') return 'Every minute'
    if (step) return `Every ${step[1]} minutes`
    if (/^\d+$/.test(minute)) return minute === '0' ? 'Every hour' : `Every hour at minute ${minute}`
    return null
  }
  if (!/^\d+$/.test(minute) || !/^\d+$/.test(hour)) return null
  const at = `at ${hour.padStart(2, '0')}:${minute.padStart(2, '0')}`
  if (everyDay) return `Every day ${at}`
  if (day === '*') {
    if (weekday === '1-5') return `Monday to Friday ${at}`
    const named =
      weekday && /^[0-7](,[0-7])*$/.test(weekday) ? weekday.split(',').map((one) => DAYS[Number(one)]) : null
    return named ? `${named.length === 1 ? 'Every ' : ''}${named.join(', ')} ${at}` : null
  }
  return weekday === '*' && day && /^\d+$/.test(day) ? `On day ${day} of each month ${at}` : null
}
