/** Outlines on a grid of 24, drawn in the colour of the text. */
const PATHS = {
  home: 'M4 11 12 4l8 7M6 10v10h12V10',
  runs: 'M4 6h10M4 12h16M4 18h7M18 4v4M15 16v4',
  play: 'M7 5v14l12-7z',
  workflow: 'M5 4h5v5H5zM14 15h5v5h-5zM7.5 9v4a3 3 0 0 0 3 3H14M14 4h5v5h-5z',
  clock: 'M12 7v5l3 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z',
  approve: 'M9 12l2 2 4-5M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z',
  alert: 'M12 4 2.8 20h18.4zM12 10v4M12 17v.5',
  chart: 'M4 4v16h16M8 16v-4M12 16V8M16 16v-6',
  lead: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c1-4 4-6 8-6s7 2 8 6',
  chat: 'M4 5h16v11H9l-5 4z',
  bell: 'M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 20h4',
  card: 'M3 6h18v12H3zM3 10h18',
  user: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c1-4 4-6 8-6s7 2 8 6',
  menu: 'M4 7h16M4 12h16M4 17h16',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  check: 'M5 12l5 5L20 7',
  refresh: 'M20 5v5h-5M4 19v-5h5M19 10a8 8 0 0 0-14-2M5 14a8 8 0 0 0 14 2',
  inbox: 'M4 13 6 5h12l2 8v6H4zM4 13h5l1 2h4l1-2h5',
  offline: 'M3 3l18 18M5 12a10 10 0 0 1 4-2.5M19 12a10 10 0 0 0-5-2.8M8.5 15.5a5 5 0 0 1 7 0M12 19v.5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4',
  moon: 'M20 14A8 8 0 1 1 10 4a7 7 0 0 0 10 10z',
  search: 'M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM16 16l4 4',
  plus: 'M12 5v14M5 12h14',
  trash: 'M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13',
  pause: 'M8 5v14M16 5v14',
  stop: 'M6 6h12v12H6z',
  send: 'M4 12 20 4l-6 16-3-7z',
  external: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  down: 'M5 9l7 7 7-7',
  logout: 'M14 4H5v16h9M10 12h11M17 8l4 4-4 4',
  edit: 'M4 20l1-5L16 4l4 4L9 19z',
  book: 'M5 4h12a2 2 0 0 1 2 2v14H7a2 2 0 0 1-2-2zM5 18a2 2 0 0 1 2-2h12',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  )
}
